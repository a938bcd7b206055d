"""What is compared: how each tool is told to copy a folder to the server."""

import dataclasses
import pathlib
import re
import shlex
import shutil
import subprocess

from ferry_harness import FERRY, USER


@dataclasses.dataclass
class Route:
    """From SOURCE to TARGET, a fresh and empty folder of the same name, over the server at PORT."""

    source: pathlib.Path
    target: pathlib.Path
    port: int
    identity: pathlib.Path
    known_hosts: pathlib.Path
    scratch: pathlib.Path  # of this run

    @property
    def ssh_options(self):
        return ["-F", "none", "-i", str(self.identity), "-o", "IdentitiesOnly=yes",
                "-o", "IdentityAgent=none", "-o", f"UserKnownHostsFile={self.known_hosts}",
                "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes"]


class Unavailable(Exception):
    """This tool cannot do it here; says why."""


class Ferry:
    """Registering is not part of it: the watcher does that when files land."""

    def __init__(self, transport, name=None, program=FERRY):
        self.name = name or f"ferry-{transport}"
        self._transport = transport
        self._program = program

    def check(self):
        probe = subprocess.run([self._program, "transfer", "--transport", self._transport, "--dry-run",
                                "--landing", "/usr", "--metastore", "/proc/none",
                                "--to", "sftp://127.0.0.1:1/"],
                               capture_output=True, text=True, check=False)
        if probe.returncode == 2 and "transport" in probe.stderr:
            raise Unavailable(probe.stderr.strip().splitlines()[-1])

    def version(self):
        return first_line(self._program, "--version")

    def prepare(self, route):
        subprocess.run([self._program, "watch", "--once", "--landing", route.source,
                        "--metastore", route.scratch / "metastore"],
                       check=True, capture_output=True)

    def command(self, route):
        return [self._program, "transfer", "--landing", route.source,
                "--metastore", route.scratch / "metastore",
                "--to", f"sftp://{USER}@127.0.0.1:{route.port}{route.target}",
                "--identity", route.identity, "--known-hosts", route.known_hosts, "--no-agent",
                "--transport", self._transport]


class Peer:
    """A program of the system's; all that it needs is on its command line."""

    def check(self):
        if shutil.which(self.name) is None:
            raise Unavailable(f"{self.name} is not installed")

    def prepare(self, route):
        pass


class Sftp(Peer):
    name = "sftp"

    def version(self):
        return first_line("ssh", "-V")

    def prepare(self, route):
        (route.scratch / "batch").write_text(f"put -r {route.source} {route.target.parent}\n")

    def command(self, route):
        return ["sftp", "-q", *route.ssh_options, "-P", route.port, "-b", route.scratch / "batch",
                f"{USER}@127.0.0.1"]


class Rclone(Peer):
    """Without its check by a md5sum command per file: what that costs is the server's login shell,
    and an account for SFTP has none."""

    name = "rclone"

    def version(self):
        return first_line("rclone", "version")

    def command(self, route):
        return ["rclone", "copy", "--config", "/dev/null", "--sftp-host", "127.0.0.1",
                "--sftp-port", route.port, "--sftp-user", USER, "--sftp-key-file", route.identity,
                "--sftp-known-hosts-file", route.known_hosts, "--sftp-disable-hashcheck",
                route.source, f":sftp:{route.target}"]


class Lftp(Peer):
    name = "lftp"

    def version(self):
        return "lftp " + re.search(r"Version (\S+)", first_line("lftp", "--version"))[1]

    def command(self, route):
        ssh = shlex.join(["ssh", "-a", "-x", *route.ssh_options])
        return ["lftp", "--norc", "-c",
                f"set sftp:connect-program {shlex.quote(ssh)}; "
                "set cmd:fail-exit true; set net:max-retries 1; "
                "set sftp:max-packets-in-flight 64; "
                f"open -u {USER}, -p {route.port} sftp://127.0.0.1; "
                f"mirror --reverse --parallel=4 {route.source} {route.target}"]


def first_line(*command):
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    lines = (ended.stdout + ended.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"


TOOLS = [Ferry("libssh2"), Ferry("openssh"), Sftp(), Rclone(), Lftp()]

"""The black-box tests' vocabulary: servers, runs of ferry, and what the metastore says."""

import contextlib
import dataclasses
import filecmp
import functools
import hashlib
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
FERRY = pathlib.Path(os.environ.get("FERRY", REPOSITORY / "build" / "ferry")).resolve()
SANITIZED = bool(os.environ.get("FERRY_SANITIZED"))
USER = pwd.getpwuid(os.geteuid()).pw_name


def kill_upload_at(area, size, *words):
    """Kills an upload of one file to AREA once SIZE bytes of it have come, or when it has ended."""
    before = set(area.glob(".upload-*"))
    running = subprocess.Popen(command("upload", *words), env=environment(),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def has_come():
        begun = set(area.glob(".upload-*")) - before
        return any(os.path.exists(path) and os.path.getsize(path) >= size for path in begun)

    eventually(lambda: running.poll() is not None or size == 0 or has_come(), what=f"{size} bytes")
    running.kill()
    running.wait()


def eventually(condition, deadline=20.0, what="the condition"):
    """Waits until condition() is true, and returns what it returned."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {deadline} s")
        time.sleep(0.02)


def temporary_directory():
    """In memory where there is room: the tests move gigabytes."""
    shm = pathlib.Path("/dev/shm")
    roomy = shm.is_dir() and os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > 6 << 30
    return pathlib.Path(tempfile.mkdtemp(prefix="ferry-test-", dir=shm if roomy else None))


@dataclasses.dataclass
class Run:
    """How one run of ferry ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self):
        return json.loads(self.stdout)

    @property
    def json_lines(self):
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def summary(self):
        """Of a transfer to one destination."""
        (only,) = self.json["destinations"]
        return only


def tool(name):
    """A program that some test needs beside ferry: where the Makefile puts it, or in PATH."""
    found = shutil.which(name, path=f"{REPOSITORY / 'build/tools'}:{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not there; `make test` fetches it")
    return found


def command(*args):
    return [str(FERRY), *map(str, args)]


def environment(extra=None):
    inherited = {name: value for name, value in os.environ.items()
                 if not name.startswith("FERRY_") and name != "SSH_AUTH_SOCK"}
    return {**inherited, **(extra or {})}


@functools.cache
def exit_codes():
    """What --help says of each command's exit codes: {command: {code: meaning}}."""
    def help_of(*name):
        return subprocess.run(command("help", *name), capture_output=True, text=True, timeout=60,
                              check=True).stdout

    names = re.findall(r"^  (\w+) ", help_of().partition("\nglobal options")[0], re.M)
    return {name: dict(re.findall(r"^  (\w+) +(.*)$", help_of(name).partition("\nexit codes\n")[2],
                                  re.M))
            for name in names if name != "help"}


def check_exit_code(args, code):
    """Fails for a code that --help and the manual do not tell of."""
    if code < 0 or "--idle-exit-code" in args:
        return
    name = next((word for word in args if word in exit_codes()), None)
    known = exit_codes()[name] if name else ("0", "2")
    assert str(code) in known, f"ferry {name} ended with {code}; --help knows {', '.join(known)}"


def run_ferry(*args, env=None, timeout=180, stdin=None):
    ended = subprocess.run(command(*args), capture_output=True, text=True, timeout=timeout,
                           env=environment(env), input=stdin, check=False)
    check_exit_code(args, ended.returncode)
    return Run(ended.returncode, ended.stdout, ended.stderr)


class Process:
    """A ferry that runs beside the test; stderr goes to a file."""

    def __init__(self, folder, *args, under=(), env=None):
        self._args = args
        self._log = open(folder / f"ferry-{time.monotonic_ns()}.log", "w+b")
        self.popen = subprocess.Popen([*under, *command(*args)], stdout=subprocess.PIPE,
                                      stderr=self._log, env=environment(env))

    def log(self):
        return pathlib.Path(self._log.name).read_text(errors="replace")

    def wait(self, timeout=180):
        stdout, _ = self.popen.communicate(timeout=timeout)
        self._log.close()
        check_exit_code(self._args, self.popen.returncode)
        return Run(self.popen.returncode, stdout.decode(), self.log())

    def kill(self):
        self.popen.kill()
        return self.wait()

    def stop(self):
        self.popen.send_signal(signal.SIGTERM)
        return self.wait(timeout=30)


def opened_by(process):
    """What the files are that it has open."""
    directory = f"/proc/{process.popen.pid}/fd"
    found = []
    for name in os.listdir(directory):
        with contextlib.suppress(OSError):
            found.append(os.readlink(os.path.join(directory, name)))
    return found


class Server:
    """An OpenSSH server on a loopback port, with keys of its own and a folder to deliver to."""

    def __init__(self, folder, *config, sftp="internal-sftp", under=()):
        self.folder = folder
        self.root = folder / "drop"
        self.root.mkdir(parents=True)
        self.identity = folder / "user_key"
        self.known_hosts = folder / "known_hosts"
        for key in ("host_key", "user_key"):
            make_key(folder / key)
        shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
        self._extra = config
        self._sftp = sftp
        self._under = under
        self._process = None
        self.port = None
        self.start()

    def start(self, port=None):
        for _ in range(5):
            self.port = port or free_port()
            self._write_config()
            self._process = subprocess.Popen(
                [*self._under, REPOSITORY / "scripts/run_sshd.sh", "-D", "-e", "-f", self.folder / "sshd_config"],
                stdout=subprocess.DEVNULL, stderr=open(self.folder / "sshd.log", "ab"))
            if self._answers():
                self._write_known_hosts()
                return
            self.stop()
        raise AssertionError("sshd does not start:\n" + (self.folder / "sshd.log").read_text())

    @property
    def pid(self):
        return self._process.pid

    def stop(self):
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def url(self, directory=None):
        return f"sftp://{USER}@127.0.0.1:{self.port}{directory or self.root}"

    def options(self, directory=None):
        """What ferry needs to deliver to here."""
        return ["--to", self.url(directory), "--identity", self.identity, "--no-agent",
                "--known-hosts", self.known_hosts]

    def files(self):
        """What a consumer sees: no dot files, no control files."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*")
                      if path.is_file() and not path.name.startswith(".")
                      and not path.name.endswith(".control.json"))

    def control_files(self):
        return [json.loads(path.read_text()) for path in sorted(self.root.glob("*.control.json"))]

    def leftovers(self):
        return [path for path in self.root.rglob(".*") if path.is_file()]

    def _answers(self):
        def banner():
            if self._process.poll() is not None:
                return "ended"
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                    return connection.recv(4).decode()
            except OSError:
                return None

        return eventually(banner, what="sshd's banner") == "SSH-"

    def _write_known_hosts(self):
        key = (self.folder / "host_key.pub").read_text().split()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {key[0]} {key[1]}\n")

    def _write_config(self):
        # For each keyword sshd takes the first value: the test's own lines come first.
        lines = [*self._extra, f"ListenAddress 127.0.0.1:{self.port}",
                 f"HostKey {self.folder}/host_key", f"PidFile {self.folder}/sshd.pid",
                 f"AuthorizedKeysFile {self.folder}/authorized_keys", "StrictModes no",
                 f"UsePAM {'yes' if account_is_locked() else 'no'}", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
                 "PermitRootLogin prohibit-password", "LogLevel VERBOSE",
                 # A program is started by the login shell, whose start-up files are none of a test's
                 # business: bash reads them only if it is not below another one.
                 "SetEnv SHLVL=1", f"Subsystem sftp {self._sftp}"]
        (self.folder / "sshd_config").write_text("\n".join(lines) + "\n")


def server_with(folder, subsystem):
    """SUBSYSTEM: "internal-sftp" with options, or what lossy_sftp_server.py is told to do."""
    if not subsystem.startswith("internal"):
        lossy = REPOSITORY / "tests/lossy_sftp_server.py"
        subsystem = f"{sys.executable} {lossy} {subsystem} {folder}"
    return Server(folder / "server", sftp=subsystem)


def account_is_locked():
    """Without PAM sshd refuses keys too where the account's password is locked."""
    entry = subprocess.run(["getent", "shadow", USER], capture_output=True, text=True, check=False)
    return entry.stdout.partition(":")[2].startswith("!")


def make_key(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ferry-test", "-f",
                    str(path)], check=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def part_name(name, batch, file_id, attempt=0):
    """The name under which NAME grows at a destination; of short names only."""
    token = hashlib.sha256(f"{batch}\n{file_id}\n{attempt}".encode()).hexdigest()[:16]
    return f".{name}.{token}.part"


def make_files(folder, count, size, prefix="file"):
    """COUNT files of SIZE bytes, each with contents of its own, each put there by a rename."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        line = f"{prefix} {number}\n".encode()
        put(folder / f"{prefix}-{number:05}.dat", (line * (size // len(line) + 1))[:size])


def put(path, content):
    """As a careful producer does: write under another name, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.rename(path)


def make_big_file(path, size):
    block = os.urandom(1 << 20)
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as out:
        for number in range(size >> 20):
            out.write(number.to_bytes(8, "big") + block[8:])
    part.rename(path)


def relative_files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def same_tree(source, target):
    """True where every file of SOURCE is in TARGET with the same bytes."""
    return all((target / name).is_file()
               and filecmp.cmp(source / name, target / name, shallow=False)
               for name in relative_files(source))


def read_table(metastore, name):
    """Up to the last line end: what follows is being written."""
    path = metastore / f"{name}.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().split("\n")[:-1] if line]


def tables(metastore):
    return read_table(metastore, "file_registry"), read_table(metastore, "transfer_logs")


def bytes_of_tables(metastore):
    return [path.read_bytes() for path in sorted(metastore.glob("*.jsonl"))]


@contextlib.contextmanager
def watching(folder, landing, metastore, *options):
    """A watcher, from the moment that it has armed and scanned everything."""
    process = Process(folder, "watch", "--landing", landing, "--metastore", metastore, *options)
    try:
        def ready():
            assert process.popen.poll() is None, process.log()
            return " ready" in process.log()

        eventually(ready, deadline=60, what="the watcher")
        yield process
    finally:
        if process.popen.poll() is None:
            ended = process.stop()
            assert ended.code == 0, ended.stderr


class Configured:
    """A configuration with a landing area and a destination for each server."""

    def __init__(self, ferry, folder, landing, metastore, servers):
        self.ferry, self.folder = ferry, folder
        self.landing, self.metastore, self.servers = landing, metastore, servers
        self.file = folder / "ferry.toml"

    def write(self, routes, **keys):
        """KEYS: lines for a destination's table."""
        text = f'metastore = "{self.metastore}"\n[landing.in]\npath = "{self.landing}"\n'
        for name, server in self.servers.items():
            text += (f'[destination.{name}]\nurl = "{server.url()}"\nuse_agent = false\n'
                     f'identity = "{server.identity}"\nknown_hosts = "{server.known_hosts}"\n'
                     f"{keys.get(name, '')}\n")
        general = "".join(line + "\n" for line in routes.splitlines() if line.startswith("routing"))
        self.file.write_text(general + text + routes.removeprefix(general))

    def run(self, *arguments, **options):
        return self.ferry(*arguments, env={"FERRY_CONFIG": str(self.file)}, **options)

    def register(self):
        ended = self.run("watch", "--once", "--json")
        assert ended.code == 0, ended.stderr
        return ended.json["registered"]

    def transfer(self, *arguments):
        return self.run("transfer", "--json", "--retries", "1", "--retry-delay", "10ms",
                        *arguments)

    def standings(self, destination=None):
        only = ["--destination", destination] if destination else []
        ended = self.run("list", "--json", *only)
        assert ended.code == 0, ended.stderr
        return {(line["path"], line["destination"]): line["status"] for line in ended.json_lines}

    def is_pending(self):
        return (self.metastore / "pending").exists()

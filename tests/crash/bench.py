"""What a worker of the campaign uses from round to round, and what it knows of processes."""

import os
import pathlib
import shutil
import tempfile

from crash.faults import BELOW, Plan
from ferry_harness import Server, temporary_directory

SFTP_SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server")


class Bench:
    """What a worker uses again from round to round: a server, two plans, and folders."""

    def __init__(self):
        self.folder = temporary_directory()
        self.elsewhere = other_file_system(self.folder)
        self.plan = Plan(self.folder / "ferry.plan")
        self.server_plan = Plan(self.folder / "server.plan")
        program = next(filter(os.path.exists, SFTP_SERVERS))
        settings = " ".join(f"{name}={value}"
                            for name, value in self.server_plan.environment().items())
        self.server = Server(self.folder / "server", "MaxStartups 200", "LogLevel ERROR",
                             sftp=f"/usr/bin/env {settings} {program}")
        self._rounds = 0

    def new_round(self):
        self._rounds += 1
        return f"{BELOW.strip('/')}/{self._rounds}"

    def close(self):
        self.server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.elsewhere:
            shutil.rmtree(self.elsewhere, ignore_errors=True)

    def sessions(self):
        """The processes that speak SFTP."""
        return [pid for pid in descendants(self.server._process.pid)
                if command_line(pid).endswith("sftp-server")]


def other_file_system(folder):
    for candidate in ("/tmp", "/var/tmp", "/dev/shm"):
        if os.path.isdir(candidate) and os.stat(candidate).st_dev != os.stat(folder).st_dev:
            return pathlib.Path(tempfile.mkdtemp(prefix="ferry-test-", dir=candidate))
    return None


def descendants(pid):
    found = []
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    for child in map(int, children):
        found += [child, *descendants(child)]
    return found


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()
    except OSError:
        return ""


def state_of(pid):
    """As proc(5) has it: "R", "S", "T" where it is halted, ""."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return ""

"""A Debian that runs systemd beside the tests, in namespaces of its own: nothing of it is left when
it is shut down, nor when the tests are killed, and its network has no way out."""

import os
import pathlib
import shutil
import subprocess
import tempfile

from base_system import WORKPLACE, base_system
from ferry_harness import eventually

HERE = pathlib.Path(__file__).resolve().parent
PREFIX = "ferry-machine-"
NAMESPACES = ("--pid", "--mount", "--uts", "--ipc", "--cgroup", "--net")


def cgroup_root():
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return pathlib.Path(place)
    raise AssertionError("no cgroup2 file system is mounted")


def remove_cgroups(top):
    """False while a process lives in one of them."""
    try:
        for folder in sorted([top, *(path for path in top.rglob("*") if path.is_dir())],
                             reverse=True):
            folder.rmdir()
    except OSError:
        return not top.exists()
    return True


def remove_leftovers():
    """Of tests that were killed: empty directories."""
    for place in WORKPLACE.glob(f"{PREFIX}*"):
        if remove_cgroups(cgroup_root() / place.name):
            place.rmdir()


class Machine:
    def __init__(self):
        base = base_system()
        remove_leftovers()
        self._place = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX, dir=WORKPLACE))
        self._cgroup = cgroup_root() / self._place.name
        self._cgroup.mkdir()
        self._console = open(WORKPLACE / "console.log", "wb")
        # setpriv: should the tests be killed, unshare goes too, and takes the machine along.
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--fork", "--kill-child",
             "--propagation", "private", *NAMESPACES, HERE / "boot.sh", base, self._place],
            stdin=subprocess.DEVNULL, stdout=self._console, stderr=self._console,
            preexec_fn=lambda: (self._cgroup / "cgroup.procs").write_text(str(os.getpid())))
        try:
            self._init = eventually(self._first_process, what="the machine's first process")
            eventually(self._has_booted, deadline=120, what="the end of the boot")
        except BaseException:
            self.shut_down()
            raise

    def shut_down(self):
        self._process.kill()
        self._process.wait()
        self._console.close()
        eventually(lambda: remove_cgroups(self._cgroup), what="the end of the machine's processes")
        self._place.rmdir()

    def run(self, *command, timeout=120, check=True):
        """Runs a command on it, as root."""
        ended = subprocess.run([*self._enter(), *map(str, command)], capture_output=True,
                               stdin=subprocess.DEVNULL, text=True, timeout=timeout, check=False)
        assert not check or ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
        return ended

    def output(self, *command):
        return self.run(*command).stdout.strip()

    def path(self, path):
        """A file of its, seen from here."""
        return pathlib.Path(f"/proc/{self._init}/root") / str(path).lstrip("/")

    def show(self, unit, name):
        """A unit's property."""
        return self.output("systemctl", "show", "--value", "--property", name, unit)

    def copy(self, source, target):
        shutil.copy(source, self.path(target))

    def _enter(self):
        return ["nsenter", "--target", str(self._init), *NAMESPACES]

    def _first_process(self):
        assert self._process.poll() is None, (WORKPLACE / "console.log").read_text()
        me = self._process.pid
        return pathlib.Path(f"/proc/{me}/task/{me}/children").read_text().strip()

    def _has_booted(self):
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        assert state != "degraded", self.output("systemctl", "--failed")
        return state == "running"

"""Runs one command to its end and tells what it took."""

import ctypes
import dataclasses
import os
import pathlib
import signal
import subprocess
import time


@dataclasses.dataclass
class Measured:
    code: int | None  # None: it ran out of time
    wall: float  # seconds
    cpu: float  # user and system seconds, with all children
    peak_mib: float  # of the largest process
    output: str

    @property
    def in_time(self):
        return self.code is not None


def measure(command, folder, environment, time_limit):
    """time(1) reads the counters: it starts small, so that Python's own memory is not in them."""
    report = pathlib.Path(folder) / "time"
    report.unlink(missing_ok=True)
    others = children()
    with open(pathlib.Path(folder) / "output", "w+b") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            ["/usr/bin/time", "-q", "-f", "%U %S %M", "-o", str(report), *map(str, command)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment,
            start_new_session=True)
        code = None
        try:
            code = process.wait(timeout=time_limit)
        except subprocess.TimeoutExpired:
            pass
        finally:
            wall = time.perf_counter() - started
            if code is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            orphans = reap(others, process.pid)
        output.seek(0)
        text = output.read().decode(errors="replace")
    if code is None:
        return Measured(None, wall, 0, 0, text)
    user, system, peak_kib = report.read_text().split()[-3:]
    return Measured(code, wall, float(user) + float(system) + orphans, int(peak_kib) / 1024, text)


def adopt_orphans():
    """From here on a command's children become ours when it does not wait for them."""
    set_child_subreaper = 36
    ctypes.CDLL(None, use_errno=True).prctl(set_child_subreaper, 1, 0, 0, 0)


def children():
    return {int(pid) for task in pathlib.Path("/proc/self/task").iterdir()
            for pid in (task / "children").read_text().split()}


def reap(others, session, patience=2.0):
    """Ends all our children but OTHERS; the CPU seconds that those of SESSION took. The rest are
    the server's: sshd leaves them to us as well."""
    seconds = 0.0
    give_up = time.monotonic() + patience
    while orphans := children() - others:
        for pid in orphans:
            if time.monotonic() > give_up:
                os.kill(pid, signal.SIGKILL)
            is_ours = os.getsid(pid) == session
            ended, _, usage = os.wait4(pid, os.WNOHANG)
            if ended and is_ours:
                seconds += usage.ru_utime + usage.ru_stime
        time.sleep(0.01)
    return seconds

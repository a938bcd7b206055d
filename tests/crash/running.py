"""A command of ferry's that runs, where faults strike or where they do not."""

import dataclasses
import pathlib
import signal
import subprocess
import time

from crash.bench import state_of
from crash.faults import STOP
from ferry_harness import command, environment, eventually

HANGS_AFTER = 40  # seconds; what the scenarios do takes tenths of one


@dataclasses.dataclass
class Ended:
    """How a command of the story ended."""

    args: tuple
    code: int
    stdout: str
    stderr: str
    struck: bool = False       # by the fault
    disturbed: bool = True     # it ran while faults might strike
    hung: bool = False
    while_halted: bool = False  # another process was

    def __str__(self):
        said = "".join(f"\n      {line}" for line in self.stderr.splitlines()[-12:])
        struck = ", struck by the fault" if self.struck else ""
        return f"ferry {' '.join(map(str, self.args))}: {self.code}{struck}{said}"


class Running:
    """A command that runs; what it says goes to files."""

    def __init__(self, world, args, disturbed, stdin=None):
        self.world, self.args, self.disturbed = world, args, disturbed
        self.while_halted = world.is_halted
        self.known_before = [world.tables(), [file for file in world.files
                                              if world.is_in_place(file)]]
        self._log = world.folder / f"log-{time.monotonic_ns()}"
        extra = {"FERRY_CONFIG": str(world.config)}
        if disturbed:
            extra |= world.bench.plan.environment()
            if world.children_count:
                extra["FERRY_CRASH_CHILDREN"] = "1"
        with open(f"{self._log}.out", "wb") as out, open(f"{self._log}.err", "wb") as err:
            self.popen = subprocess.Popen(command(*args), stdin=stdin or subprocess.DEVNULL,
                                          stdout=out, stderr=err, env=environment(extra))

    def log(self):
        return pathlib.Path(f"{self._log}.err").read_text(errors="replace")

    def is_running(self):
        return self.popen.poll() is None

    def wait(self, timeout=HANGS_AFTER):
        """Until it ends. If the fault halts it, or its server, the world goes on meanwhile."""
        if self.disturbed:
            self.attend_halt()
        hung = False
        try:
            self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            hung = True
            self.popen.kill()
            self.popen.wait()
        plan = self.world.bench.plan
        ended = Ended(self.args, self.popen.returncode,
                      pathlib.Path(f"{self._log}.out").read_text(errors="replace"), self.log(),
                      struck=bool(plan.fired and plan.fired_pid == self.popen.pid),
                      disturbed=self.disturbed, hung=hung, while_halted=self.while_halted)
        self.world.story.append(ended)
        self.world.see_rows()
        if self.world.judge:
            self.world.complaints += self.world.judge(self.world, ended, self.known_before)
        return ended

    def stop(self):
        self.popen.terminate()
        return self.wait()

    def attend_halt(self):
        world = self.world
        if not world.fault or world.fault[0].action != STOP or world.halts_attended:
            return
        plan = world.plan
        while self.is_running() and not plan.fired:
            time.sleep(0.002)  # a condition in another process: there is no event to wait for
        if not plan.fired:
            return
        world.halts_attended = True
        pid = plan.fired_pid
        eventually(lambda: state_of(pid) in ("T", "Z", ""), what="the halt")
        if plan is world.bench.server_plan:
            self._let_others_overtake(plan, world.fault[1])
        else:
            world.go_on()
        if state_of(pid) == "T":
            world.signal(pid, signal.SIGCONT)

    def _let_others_overtake(self, plan, call):
        """The halted session goes on when its successor has done some calls, now more, now less."""
        enough = call + 1 + call % 7
        end = time.monotonic() + 3
        while self.is_running() and time.monotonic() < end and plan.count < enough:
            time.sleep(0.002)

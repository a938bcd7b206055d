"""Everything at once, and whatever runs is killed at moments that a seed chooses."""

import dataclasses
import gzip
import random
import signal
import time

from crash.faults import KINDS
from crash.rounds import Outcome, bring_to_rest
from crash.world import World

KILLS = 25          # in one storm
LONGEST_CALM = 0.1  # seconds between two strokes


@dataclasses.dataclass(frozen=True)
class Storm:
    """The seed decides about everything but the machine's pace."""

    seed: int

    scenario, kind, call = "storm", "random", 0

    def command(self):
        return f"tests/crash/run --storms 1 --seed {self.seed}"

    def __str__(self):
        return f"storm, seed {self.seed}"


WEATHERS = {
    "plain": {},
    "two destinations": {"destinations": ("b", "c")},
    "transforms": {"routes": '[route.all]\nto = ["b"]\ntransforms = ["gzip"]\n'},
    "archive": {"routes": '[route.all]\nto = ["b"]\nafter = "archive"\narchive = "{archive}"\n'},
    "delete": {"routes": '[route.all]\nto = ["b"]\nafter = "delete"\n'},
    "all or nothing": {"transfer": 'batch = "all-or-nothing"'},
    "chunks": {"transfer": 'bandwidth_limit = "24M"\nwindow = "1MiB"'},
}


def rage(bench, storm, keep=False):
    world = World(bench)
    try:
        tempest = Tempest(world, storm)
        tempest.rage()
        outcome = Outcome(storm, struck=f"{tempest.kills} times", calls=tempest.kills)
        outcome.violations = tuple(bring_to_rest(world))
        outcome.story = "\n".join([f"    weather: {tempest.weather}", *tempest.told,
                                   *(f"    {ended}" for ended in world.story)])
        return outcome
    finally:
        world.close(keep)


class Tempest:
    def __init__(self, world, storm):
        self.world, self.choose = world, random.Random(storm.seed)
        self.kills = self.landed = 0
        self.told = []
        self.running = {}  # by role
        self.doomed = ""   # the role of whom the plan kills
        self.uploads = {}  # the files of the upload that runs
        self.started = time.monotonic()
        self.weather = self.choose.choice(sorted(WEATHERS))
        settings = dict(WEATHERS[self.weather])
        if "routes" in settings:
            settings["routes"] = settings["routes"].replace("{archive}", str(world.archive))
        world.configure(**settings)
        world.rest.append(("compact", "--keep", "0s"))
        world.takes_back = self.weather == "all or nothing"
        (world.folder / "inputs").mkdir()

    # What a storm is made of.

    def rage(self):
        strokes = {self.land: 5, self.land_again: 2, self.kill_agent: 5, self.kill_watcher: 3,
                   self.kill_upload: 3, self.kill_compaction: 1, self.kill_session: 4,
                   self.halt_agent: 1}
        while self.kills < KILLS:
            time.sleep(self.choose.uniform(0, LONGEST_CALM))  # the moment is what is left to chance
            stroke, = self.choose.choices(list(strokes), strokes.values())
            stroke()
            self.bury()
        for role in list(self.running):
            self.kill(role)
        self.world.disarm()

    def land(self):
        self.landed += 1
        size = 6 << 20 if self.weather == "chunks" and self.landed % 4 == 1 else \
            self.choose.choice((0, 10, 3000, 200_000))
        self.put(f"f{self.landed}.csv" if self.choose.random() < 0.7
                 else f"d{self.landed % 3}/f{self.landed}.csv", size)

    def land_again(self):
        """A new version of what was not uploaded: a killed upload may get its name late."""
        paths = [file.path for file in self.world.files if not file.path.startswith("up")]
        if paths:
            self.put(self.choose.choice(paths), 500)

    def put(self, path, size):
        self.world.land(path, self.content(size), **self.keywords(path))
        self.tell(f"land {path}")

    def content(self, size):
        """Never the same twice."""
        self.landed += 1
        line = b"%d\n" % self.landed
        return line + b"x" * max(0, size - len(line))

    def keywords(self, path):
        for older in self.world.known(path):
            older.fate = "open"
        settings = {"destinations": self.world.destinations}
        if self.weather == "transforms":
            settings |= {"name": f"{path}.gz", "decode": gzip.decompress}
        if self.weather in ("archive", "delete"):
            settings["after"] = self.weather
        return settings

    def kill_agent(self):
        self.kill_after_a_while(self.choose.choice(("agent", "another agent")), "transfer")

    def kill_watcher(self):
        self.kill_after_a_while("watcher", "watch")

    def kill_compaction(self):
        self.kill_after_a_while("compaction", "compact", "--keep", "0s")

    def kill_upload(self):
        if "upload" not in self.running:
            self.landed += 1
            names = [f"up{self.landed}-{number}.csv" for number in range(2)]
            files = [self.world.expect(name, self.content(300), **self.keywords(name), fate="open")
                     for name in names]
            for file in files:
                (self.world.folder / "inputs" / file.path).write_bytes(file.content)
            self.uploads = files
            self.start("upload", "upload",
                       *(self.world.folder / "inputs" / name for name in names))
        self.kill_after_a_while("upload")

    def kill_session(self):
        """At the server: the connection is lost, and with it the last answers."""
        self.keep_running("agent", "transfer")
        sessions = self.world.bench.sessions()
        if sessions:
            pid = self.choose.choice(sorted(sessions))
            self.tell(f"kill session {pid}")
            self.world.signal(pid, signal.SIGKILL)
            self.kills += 1

    def halt_agent(self):
        """While another works; then it goes on."""
        self.keep_running("agent", "transfer")
        self.running["agent"].popen.send_signal(signal.SIGSTOP)
        self.tell("halt agent")
        self.keep_running("another agent", "transfer")
        time.sleep(self.choose.uniform(0, LONGEST_CALM))
        self.running["agent"].popen.send_signal(signal.SIGCONT)

    # Processes.

    def tell(self, what):
        self.told.append(f"    {time.monotonic() - self.started:7.3f} {what}")

    def start(self, role, *args):
        """One at a time has the call already at which it will be killed."""
        is_doomed = self.doomed not in self.running and self.choose.random() < 0.7
        if is_doomed:
            self.doomed = role
            self.world.bench.plan.arm(KINDS["kill"], self.choose.randint(1, 90))
        self.tell(f"start {role}{', doomed' if is_doomed else ''}")
        self.running[role] = self.world.start(*args, disturbed=is_doomed)

    def keep_running(self, role, *args):
        if role not in self.running:
            self.start(role, *args)

    def kill_after_a_while(self, role, *args):
        """At a call, or after some time."""
        self.keep_running(role, *args)
        end = time.monotonic() + self.choose.uniform(0, LONGEST_CALM)
        while time.monotonic() < end and self.running[role].is_running():
            time.sleep(0.002)
        self.kill(role)

    def kill(self, role):
        self.running[role].popen.kill()
        self.tell(f"kill {role}")
        self.finish(role)

    def bury(self):
        """What ended by itself."""
        for role in [role for role, running in self.running.items() if not running.is_running()]:
            self.finish(role)

    def finish(self, role):
        ended = self.running.pop(role).wait()
        ended.struck = ended.code == -signal.SIGKILL
        self.kills += ended.struck
        self.tell(f"{role} ended: {ended.code}")
        if role == "upload" and ended.code == 0:
            for file in self.uploads:
                if self.world.is_latest(file):
                    file.fate = "delivered"
        if role == "upload" and ended.code == 1:
            for file in self.uploads:
                file.fate = "kept out"

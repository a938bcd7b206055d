"""Plays one round: a scenario, with or without a fault, until the world is at rest."""

import dataclasses
import json

from crash import promises
from crash.faults import KINDS
from crash.scenarios import SCENARIOS
from crash.world import World


@dataclasses.dataclass(frozen=True)
class Round:
    scenario: str
    kind: str = ""  # of the fault
    call: int = 0   # that it strikes at

    def command(self):
        """What plays it again."""
        fault = f" --kind {self.kind} --call {self.call}" if self.kind else ""
        return f"tests/crash/run {self.scenario}{fault}"

    def __str__(self):
        return f"{self.scenario} {self.kind} {self.call}"


@dataclasses.dataclass
class Outcome:
    round: Round
    struck: str = ""  # the call that was struck; empty where it was not reached
    calls: int = 0    # how many there were
    violations: tuple = ()  # (promise, what breaks it)
    story: str = ""


def play(bench, round_, keep=False):
    world = World(bench, (KINDS[round_.kind], round_.call) if round_.kind else None)
    world.judge = promises.judge_exit_code
    try:
        return tell(world, round_)
    finally:
        world.close(keep)


def tell(world, round_):
    steps = SCENARIOS[round_.scenario](world)
    next(steps)
    world.arm()
    next(steps, None)
    outcome = Outcome(round_, struck=world.plan.call(round_.call) if world.plan.fired else "",
                      calls=world.plan.count)
    world.disarm()
    next(steps, None)
    outcome.violations = tuple(bring_to_rest(world))
    outcome.story = "\n".join(f"    {ended}" for ended in world.story)
    return outcome


def bring_to_rest(world):
    """By two undisturbed runs at the most. Returns which promises are broken even then."""
    world.judge = promises.judge_exit_code
    for _ in range(2):
        for args in world.rest:
            world.undisturbed(*args)
        violations = promises.broken(world) or what_is_still_to_do(world)
        if not violations:
            return []
    return violations


def what_is_still_to_do(world):
    """A run when everything is done has nothing to do, and changes nothing."""
    tables = world.tables()
    events = len(world.observer.events)
    registered = world.undisturbed("watch", "--once", "--json")
    idle = world.undisturbed("transfer", "--idle-exit-code", "99")
    world.observer.settle()
    found = []
    if registered.code != 0 or json.loads(registered.stdout)["registered"] != 0:
        found.append(f"something was registered: {registered} {registered.stdout}")
    if idle.code != 99:
        found.append(f"something was delivered: {idle}")
    if world.tables() != tables or len(world.observer.events) != events:
        found.append("something was changed")
    return [("at rest", what) for what in found]


def count_calls(bench, scenario):
    """How many calls there are for each kind of fault where none strikes."""
    world = World(bench)
    try:
        steps = SCENARIOS[scenario](world)
        next(steps)
        bench.plan.count_all()
        bench.server_plan.count_all()
        next(steps, None)
        seen = {"ferry": bench.plan.calls(), "server": bench.server_plan.calls()}
        return {name: sum(bool(calls & kind.calls) for _, calls, _ in seen[kind.at])
                for name, kind in KINDS.items()}
    finally:
        world.close()

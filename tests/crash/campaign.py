"""Strikes at every call of every scenario, with every kind of fault; holds ferry to its promises.

    tests/crash/run                            everything
    tests/crash/run transfer --kind kill       one scenario, one kind
    tests/crash/run transfer --kind kill --call 17 --verbose
    tests/crash/run --every 7 --time 50        every seventh call, for 50 s
"""

import argparse
import collections
import fnmatch
import multiprocessing
import os
import random
import sys
import time
import traceback

from crash.bench import Bench
from crash.faults import KINDS
from crash.report import Report, describe
from crash.rounds import Outcome, Round, count_calls, play
from crash.scenarios import SCENARIOS
from crash.storm import Storm, rage

_bench = None


def main():
    options = parse()
    if options.call:
        return play_here(options)
    started = time.monotonic()
    with Workers(options.jobs) as workers:
        if options.storms:
            rounds = [Storm(options.seed + number) for number in range(options.storms)]
        else:
            rounds = plan_rounds(workers, options)
        report = Report(len(rounds), options.verbose, options.report)
        for outcome in workers.play(rounds):
            report.add(outcome)
            if options.time and time.monotonic() - started > options.time:
                return report.conclude()
    return report.conclude(is_everything(options))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("scenarios", nargs="*", help=", ".join(SCENARIOS))
    parser.add_argument("--kind", action="append", default=[], help=", ".join(KINDS))
    parser.add_argument("--call", type=int, default=0, help="strike at this one only, from 1")
    parser.add_argument("--every", type=int, default=1, metavar="N",
                        help="strike at every Nth call")
    parser.add_argument("--time", type=float, default=0, help="end after so many seconds")
    parser.add_argument("--jobs", type=int, default=2 * os.cpu_count(),
                        help="rounds at once: they wait more than they compute")
    parser.add_argument("--storms", type=int, default=0, metavar="N",
                        help="instead, N rounds of kills at random")
    parser.add_argument("--seed", type=int, default=1,
                        help="of the first storm, or of the order of rounds")
    parser.add_argument("--verbose", action="store_true", help="tell each round's story")
    parser.add_argument("--keep", action="store_true", help="leave the folders there")
    parser.add_argument("--report", help="write all violations to this file")
    options = parser.parse_args()
    options.scenarios = chosen(parser, options.scenarios, SCENARIOS)
    options.kind = chosen(parser, options.kind, KINDS)
    return options


def chosen(parser, patterns, known):
    found = [name for name in known
             if not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    if not found:
        parser.error(f"none of {', '.join(patterns)} is known; choose from {', '.join(known)}")
    return found


def play_here(options):
    bench = Bench()
    try:
        code = 0
        for scenario in options.scenarios:
            for kind in options.kind:
                outcome = play(bench, Round(scenario, kind, options.call), keep=options.keep)
                print(describe(outcome))
                code |= bool(outcome.violations)
        return code
    finally:
        if not options.keep:
            bench.close()
        else:
            bench.server.stop()
            print(f"kept: {bench.folder}")


# Workers: processes, each with a bench of its own.

def open_bench():
    global _bench  # pylint: disable=global-statement
    _bench = Bench()
    multiprocessing.util.Finalize(None, _bench.close, exitpriority=10)


def play_one(round_):
    try:
        return (rage if isinstance(round_, Storm) else play)(_bench, round_)
    except Exception:  # pylint: disable=broad-except
        return Outcome(round_, struck="the campaign itself",
                       violations=(("the campaign", traceback.format_exc()),))


def count_one(scenario):
    return scenario, count_calls(_bench, scenario)


class Workers:
    def __init__(self, count):
        Bench().close()  # what keeps one from opening is told here: a pool would try for ever
        self._pool = multiprocessing.Pool(count, initializer=open_bench)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._pool.close()
        self._pool.join()

    def count(self, scenarios):
        return self._pool.imap_unordered(count_one, scenarios)

    def play(self, rounds):
        waiting = iter(rounds)
        running = collections.deque()
        for round_ in waiting:  # not more than are needed to keep all busy: the end may come early
            running.append(self._pool.apply_async(play_one, (round_,)))
            if len(running) >= 2 * self._pool._processes:
                yield running.popleft().get()
        while running:
            yield running.popleft().get()


def is_everything(options):
    """As far as chance allows, for storms."""
    if options.storms:
        return options.storms >= 100
    return (options.every == 1 and len(options.scenarios) == len(SCENARIOS)
            and len(options.kind) == len(KINDS))


def plan_rounds(workers, options):
    rounds = []
    for scenario, by_kind in sorted(workers.count(options.scenarios)):
        for kind in options.kind:
            rounds += [Round(scenario, kind, call)
                       for call in range(1, by_kind[kind] + 1, options.every)]
    random.Random(options.seed).shuffle(rounds)
    print(f"{len(rounds)} rounds: {len(options.scenarios)} scenarios, {len(options.kind)} kinds",
          flush=True)
    return rounds

"""What came of the rounds: what is broken, what is known to be, and what no longer is."""

import collections
import fnmatch
import pathlib
import re
import time

KNOWN = pathlib.Path(__file__).with_name("known.txt")


class KnownViolations:
    """known.txt: a line for each, "scenario | kind | promise: what", with shell patterns."""

    def __init__(self):
        lines = KNOWN.read_text().splitlines() if KNOWN.exists() else []
        self.lines = [tuple(part.strip() for part in line.split("|")) for line in lines
                      if line and not line.startswith("#")]
        self.seen = set()

    def cover(self, round_, violation):
        said = round_.scenario, round_.kind, ": ".join(violation).partition("\n")[0]
        found = [line for line in self.lines if all(map(fnmatch.fnmatchcase, said, line))]
        self.seen.update(found)
        return bool(found)

    def stale(self, is_storm):
        return [line for line in self.lines
                if line not in self.seen and (line[0] == "storm") == is_storm]


def generic(text):
    """Without what differs from round to round."""
    text = text.partition("\n")[0]
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32,}", "ID", text)
    text = re.sub(r"\S*/crash-round/\d+", "…", text)
    return re.sub(r"\d{4,}\S*", "N", text)[:150]


def describe(outcome, story=True):
    text = f"{outcome.round}: struck at {outcome.struck or 'nothing'}\n"
    text += "".join(f"  BROKEN {name}: {what}\n" for name, what in outcome.violations)
    return text + (f"{outcome.story}\n" if story else "") + f"  again: {outcome.round.command()}"


class Report:
    """Tells of each round that broke a promise, and sums up."""

    def __init__(self, planned, is_verbose, path):
        self.planned, self.is_verbose = planned, is_verbose
        self.started = time.monotonic()
        self.known = KnownViolations()
        self.played = self.struck = self.new = self.old = 0
        self.scenarios = set()
        self.sums = collections.Counter()  # by scenario, promise and what it is about
        self.examples = {}
        self.file = open(path, "w", encoding="utf-8") if path else None

    def add(self, outcome):
        self.played += 1
        if self.played % 500 == 0:
            print(f"-- {self.played} of {self.planned} rounds", flush=True)
        self.struck += bool(outcome.struck)
        self.scenarios.add(outcome.round.scenario)
        fresh = [violation for violation in outcome.violations
                 if not self.known.cover(outcome.round, violation)]
        self.new += bool(fresh)
        self.old += bool(outcome.violations) and not fresh
        for name, what in outcome.violations:
            key = outcome.round.scenario, name, generic(what)
            self.sums[key] += 1
            self.examples.setdefault(key, outcome.round.command())
        if fresh or self.is_verbose:
            print(describe(outcome, self.is_verbose), flush=True)
        if self.file and outcome.violations:
            print(describe(outcome), file=self.file, flush=True)

    def sum_up(self):
        for (scenario, promise, what), count in sorted(self.sums.items()):
            example = self.examples[scenario, promise, what]
            print(f"{count:5} × {scenario}: {promise}: {what}\n        {example}")

    def conclude(self, is_complete=False):
        """Only a complete run can tell that something is no longer broken."""
        self.sum_up()
        print(f"{self.played} rounds in {time.monotonic() - self.started:.0f} s, {self.struck} "
              f"struck: {self.new} broke a promise, {self.old} one that is known to be broken")
        stale = self.known.stale("storm" in self.scenarios) if is_complete else []
        for line in stale:
            print(f"known.txt: no longer broken: {' | '.join(line)}")
        return 1 if self.new or stale else 0

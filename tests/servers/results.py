"""How the cells ended, for the terminal and for docs/servers.md."""

import collections
import contextlib
import json
import typing

ORDER = ("ok", "unsupported", "skipped", "failed")


class Ended(typing.NamedTuple):
    ended: str  # one of ORDER
    limit: tuple | None = None  # exit code, what ferry said, and why
    is_quick: bool = False


class Results:
    def __init__(self):
        self.findings = {}  # by server: what doctor found
        self.cells = {}  # (server, transport, case): Ended
        self.is_quick = False

    def add(self, report):
        """One of the three reports of each cell."""
        known = dict(report.user_properties)
        key = tuple(known["cell"])
        limit = known.get("unsupported")
        if report.failed:
            self._set(key, "failed")
        elif report.skipped:
            self._set(key, "skipped")
        elif report.when == "call":
            self._set(key, "unsupported" if limit else "ok", limit)
        if "findings" in known:
            self.findings[key[0]] = known["findings"]

    def _set(self, key, ended, limit=None):
        self.cells[key] = Ended(ended, tuple(limit) if limit else None, self.is_quick)

    def merged(self, path):
        """What PATH keeps of earlier runs, this one over it; PATH keeps that from now on."""
        kept = Results()
        with contextlib.suppress(FileNotFoundError):
            kept._load(json.loads(path.read_text()))
        kept.findings.update(self.findings)
        kept.cells.update(self.cells)
        cells = [[*key, *cell] for key, cell in sorted(kept.cells.items())]
        path.write_text(json.dumps({"findings": kept.findings, "cells": cells}, indent=1))
        return kept

    def _load(self, text):
        self.findings = text["findings"]
        for server, transport, case, ended, limit, is_quick in text["cells"]:
            self.cells[server, transport, case] = Ended(ended, limit and tuple(limit), is_quick)

    def count(self, server, transport, ended):
        return sum(1 for key, cell in self.cells.items()
                   if key[:2] == (server, transport) and cell.ended == ended)

    def summary(self):
        """A line for each server and transport, and what is not ok in it."""
        rows = collections.defaultdict(lambda: collections.defaultdict(list))
        for (server, transport, case), cell in self.cells.items():
            rows[server, transport][cell.ended].append(case)
        lines = ["\n"]
        for (server, transport), ends in rows.items():
            parts = [f"{len(ends['ok'])} ok"]
            parts += [f"{ended}: {', '.join(ends[ended])}" for ended in ORDER[1:] if ends[ended]]
            lines.append(f"{server + ' ' + transport:30} {'; '.join(parts)}\n")
        return "".join(lines)

"""How the cells ended, for the terminal and for docs/servers.md."""

import collections

ORDER = ("ok", "unsupported", "skipped", "failed")


class Results:
    def __init__(self):
        self.findings = {}  # by server: what doctor found
        self.cells = {}  # (server, transport, case): (how it ended, what ferry said and why)

    def add(self, report):
        """One of the three reports of each cell."""
        known = dict(report.user_properties)
        key = tuple(known["cell"])
        if report.failed:
            self.cells[key] = ("failed", None)
        elif report.skipped:
            self.cells[key] = ("skipped", None)
        elif report.when == "call":
            limit = known.get("unsupported")
            self.cells[key] = ("unsupported", tuple(limit)) if limit else ("ok", None)
        if "findings" in known:
            self.findings[key[0]] = known["findings"]

    def count(self, server, transport, ended):
        return sum(1 for key, cell in self.cells.items()
                   if key[:2] == (server, transport) and cell[0] == ended)

    def summary(self):
        """A line for each server and transport, and what is not ok in it."""
        rows = collections.defaultdict(lambda: collections.defaultdict(list))
        for (server, transport, case), (ended, _) in self.cells.items():
            rows[server, transport][ended].append(case)
        lines = ["\n"]
        for (server, transport), ends in rows.items():
            parts = [f"{len(ends['ok'])} ok"]
            parts += [f"{ended}: {', '.join(ends[ended])}" for ended in ORDER[1:] if ends[ended]]
            lines.append(f"{server + ' ' + transport:30} {'; '.join(parts)}\n")
        return "".join(lines)

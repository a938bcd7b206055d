"""How the cells ended, for the terminal and for docs/servers.md."""

import collections

ORDER = ("ok", "unsupported", "skipped", "failed")


class Results:
    def __init__(self):
        self.versions = {}  # by server
        self.findings = {}  # by server: what doctor found
        self.cells = {}  # (server, transport, case): (how it ended, what ferry said and why)

    def add(self, server, transport, case, report):
        key = (server, transport, case)
        if report.failed:
            self.cells[key] = ("failed", None)
        elif report.skipped:
            self.cells[key] = ("skipped", None)
        elif report.when == "call":
            limit = dict(report.user_properties).get("unsupported")
            self.cells[key] = ("unsupported", limit) if limit else ("ok", None)

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

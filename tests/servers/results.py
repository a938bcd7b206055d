"""How the cells ended."""

import collections

ORDER = ("ok", "unsupported", "skipped", "failed")


class Results:
    def __init__(self):
        self.is_quick = False
        self.versions = {}  # by server
        self.cells = {}  # (server, transport, case): (how it ended, what was said)

    def add(self, server, transport, case, report):
        key = (server, transport, case)
        if report.failed:
            said = str(report.longrepr).strip().splitlines()
            self.cells[key] = ("failed", said[-1] if said else "")
        elif report.skipped:
            self.cells[key] = ("skipped", "")
        elif report.when == "call":
            said = dict(report.user_properties).get("unsupported")
            self.cells[key] = ("unsupported", said) if said else ("ok", "")

    def table(self):
        """For a terminal: a line for each server and transport, and what is not ok in it."""
        rows = collections.defaultdict(lambda: collections.defaultdict(list))
        for (server, transport, case), (ended, _) in self.cells.items():
            rows[server, transport][ended].append(case)
        lines = ["\n"]
        for (server, transport), ends in rows.items():
            parts = [f"{len(ends['ok'])} ok"]
            parts += [f"{ended}: {' '.join(ends[ended])}" for ended in ORDER[1:] if ends[ended]]
            lines.append(f"{server + ' ' + transport:32} {'; '.join(parts)}\n")
        return "".join(lines)

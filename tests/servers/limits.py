"""What is known not to work, and what ferry says then: limits.toml."""

import pathlib
import re
import tomllib

TABLE = pathlib.Path(__file__).with_name("limits.toml")


class Refused(Exception):
    """ferry ended with another exit code than the case wants."""

    def __init__(self, arguments, ended, wanted=0):
        super().__init__(arguments, ended, wanted)
        self.code, self.said = ended.code, ended.stdout + ended.stderr
        self._words = " ".join(map(str, arguments))
        self._wanted = wanted

    def __str__(self):
        """Each thing that it said once, for whichever file."""
        told = {}
        for line in self.said.splitlines():
            if " info " not in line:
                told.setdefault(line.partition("error=")[2] or line, line)
        return (f"ferry {self._words} ended with {self.code}, not {self._wanted}:\n"
                + "\n".join(list(told.values())[-8:]))


class Limit:
    def __init__(self, row):
        self._row = row
        self.why, self.exit_code = row["why"], row["exit_code"]

    def holds_for(self, server, transport, case):
        return (server in self._row.get("servers", [server]) and case in self._row["cases"]
                and transport in self._row.get("transports", [transport]))

    def fits(self, refused):
        return refused.code == self.exit_code and re.search(self._row["says"], refused.said)

    def message_of(self, refused):
        """The line that says it."""
        line = next(line for line in refused.said.splitlines() if re.search(self._row["says"], line))
        return re.search(self._row["says"], line)[0]

    def __str__(self):
        return f"exit code {self.exit_code} and a message like /{self._row['says']}/: {self.why}"


def read_limits():
    return [Limit(row) for row in tomllib.loads(TABLE.read_text()).get("limit", [])]


def limit_of(server, transport, case, known=tuple(read_limits())):
    return next((limit for limit in known if limit.holds_for(server, transport, case)), None)

"""A landing area on a server A, and what is delivered from there to B."""

from ferry_harness import Process, USER, run_ferry, tables
from line_proxy import known_hosts_for


class Remote:
    """A landing area on A, by default polled fast, and destination b on the other server."""

    def __init__(self, folder, a, b):
        self.folder, self.a, self.b = folder, a, b
        self.area = a.root
        self.metastore = folder / "metastore"
        self.config = folder / "ferry.toml"
        self.reach_a_by(a)

    def reach_a_by(self, line, keys=""):
        known_hosts = known_hosts_for(self.a, line.port, self.folder / "known_hosts_of_a")
        self.config.write_text(f'''metastore = "{self.metastore}"
[landing.a]
url = "sftp://{USER}@127.0.0.1:{line.port}{self.area}"
identity = "{self.a.identity}"
known_hosts = "{known_hosts}"
use_agent = false
ignore = ["*.bak"]
settle = "1s"
{keys}
[watch]
poll_interval = "300ms"
[destination.b]
url = "{self.b.url()}"
identity = "{self.b.identity}"
known_hosts = "{self.b.known_hosts}"
use_agent = false
[transfer]
retry_delay = "100ms"
''')

    def ferry(self, name, *options, **keywords):
        return run_ferry(name, "--config", self.config, *options, **keywords)

    def start(self, name, *options, under=()):
        return Process(self.folder, name, "--config", self.config, *options, under=under)

    def register(self):
        ended = self.ferry("watch", "--once", "--json")
        assert ended.code == 0, ended.stderr
        return ended.json["registered"]

    def transfer(self, *options, **keywords):
        return self.ferry("transfer", "--json", *options, **keywords)

    def upload(self, *words, **keywords):
        return self.ferry("upload", "--json", *words, **keywords)

    def rows(self):
        """The last row of each id."""
        registry, _ = tables(self.metastore)
        return {row["id"]: row for row in registry}.values()

    def states(self, path):
        return [row["state"] for row in self.rows() if row["path"] == path]

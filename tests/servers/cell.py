"""One case, with one server and one transport: a landing area, a metastore, and B's directory."""

import contextlib
import json
import os
import re
import shutil
import subprocess

from ferry_harness import (Process, Run, check_exit_code, command, environment, eventually,
                           make_big_file, relative_files, tables)
from limits import Refused
from observer import Observer, has_final_name, version_of
from sftp_server import UID

MIB = 1 << 20
HANG = 100  # seconds: no run of a case takes that long


def give_to_account(top):
    for folder, _, names in os.walk(top):
        for path in (folder, *(os.path.join(folder, name) for name in names)):
            os.chown(path, UID, UID)


class Cell:
    def __init__(self, folder, server, transport, scale):
        self.folder, self.server, self.transport, self.scale = folder, server, transport, scale
        self.landing = folder / "landing"
        self.landing.mkdir()
        self.area = f'path = "{self.landing}"'
        self.metastore = folder / "metastore"
        self.root = self.top = server.make_directory(f"b-{folder.name}")
        self.known_hosts = folder / "known_hosts"
        self.authentication = f'identity = "{server.identity}"'
        self.configure()
        self.observer = Observer(self.root)
        self.is_tampered_with = False  # did the case itself change what was delivered?
        self._running = []

    def sized(self, size):
        """SIZE, or its share in a quick run, in bytes."""
        return max(3 * MIB, int(size * self.scale) // MIB * MIB)

    # Configuration.

    def deliver_to(self, directory):
        """From now on, instead of to the cell's own directory."""
        self.observer.stop()
        self.root, self.observer = directory, Observer(directory)
        self.configure()

    def land_at_server(self, *keys):
        """The landing area is a directory there, from now on; KEYS: more for its table."""
        self.landing = self.server.make_directory(f"a-{self.folder.name}")
        self.area = "\n".join([f'url = "{self.server.url(self.landing)}"', *self._login(),
                               'settle = "1s"', *keys])
        self.configure()

    def configure(self, port=None, **tables_of_keys):
        """Writes it; `port`: of a way to the server; the other keywords: lines for more tables."""
        port = port or self.server.port
        self.known_hosts.write_text(self.server.host_key_line(port))
        lines = [f'metastore = "{self.metastore}"']
        lines += ["[landing.in]", self.area, "[destination.b]",
                  f'url = "{self.server.url(self.root, port)}"', *self._login()]
        for name, keys in tables_of_keys.items():
            lines += [f"[{name}]", keys]
        self.config.write_text("\n".join(lines) + "\n")

    @property
    def config(self):
        return self.folder / "ferry.toml"

    def _login(self):
        return [self.authentication, f'known_hosts = "{self.known_hosts}"', "use_agent = false",
                f'transport = "{self.transport}"',
                f"legacy_algorithms = {str(self.server.legacy_algorithms).lower()}"]

    # ferry.

    def environment(self, extra=None):
        self.server.look_again()
        return environment({"FERRY_CONFIG": str(self.config), **(extra or {})})

    def run(self, *arguments, env=None, stdin=None):
        try:
            ended = subprocess.run(command(*arguments), capture_output=True, timeout=HANG, text=True,
                                   env=self.environment(env), input=stdin, check=False)
        except subprocess.TimeoutExpired as hang:
            said = (hang.stderr or b"").decode(errors="replace")[-2000:]
            raise AssertionError(f"ferry {' '.join(arguments)} hangs:\n{said}") from None
        check_exit_code(arguments, ended.returncode)
        return Run(ended.returncode, ended.stdout, ended.stderr)

    def ferry(self, *arguments, wanted=0, **options):
        ended = self.run(*arguments, **options)
        if ended.code != wanted:
            raise Refused(arguments, ended, wanted)
        return ended

    def start(self, *arguments):
        process = Process(self.folder, *arguments, env=self.environment())
        self._running.append(process)
        return process

    def register(self):
        """Registers what landed; whatever is there from now on may show at B."""
        if self.server.tree in self.landing.parents:
            give_to_account(self.landing)
        for path in relative_files(self.landing):
            self.observer.allow(path, version_of(self.landing / path))
        return self.ferry("watch", "--once", "--json").json["registered"]

    def transfer(self, *options, **keywords):
        return self.ferry("transfer", "--json", *options, **keywords)

    # Files.

    def put(self, name, content):
        """Also under a name that leaves no room for another in its place."""
        path = self.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name("next.part")
        part.write_bytes(content)
        part.rename(path)

    def put_big(self, name, size):
        make_big_file(self.landing / name, size)

    # What must be so.

    def files_at_b(self):
        return [path for path in relative_files(self.root) if has_final_name(os.path.basename(path))]

    def leftovers(self):
        """What nobody will take up any more, and is not the server's own."""
        names = [(path, os.path.basename(path)) for path in relative_files(self.root)]
        return [path for path, name in names
                if name[0] == "." and not re.fullmatch(self.server.own_files, name)]

    def on_disk(self, look, wanted):
        """Asserts that look(), at the server's files, sees this; some servers take their time."""
        if self.server.writes_behind:
            with contextlib.suppress(AssertionError):
                eventually(lambda: self._seen(look) == wanted, deadline=30)
        seen = look()
        assert seen == wanted, f"{seen}, not {wanted}"

    @staticmethod
    def _seen(look):
        """Nothing if a server renamed a file of its own meanwhile."""
        with contextlib.suppress(FileNotFoundError):
            return look()

    def check_delivered(self):
        """B has the landing area's files, the same bytes, and nothing else; control files and tables
        say so."""
        self.on_disk(self._differences, [])
        left = self.leftovers()
        assert not left, f"left at B: {left}"
        self._check_control_files()
        self.check_records()
        registry, _ = tables(self.metastore)
        ready = {row["id"] for row in registry if row.get("state", "ready") == "ready"}
        delivered = {row["id"] for row in self._successes()}
        assert {row["path"] for row in registry if row["id"] in delivered} >= {
            row["path"] for row in registry if row["id"] in ready}

    def is_recorded(self, path):
        registry, _ = tables(self.metastore)
        ids = {row["id"] for row in registry if row["path"] == path}
        return any(row["id"] in ids for row in self._successes())

    def check_records(self):
        """What is recorded as successful is at B: these bytes, or those of a newer version."""
        registry, _ = tables(self.metastore)
        paths = {row["id"]: row["path"] for row in registry}
        known = {}
        for row in registry:
            known.setdefault(row["path"], set()).add(row["checksum"])
        for path in {paths[row["id"]] for row in self._successes()}:
            found = "sha256:" + version_of(self.root / path)[1]
            assert found in known[path], f"{path} is recorded as successful, and B has other bytes"

    def finish(self):
        """At the end of every case, however it went."""
        for process in self._running:
            if process.popen.poll() is None:
                process.kill()
        self.observer.stop()
        if not self.is_tampered_with and not self.server.writes_behind:
            assert self.observer.wrong == [], "seen at B under a final name"
        if not self.is_tampered_with:
            self.check_records()
        for path in (self.top, self.landing):
            shutil.rmtree(path, ignore_errors=True)

    def _differences(self):
        here, there = relative_files(self.landing), self.files_at_b()
        missing = [f"{path} is missing" for path in here if path not in there]
        more = [f"{path} is not ours" for path in there if path not in here]
        changed = [f"{path} differs" for path in here if path in there
                   and version_of(self.landing / path) != version_of(self.root / path)]
        return missing + more + changed

    def _check_control_files(self):
        self.on_disk(lambda: sorted(self._listed()), relative_files(self.landing))
        for path, file in self._listed().items():
            size, digest = version_of(self.root / path)
            assert (file["size"], file["checksum"]) == (size, f"sha256:{digest}"), path

    def _listed(self):
        """By path: what the control files say of it, the last one if several do."""
        listed = {}
        for path in sorted(self.root.glob("*.control.json")):
            control = json.loads(path.read_text())
            assert control["count"] == len(control["files"])
            assert control["total_bytes"] == sum(file["size"] for file in control["files"])
            listed.update({file["path"]: file for file in control["files"]})
        return listed

    def _successes(self):
        _, logs = tables(self.metastore)
        last = {row["id"]: row for row in logs}
        return [row for row in last.values() if row["transfer_status"] == "successful"]

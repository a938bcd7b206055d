"""A site with landing areas, and what interferes with it."""

import contextlib
import hashlib
import os
import pathlib
import signal
import subprocess
import threading

from ferry_harness import Process, command, environment, eventually, run_ferry, tables

# Root reads and writes everything, unless it gives that up.
HUMBLE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search",
          "--inh-caps=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()


def humble_ferry(*args):
    ended = subprocess.run([*HUMBLE, *command(*args)], capture_output=True, text=True, timeout=180,
                           env=environment(), check=False)
    return ended


class Site:
    """Landing areas, a metastore, a configuration, and the destination "b"."""

    def __init__(self, folder, server, **areas):
        self.folder, self.server = folder, server
        self.metastore = folder / "metastore"
        self.config = folder / "ferry.toml"
        text = f'metastore = "{self.metastore}"\n'
        for name, policy in areas.items():
            (folder / name).mkdir()
            text += f'[landing.{name}]\npath = "{folder / name}"\n{policy}\n'
        text += (f'[destination.b]\nurl = "{server.url()}"\nidentity = "{server.identity}"\n'
                 f'known_hosts = "{server.known_hosts}"\nuse_agent = false\n')
        self.config.write_text(text)

    def ferry(self, *args, **keywords):
        return run_ferry(*args, "--config", self.config, **keywords)

    def start(self, *args, under=()):
        return Process(self.folder, *args, "--config", self.config, under=under)

    @contextlib.contextmanager
    def watching(self, *options, under=()):
        """A watcher that has armed everything; it ends with the block."""
        watcher = self.start("watch", *options, under=under)
        try:
            eventually(lambda: " ready" in watcher.log(), deadline=60, what="the watcher")
            yield watcher
        finally:
            ferry = [watcher.popen.pid, *children_of(watcher.popen.pid)][-1]
            if watcher.popen.poll() is None:
                os.kill(ferry, signal.SIGTERM)
            watcher.ended = watcher.wait(timeout=60)
        assert watcher.ended.code == 0, watcher.ended.stderr

    def watch_once(self):
        ended = self.ferry("watch", "--once", "--json")
        assert ended.code == 0, ended.stderr
        return ended.json

    def transfer(self, *options):
        return self.ferry("transfer", "--json", *options)

    def held(self):
        ended = self.ferry("quarantine", "list", "--json")
        assert ended.code == 0, ended.stderr
        return ended.json_lines

    def reasons(self):
        return {pathlib.PurePath(file["path"]).name: file["reason"] for file in self.held()}

    def status(self):
        return self.ferry("status", "--json").json

    def rows(self, path):
        """All versions of a path, oldest first, as they are now."""
        registry, _ = tables(self.metastore)
        latest = {row["id"]: row for row in registry if row["path"] == path}
        return list(latest.values())

    def failures(self):
        """The errors of what failed, by path."""
        registry, logs = tables(self.metastore)
        paths = {row["id"]: row["path"] for row in registry}
        found = {}
        for row in logs:
            if row["transfer_status"] == "failed":
                found.setdefault(paths[row["id"]], []).append(row["error"])
        return found

    def known_contents(self, path):
        return {row["checksum"] for row in self.rows(path)}

    def check_target(self, path):
        """What B has under this name is one whole version that the registry knows, or nothing."""
        try:
            content = (self.server.root / path).read_bytes()
        except FileNotFoundError:
            return None
        checksum = checksum_of(content)
        eventually(lambda: checksum in self.known_contents(path), what=f"a row for what B has")
        return content


def children_of(pid):
    return [int(child) for child in
            pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def checksum_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Meddler:
    """Calls WORK again and again until the block ends."""

    def __init__(self, work):
        self._work, self.rounds = work, 0
        self._stop = threading.Event()
        self._error = None
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            while not self._stop.is_set():
                self._work(self.rounds)
                self.rounds += 1
        except Exception as error:  # pylint: disable=broad-except
            self._error = error

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        assert self._error is None, self._error

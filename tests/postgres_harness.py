"""A PostgreSQL server of the tests' own: in a throw-away directory, on a socket and on 127.0.0.1."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

import pytest

from ferry_harness import eventually, free_port


def programs():
    """Where the newest PostgreSQL's programs are."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if found:
        return found[-1].parent
    assert "FERRY_REQUIRE_POSTGRESQL" not in os.environ, "no PostgreSQL here"
    return pytest.skip("no PostgreSQL here; `make test-postgres` fetches it")


class Postgres:
    """As the account postgres where we are root, whom it refuses."""

    def __init__(self, *settings, primary=None):
        self._programs = programs()
        self._settings = settings
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ferry-postgres-"))
        self._account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        if self._account:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
        self.port = free_port()
        self._process = None
        if primary:
            self._run("pg_basebackup", "-D", self.data, "-R", "-c", "fast", "-h", primary.folder, "-p",
                      str(primary.port), "-U", "postgres")
        else:
            self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                      "--locale=C.UTF-8", "--no-sync")
        self.start()

    @property
    def data(self):
        return self.folder / "data"

    @property
    def pid(self):
        return self._process.pid

    def _as_account(self):
        if not self._account:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}

    def _run(self, name, *arguments):
        subprocess.run([self._programs / name, *arguments], check=True, cwd="/",
                       stdout=subprocess.DEVNULL, **self._as_account())

    def start(self, *more):
        options = [word for setting in (f"port={self.port}", "listen_addresses=127.0.0.1",
                                        f"unix_socket_directories={self.folder}", "fsync=off",
                                        "max_connections=200", *self._settings, *more)
                   for word in ("-c", setting)]
        log = open(self.folder / "log", "ab")
        self._process = subprocess.Popen([self._programs / "postgres", "-D", self.data, *options],
                                         stdout=log, stderr=log, cwd="/", **self._as_account())
        eventually(self.answers, deadline=60, what="PostgreSQL")

    def answers(self):
        return self._psql("postgres", "SELECT 1").returncode == 0

    def stop(self, how=signal.SIGINT):
        """SIGINT: as an administrator does; SIGQUIT: as in a crash."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(timeout=60)
            self._process = None

    def restart(self, how=signal.SIGINT):
        self.stop(how)
        self.start()

    def remove(self):
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def location(self, database="ferry", port=None):
        """Over TCP if PORT is given."""
        host = f"host=127.0.0.1&port={port}" if port else f"host={self.folder}&port={self.port}"
        return f"postgresql:///{database}?user=postgres&{host}"

    def _psql(self, database, sql):
        return subprocess.run([self._programs / "psql", "-X", "-q", "-A", "-t", "-h", self.folder, "-p",
                               str(self.port), "-U", "postgres", "-d", database, "-c", sql],
                              capture_output=True, text=True, check=False)

    def sql(self, sql, database="postgres"):
        """The lines of the answer."""
        ended = self._psql(database, sql)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.splitlines()

    def make_standby(self):
        """A server that follows this one, which waits for it with every commit."""
        standby = Postgres(*self._settings, primary=self)
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'", database="postgres")
        self.sql("SELECT pg_reload_conf()", database="postgres")
        eventually(lambda: self.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = "
                                    "'sync'", database="postgres") == ["1"], deadline=60,
                   what="the standby")
        return standby

    def make_database(self, name="ferry", more=""):
        self.sql(f"CREATE DATABASE {name} {more}", database="postgres")
        return self.location(name)

    @contextlib.contextmanager
    def holding(self, sql, database):
        """A transaction that has done SQL, and is rolled back at the end."""
        session = subprocess.Popen(
            [self._programs / "psql", "-X", "-q", "-h", self.folder, "-p", str(self.port), "-U", "postgres",
             "-d", database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            session.stdin.write(f"BEGIN; {sql};\n\\echo done\n")
            session.stdin.flush()
            assert session.stdout.readline() == "done\n"
            yield
        finally:
            session.stdin.close()
            session.wait(timeout=60)
            session.stdout.close()

    @contextlib.contextmanager
    def small_disk(self, size):
        """A tablespace "small" on a file system of SIZE bytes. Its databases have to go first."""
        disk = self.folder / "small"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], check=True)
        try:
            os.chown(disk, self._account.pw_uid, self._account.pw_gid)
            space = disk / "space"
            space.mkdir()
            os.chown(space, self._account.pw_uid, self._account.pw_gid)
            self.sql(f"CREATE TABLESPACE small LOCATION '{space}'")
            yield disk
            self.sql("DROP TABLESPACE small")
        finally:
            subprocess.run(["umount", "--lazy", disk], check=True)
            disk.rmdir()

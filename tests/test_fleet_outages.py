"""A metastore in PostgreSQL whose database is away, cannot be written, or is not what it was."""

import contextlib
import os
import signal

import pytest

from ferry_harness import eventually, make_files, put
from fleet_harness import Fleet, upload_slowly
from postgres_harness import Postgres

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")


def test_a_database_that_cannot_be_written_is_said(fleet):
    make_files(fleet.landing, 1, 100)
    fleet.register()
    fleet.postgres.sql(f"ALTER DATABASE {fleet.database} SET default_transaction_read_only = on")
    ended = fleet.transfer("--lock-timeout", "1s")
    assert ended.code == 4, ended.stderr
    assert "read-only" in ended.stderr
    fleet.postgres.sql(f"ALTER DATABASE {fleet.database} RESET default_transaction_read_only")
    assert fleet.transfer().code == 0
    fleet.check_each_once(fleet.paths())


def test_a_database_that_is_not_there_is_said(fleet):
    fleet.register()
    fleet.postgres.stop()
    try:
        ended = fleet.transfer("--lock-timeout", "1s")
        assert ended.code == 4, ended.stderr
        assert str(fleet.postgres.folder) in ended.stderr
    finally:
        fleet.postgres.start()
    assert fleet.transfer().code == 0


def test_an_agent_that_follows_outlives_the_database(fleet):
    agent = fleet.start("--follow", "--lock-timeout", "1s", "--retry-after", "1s")
    eventually(lambda: " ready" in agent.log(), deadline=60, what="the agent")
    fleet.postgres.stop()
    eventually(lambda: "database" in agent.log() or "metastore" in agent.log(), deadline=60,
               what="that it notices")
    fleet.postgres.start()
    make_files(fleet.landing, 3, 100)
    fleet.register()
    eventually(lambda: sum(fleet.successes().values()) == 3, deadline=90, what="the deliveries")
    assert agent.popen.poll() is None
    assert agent.stop().code == 0
    fleet.check_each_once(fleet.paths())


def test_a_standby_takes_over(folder, landing, server):
    primary = Postgres()
    standby = None
    fleet = Fleet(primary, folder, landing, server)
    try:
        put(landing / "slow.bin", os.urandom(2 << 20))
        make_files(landing, 20, 100)
        standby = primary.make_standby()
        fleet.location = (f"postgresql:///{fleet.database}?user=postgres&host={primary.folder},"
                          f"{standby.folder}&port={primary.port},{standby.port}"
                          "&target_session_attrs=read-write")
        fleet.register()
        follower = fleet.transfer("--lock-timeout", "1s", location=standby.location(fleet.database))
        assert follower.code == 4, follower.stderr
        assert "a standby or a read-only database" in follower.stderr
        agent = upload_slowly(fleet, 6)
        primary.stop(signal.SIGQUIT)
        standby.sql("ALTER SYSTEM SET synchronous_standby_names = ''", database="postgres")
        standby.sql("SELECT pg_promote()", database="postgres")
        fleet.postgres = standby
        ended = agent.wait()
        assert ended.code == 0, ended.stderr
        fleet.check_each_once(fleet.paths())
    finally:
        fleet.end()
        for one in (primary, standby):
            if one:
                one.remove()


def test_too_many_connections_are_waited_for(fleet):
    make_files(fleet.landing, 3, 100)
    fleet.register()
    fleet.postgres.sql("CREATE ROLE crowded LOGIN SUPERUSER CONNECTION LIMIT 0")
    fleet.postgres.sql("ALTER ROLE crowded NOSUPERUSER")
    location = fleet.location.replace("user=postgres", "user=crowded")
    ended = fleet.transfer("--lock-timeout", "1s", location=location)
    assert ended.code == 4, ended.stderr
    assert "too many connections" in ended.stderr
    patient = fleet.start(location=location)
    eventually(lambda: "trying again" in patient.log(), deadline=60, what="that it waits")
    fleet.postgres.sql("ALTER ROLE crowded SUPERUSER CONNECTION LIMIT -1")
    ended = patient.wait()
    assert ended.code == 0, ended.stderr
    fleet.check_each_once(fleet.paths())


def test_a_newer_schema_is_refused(fleet):
    fleet.register()
    fleet.sql("UPDATE metastore SET format_version = 99")
    for ended in (fleet.transfer(), fleet.run("status"), fleet.run("metastore", "upgrade")):
        assert ended.code == 4
        assert "use a newer ferry" in ended.stderr


def test_a_read_only_database_may_become_writable(fleet):
    make_files(fleet.landing, 3, 100)
    fleet.register()
    fleet.postgres.sql(f"ALTER DATABASE {fleet.database} SET default_transaction_read_only = on")
    agent = fleet.start()
    eventually(lambda: "trying again" in agent.log(), deadline=60, what="that it waits")
    fleet.postgres.sql(f"ALTER DATABASE {fleet.database} RESET default_transaction_read_only")
    ended = agent.wait()
    assert ended.code == 0, ended.stderr
    fleet.check_each_once(fleet.paths())


def test_a_statement_that_takes_too_long_is_said_and_repeated(fleet):
    """What is delivered meanwhile is recorded when the table is free again."""
    put(fleet.landing / "slow.bin", os.urandom(2 << 20))
    fleet.register()
    fleet.postgres.sql(f"ALTER DATABASE {fleet.database} SET statement_timeout = '300ms'")
    agent = upload_slowly(fleet, 2)
    with fleet.postgres.holding("LOCK TABLE transfer_logs", fleet.database):
        eventually(lambda: "statement_timeout" in agent.log(), deadline=60, what="that it says so")
        assert fleet.server.files() == ["slow.bin"]
    ended = agent.wait()
    assert ended.code == 0, ended.stderr
    fleet.check_each_once(["slow.bin"])


@needs_root
def test_a_full_disk_is_said_and_costs_nothing(postgres, folder, landing, server):
    """It is full when the agent would record what it has delivered, and has room again later."""
    with postgres.small_disk(48 << 20) as disk:
        fleet = Fleet(postgres, folder, landing, server, "TABLESPACE small")
        try:
            make_files(landing, 1000, 10)
            put(landing / "slow.bin", os.urandom(2 << 20))
            fleet.register()
            agent = upload_slowly(fleet, 4)
            ballast = disk / "ballast"
            fill(ballast)
            eventually(lambda: "the database's disk is full" in agent.log(), deadline=60,
                       what="that it says so")
            ballast.unlink()
            ended = agent.wait()
            assert ended.code == 0, ended.stderr
            fleet.check_each_once(fleet.paths())
        finally:
            fleet.end()
            postgres.sql(f"DROP DATABASE {fleet.database} WITH (FORCE)")


def fill(path):
    with open(path, "wb", buffering=0) as out, contextlib.suppress(OSError):
        while True:
            out.write(bytes(4096))

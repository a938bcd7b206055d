"""transfer --follow: delivers as files are registered."""

import functools
import signal

import ferry_harness
from ferry_harness import Process, Server, make_files, put, tables

eventually = functools.partial(ferry_harness.eventually, deadline=60)


def start(folder, transfer_arguments, *options):
    follower = Process(folder, *transfer_arguments, "--follow", *options)
    eventually(lambda: " ready" in follower.log(), what="the agent")
    return follower


def test_what_is_registered_is_delivered_until_a_stop(
        folder, landing, server, register, transfer_arguments):
    put(landing / "before", b"x")
    register()
    follower = start(folder, transfer_arguments)
    eventually(lambda: server.files() == ["before"], what="the first file at the server")
    put(landing / "while", b"y")
    register()
    eventually(lambda: server.files() == ["before", "while"], what="the second file")
    assert follower.stop().code == 0


def test_a_destination_that_comes_back_gets_its_files(
        folder, landing, server, register, transfer_arguments):
    port = server.port
    server.stop()
    put(landing / "a", b"x")
    register()
    follower = start(folder, transfer_arguments)
    eventually(lambda: "next_try_in" in follower.log(), what="the failure in the log")
    server.start(port)
    eventually(lambda: server.files() == ["a"], what="the file at the server")
    assert follower.stop().code == 0


def test_it_may_end_when_nothing_is_pending(
        folder, landing, metastore, server, register, transfer_arguments):
    put(landing / "a", b"x")
    register()
    (server.root / "a").mkdir()
    (server.root / "a" / "in the way").touch()
    ended = Process(folder, *transfer_arguments, "--follow", "--exit-when-idle", "100ms",
                    "--retry-after", "100ms", "--max-attempts", "3").wait()
    assert ended.code == 1, ended.stderr
    failures = [row for row in tables(metastore)[1] if row["transfer_status"] == "failed"]
    assert [row["attempt"] for row in failures] == [1, 2, 3]
    assert not (metastore / "pending").exists()


def test_a_hangup_brings_a_new_destination(folder, landing, metastore, register, server, ferry):
    other = Server(folder / "other")
    try:
        write_configuration(folder, landing, metastore, one=server)
        follower = start(folder, ["transfer", "--config", folder / "ferry.toml"])
        put(landing / "a", b"x")
        assert ferry("watch", "--once", "--config", folder / "ferry.toml").code == 0
        eventually(lambda: server.files() == ["a"], what="the file at the first server")
        write_configuration(folder, landing, metastore, one=server, two=other)
        follower.popen.send_signal(signal.SIGHUP)
        eventually(lambda: other.files() == ["a"], what="the file at the second server")
        assert follower.stop().code == 0
    finally:
        other.stop()


def write_configuration(folder, landing, metastore, **destinations):
    lines = [f'metastore = "{metastore}"', "[landing.in]", f'path = "{landing}"']
    for name, server in destinations.items():
        lines += [f"[destination.{name}]", f'url = "{server.url()}"',
                  f'identity = "{server.identity}"', f'known_hosts = "{server.known_hosts}"',
                  "use_agent = false"]
    put(folder / "ferry.toml", "\n".join(lines).encode())


def test_follow_takes_no_files_by_name(ferry, landing, metastore, server, transfer_arguments):
    assert ferry(*transfer_arguments, "--follow", "a").code == 2
    assert ferry(*transfer_arguments, "--exit-when-idle", "1s").code == 2


def test_a_deadline_is_for_runs_that_end(ferry, landing, metastore, register):
    ended = ferry("transfer", "--follow", "--deadline", "2s", "--landing", landing,
                  "--metastore", metastore, "--to", "sftp://x@127.0.0.1/")
    assert ended.code == 2 and "--deadline is for runs that end" in ended.stderr


def test_what_is_pending_in_an_area_that_is_gone_keeps_nobody(configured, landing, folder):
    configured.write("")
    make_files(landing, 1, 10)
    configured.register()
    configured.file.write_text(configured.file.read_text().replace("[landing.in]", "[landing.renamed]"))
    ended = configured.run("transfer", "--to", "b", "--follow", "--exit-when-idle", "100ms")
    assert ended.code == 0
    doctor = configured.run("doctor", "--to", "b")
    assert "1 pending files are of landing areas that this configuration does not have" in doctor.stdout
    (folder / "unused").mkdir()
    doctor = configured.run("doctor", "--to", "b", "--landing", folder / "unused")
    assert "that this configuration does not have" not in doctor.stdout

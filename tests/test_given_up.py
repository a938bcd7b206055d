"""What failed too often is given up, and everybody says so until somebody retries it."""

import pytest

from ferry_harness import Process, make_files, relative_files


@pytest.fixture
def blocked(server, landing, register):
    """Three files; where the first two should go lie directories."""
    make_files(landing, 3, 100)
    for name in relative_files(landing)[:2]:
        (server.root / name / "in the way").mkdir(parents=True)
    register()
    return relative_files(landing)[:2]


@pytest.fixture
def run(ferry, landing, metastore, server):
    def start(*options, **keywords):
        return ferry("transfer", "--landing", landing, "--metastore", metastore,
                     *server.options(), "--max-attempts", "2", "--retries", "1", "--retry-delay",
                     "10ms", *options, **keywords)

    return start


def test_each_run_that_leaves_them_out_says_so_and_fails(ferry, run, blocked, server, metastore):
    for _ in range(2):
        assert run().code == 1
    for options in ((), ("--idle-exit-code", "99"), ("--since", "2026-01-01"), ("--dry-run",)):
        ended = run(*options)
        assert ended.code == 1, options
        assert "2 given up" in ended.stdout
        assert "ferry retry" in ended.stdout
    assert run("--json").summary["given_up"] == 2
    assert "files given up" in run().stderr
    assert run("--until", "2026-01-01", "--idle-exit-code", "99").code == 99
    for name in blocked:
        (server.root / name / "in the way").rmdir()
        (server.root / name).rmdir()
    # By name it is tried all the same, and the other one is not asked about.
    assert run(blocked[0]).code == 0
    assert run().code == 1
    assert ferry("retry", "--failed", "--metastore", metastore).code == 0
    ended = run()
    assert (ended.code, "given up" in ended.stdout) == (0, False)


def test_status_and_list_tell_them_from_what_is_tried_again(ferry, run, blocked, metastore):
    run()
    options = ["--metastore", metastore]
    assert "given up" not in ferry("status", *options).stdout
    run()
    # Both know max_attempts from a configuration file; without one it is 5.
    config = metastore.parent / "ferry.toml"
    config.write_text(f'metastore = "{metastore}"\n[transfer]\nmax_attempts = 2\n')
    options = ["--config", config]
    status = ferry("status", "--json", *options).json
    assert (status["failed"], status["given_up"]) == (2, 2)
    assert "2 given up" in ferry("status", *options).stdout
    listed = ferry("list", "--json", *options).json_lines
    assert {line["path"]: line["given_up"] for line in listed if line["given_up"]} == {
        name: True for name in blocked}
    assert "given up after 2 attempts" in ferry("list", *options).stdout
    assert "ferry_given_up_files" in ferry("status", "--prometheus", *options).stdout


def test_a_following_agent_says_it_once_and_ends_with_it(
        folder, run, blocked, transfer_arguments):
    for _ in range(2):
        run()
    follower = Process(folder, *transfer_arguments, "--max-attempts", "2", "--follow",
                       "--exit-when-idle", "1s")
    ended = follower.wait()
    assert ended.code == 1, ended.stderr
    assert ended.stderr.count("files given up") == 1


@pytest.mark.parametrize("command", ["status", "list", "retry", "resend"])
def test_a_destination_that_nobody_knows_is_an_error(configured, landing, command):
    configured.write("")
    make_files(landing, 1, 10)
    configured.register()
    assert configured.transfer().code == 0
    words = {"retry": ["--failed"], "resend": ["file-00000.dat"]}.get(command, [])
    ended = configured.run(command, *words, "--destination", "NOSUCH")
    assert (ended.code, ended.stdout) == (2, "")
    assert "no destination 'NOSUCH'" in ended.stderr and "b, c" in ended.stderr
    assert configured.run(command, *words, "--destination", "b").code == 0


def test_a_destination_of_the_log_is_known(ferry, landing, metastore, register, transfer, server):
    make_files(landing, 1, 10)
    register()
    transfer()
    ended = ferry("status", "--json", "--destination", server.url(), "--metastore", metastore)
    assert (ended.code, ended.json["successful"]) == (0, 1)
    near = ferry("status", "--destination", server.url()[:-1], "--metastore", metastore)
    assert near.code == 2
    assert "did you mean" in near.stderr

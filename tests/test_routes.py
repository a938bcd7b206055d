"""Which files go where, under which name, and what becomes of them afterwards."""

import datetime
import json

import pytest

from ferry_harness import REPOSITORY, make_files, put, same_tree, tables


CSV_TO_B = '[route.csv]\nmatch = ["*.csv"]\nto = ["b"]\n'
REST_TO_C = '[route.rest]\nto = ["c"]\n'


def test_the_first_route_that_takes_a_file_decides(configured, landing, server, other_server):
    configured.write(CSV_TO_B + REST_TO_C)
    put(landing / "deep" / "a.csv", b"a")
    put(landing / "a.txt", b"t")
    assert configured.register() == 2
    assert configured.standings() == {("deep/a.csv", "b"): "pending", ("a.txt", "c"): "pending"}
    ended = configured.transfer()
    assert ended.code == 0, ended.stderr
    assert server.files() == ["deep/a.csv"]
    assert other_server.files() == ["a.txt"]
    assert configured.standings() == {("deep/a.csv", "b"): "successful",
                                      ("a.txt", "c"): "successful"}
    assert not configured.is_pending()


def test_or_all_of_them(configured, landing, server, other_server):
    configured.write('routing = "all"\n' + CSV_TO_B + REST_TO_C)
    put(landing / "a.csv", b"a")
    put(landing / "a.txt", b"t")
    configured.register()
    assert configured.transfer().code == 0
    assert server.files() == ["a.csv"]
    assert other_server.files() == ["a.csv", "a.txt"]


def test_a_file_goes_to_a_destination_once_by_the_first_of_its_routes(configured, landing, server):
    configured.write('routing = "all"\n[route.renamed]\nmatch = "*.csv"\nto = "b"\nrename = "first-{name}"\n'
                     '[route.rest]\nto = "b"\n')
    put(landing / "a.csv", b"a")
    put(landing / "a.txt", b"t")
    configured.register()
    ended = configured.transfer()
    assert ended.code == 0, ended.stderr
    assert server.files() == ["a.txt", "first-a.csv"]
    assert configured.transfer("--idle-exit-code", "99").code == 99


def test_a_file_that_no_route_takes_is_not_pending(configured, landing, server, other_server):
    configured.write(CSV_TO_B)
    put(landing / "a.txt", b"t")
    assert configured.register() == 1
    assert not configured.is_pending()
    assert configured.standings() == {("a.txt", None): "unrouted"}
    assert configured.transfer("--idle-exit-code", "99").code == 99
    named = configured.transfer("a.txt")
    assert "no route leads" in named.stderr
    assert server.files() == other_server.files() == []
    configured.write(CSV_TO_B + REST_TO_C)  # routes hold for all that is not delivered yet
    assert configured.transfer().code == 0
    assert other_server.files() == ["a.txt"]


def test_routes_of_a_landing_area(configured, folder, landing, server, other_server):
    configured.write(f'[landing.more]\npath = "{folder}/more"\n'
                     '[route.in]\nlanding = ["in"]\nto = "b"\n'
                     '[route.more]\nlanding = ["more"]\nto = "c"\nrename = "{landing}/{path}"\n')
    put(landing / "a", b"1")
    put(folder / "more" / "a", b"2")
    configured.register()
    assert configured.transfer().code == 0
    assert server.files() == ["a"]
    assert other_server.files() == ["more/a"]


def test_each_destination_has_its_own_names_logs_and_control_file(
        configured, landing, metastore, server, other_server):
    configured.write(
        '[route.b]\nmatch = "*.csv"\nto = ["b", "c"]\n'
        'rename = "{date:%Y%m%d}/{stem}-{id}{ext}"\n',
        b='control_dir = "control"\ncontrol_name = "list-{batch_id}.json"\nconnections = 1',
        c='control_name = "{destination}-{date:%Y}.json"\nbandwidth_limit = "100M"')
    put(landing / "x" / "a.csv", b"a")
    configured.register()
    ended = configured.transfer()
    assert ended.code == 0, ended.stderr
    registry, logs = tables(metastore)
    day = datetime.datetime.now(datetime.timezone.utc)
    name = f"{day:%Y%m%d}/a-{registry[0]['id']}.csv"
    for target in (server, other_server):
        assert (target.root / name).read_bytes() == b"a"
    done = [row for row in logs if row["transfer_status"] == "successful"]
    assert sorted(row["destination"] for row in done) == ["b", "c"]
    assert {row["remote_path"].endswith(name) for row in done} == {True}
    by_name = {one["destination"]: one for one in ended.json["destinations"]}
    assert by_name["b"]["control_file"].endswith(f"list-{by_name['b']['batch_id']}.json")
    assert by_name["c"]["control_file"] == f"{other_server.root}/c-{day:%Y}.json"
    control = json.loads((other_server.root / f"c-{day:%Y}.json").read_text())
    assert [file["path"] for file in control["files"]] == [name]


def test_a_dry_run_tells_names_and_destinations(configured, landing):
    configured.write('[route.b]\nto = ["b"]\nrename = "new-{name}"\n')
    put(landing / "a", b"1")
    configured.register()
    (line,) = configured.transfer("--dry-run").json_lines
    assert (line["destination"], line["path"], line["remote_name"]) == ("b", "a", "new-a")
    assert "as new-a" in configured.run("transfer", "--dry-run").stdout


def test_a_dry_run_tells_of_a_name_that_cannot_be(configured, landing):
    configured.write('[route.b]\nto = ["b"]\nrename = "{ext}"\n')
    put(landing / "a", b"1")
    configured.register()
    ended = configured.transfer("--dry-run")
    (line,) = ended.json_lines
    assert (ended.code, line["remote_name"]) == (1, None) and line["error"]
    assert "would give up a for b: " in configured.run("transfer", "--dry-run").stdout


def test_two_files_with_one_remote_name_are_not_both_sent(configured, landing, server):
    configured.write('[route.b]\nto = ["b"]\nrename = "{name}"\n')
    put(landing / "x" / "a", b"first")
    configured.register()
    put(landing / "y" / "a", b"second")
    configured.register()
    ended = configured.transfer()
    assert ended.code == 1
    assert "is also that of an older file in the same batch" in ended.stderr
    assert (server.root / "a").read_bytes() == b"first"


def test_a_destination_that_is_down_gets_its_files_later(configured, landing, server, other_server):
    configured.write('[route.both]\nto = ["b", "c"]\n')
    make_files(landing, 5, 100)
    configured.register()
    port = other_server.port
    other_server.stop()
    ended = configured.transfer()
    assert ended.code == 3, ended.stderr
    assert same_tree(landing, server.root)
    standings = configured.standings()
    assert {status for (_, to), status in standings.items() if to == "b"} == {"successful"}
    assert {status for (_, to), status in standings.items() if to == "c"} <= {"pending", "failed"}
    assert configured.is_pending()
    other_server.start()
    configured.file.write_text(configured.file.read_text().replace(str(port),
                                                                   str(other_server.port)))
    again = configured.transfer()
    assert again.code == 0, again.stderr
    assert same_tree(landing, other_server.root)
    assert [one["selected"] for one in again.json["destinations"]] == [0, 5]
    assert not configured.is_pending()


def test_a_route_may_let_files_wait(configured, landing, server):
    def write(wait):
        configured.write('[route.now]\nmatch = ["now*"]\nto = ["b"]\n'
                         f'[route.later]\nto = ["b"]\n{wait}\n')

    write('delay = "1h"')
    put(landing / "now", b"1")
    put(landing / "a", b"first")
    configured.register()
    assert configured.transfer().code == 0
    assert server.files() == ["now"]
    assert configured.is_pending()
    put(landing / "a", b"second")
    configured.register()
    write('min_age = "1h"')
    assert configured.transfer("--idle-exit-code", "99").code == 99
    assert "have to wait" in configured.transfer("a").stderr
    write('min_age = "1ms"')
    ended = configured.transfer()
    assert ended.code == 0, ended.stderr  # and what "a" was before is no failure
    assert (server.root / "a").read_bytes() == b"second"
    assert not configured.is_pending()


def test_another_destination_on_the_command_line_gets_every_file(
        configured, landing, server, folder):
    configured.write(REST_TO_C)
    put(landing / "a", b"1")
    configured.register()
    ended = configured.transfer(*server.options(server.folder / "elsewhere"))
    assert ended.code == 0, ended.stderr
    assert (server.folder / "elsewhere" / "a").read_bytes() == b"1"


@pytest.mark.parametrize("routes, line, words", [
    ('[route.x]\nto = ["d"]\n', 2, "unknown destination 'd'"),
    ('[route.x]\nto = ["b"]\n\ntransforms = ["gzipp"]\n', 4, "did you mean 'gzip'"),
    ('[route.x]\nto = ["b"]\nrename = "one.csv"\n', 3, "same name"),
    ('[route.x]\nto = ["b"]\n[route.y]\nto = ["c"]\nmatch = ["*.csv"]\n', 5, "never takes a file"),
    ('[route.x]\nto = ["b"]\nmtach = ["*"]\n', 3, "did you mean 'match'"),
])
def test_contradictions_are_found_with_their_line(configured, routes, line, words):
    configured.write("")
    first = configured.file.read_text().count("\n")
    configured.write(routes)
    ended = configured.run("config", "check")
    assert ended.code == 2
    assert ended.stdout.count("\n") == 1
    assert ended.stdout.startswith(f"{configured.file}:{first + line}:")
    assert words in ended.stdout
    assert configured.run("transfer").code == 2


BOTH_THEN = '[route.both]\nto = ["b", "c"]\nafter = '


def registry_states(metastore):
    last = {row["id"]: row for row in tables(metastore)[0]}
    return sorted((row["path"], row.get("state", "ready"), row.get("reason", ""))
                  for row in last.values())


def test_a_source_is_deleted_when_all_destinations_have_it(configured, landing, metastore, server,
                                                           other_server):
    configured.write(BOTH_THEN + '"delete"\n')
    make_files(landing / "deep", 3, 100)
    configured.register()
    port = other_server.port
    other_server.stop()
    assert configured.transfer().code == 3
    assert len(server.files()) == 3
    assert len(list((landing / "deep").iterdir())) == 3
    other_server.start()
    configured.file.write_text(configured.file.read_text().replace(str(port),
                                                                   str(other_server.port)))
    ended = configured.transfer()
    assert ended.code == 0, ended.stderr
    assert len(other_server.files()) == 3
    assert list((landing / "deep").iterdir()) == []
    assert {state[1:] for state in registry_states(metastore)} == \
        {("missing", "delivered, and deleted")}
    assert set(configured.standings().values()) == {"successful"}
    assert configured.register() == 0


@pytest.mark.parametrize("registered", [True, False])
def test_a_newer_version_is_never_deleted(configured, landing, server, other_server, registered):
    configured.write(BOTH_THEN + '"delete"\n')
    put(landing / "a", b"delivered")
    configured.register()
    configured.write('[route.both]\nto = ["b", "c"]\n')
    assert configured.transfer().code == 0
    put(landing / "a", b"newer")
    if registered:
        configured.register()
    configured.write(BOTH_THEN + '"delete"\n')
    assert configured.transfer("--until", "2000-01-01").code == 0
    assert (landing / "a").read_bytes() == b"newer"
    configured.register()
    assert configured.transfer().code == 0
    assert (server.root / "a").read_bytes() == b"newer"
    assert not (landing / "a").exists()


def test_an_archive_keeps_paths_and_versions(configured, folder, landing, metastore):
    archive = folder / "archive"
    configured.write(BOTH_THEN + f'"archive"\narchive = "{archive}"\n')
    for content in (b"one", b"two"):
        put(landing / "x" / "a.csv", content)
        configured.register()
        assert configured.transfer().code == 0
        assert not (landing / "x" / "a.csv").exists()
    first, second = sorted(archive.rglob("*.csv*"))
    assert (first.read_bytes(), second.read_bytes()) == (b"one", b"two")
    newest = tables(metastore)[0][-1]["id"]
    assert second.name == f"a.csv.{newest}"
    assert {state[1:] for state in registry_states(metastore)} == \
        {("missing", f"delivered, and archived in {archive}")}


def test_the_same_content_again_is_delivered_again_after_its_deletion(configured, landing, server):
    configured.write('[route.b]\nto = ["b"]\nafter = "delete"\n')
    for _ in range(2):
        put(landing / "a", b"same")
        assert configured.register() == 1
        ended = configured.transfer()
        assert ended.json["destinations"][0]["successful"] == 1
        assert not (landing / "a").exists()
    assert len(server.control_files()) == 2


def test_the_documented_example_is_right(ferry, folder):
    text = (REPOSITORY / "docs" / "routes.md").read_text()
    example = text.split("```toml\n")[1].split("```")[0]
    (folder / "ferry.toml").write_text(example)
    ended = ferry("config", "check", "--config", folder / "ferry.toml")
    assert ended.code == 0, ended.stdout


@pytest.mark.parametrize("check, refused, reason", [
    ('empty = "quarantine"', b"", "it is empty"),
    ('min_size = "3"', b"ab", "it has 2 bytes, less than min_size (3)"),
    ('max_size = "5"', b"abcdef", "it has 6 bytes, more than max_size (5)"),
    ('magic = ["616263"]', b"cba", "it starts with 636261, not with 616263"),
    ('validate = ["grep", "-q", "abc"]', b"no", "grep: exit status 1"),
])
def test_a_route_refuses_what_fails_its_own_checks(
        configured, landing, server, check, refused, reason):
    configured.write(f'[route.b]\nto = ["b"]\n{check}\n')
    put(landing / "good", b"abc")
    put(landing / "bad", refused)
    assert configured.register() == 2
    ended = configured.transfer()
    assert ended.code == 1
    assert f"bad: refused by route b: {reason}" in ended.stderr
    assert server.files() == ["good"]
    (held,) = configured.run("quarantine", "list", "--json").json_lines
    assert (held["path"], reason in held["reason"]) == ("bad", True)
    assert configured.run("quarantine", "release", "bad").code == 0
    assert configured.transfer().code == 0
    assert server.files() == ["bad", "good"]


def test_what_one_route_refuses_stays_for_the_others(configured, landing, server, other_server):
    configured.write('routing = "all"\n[route.csv]\nto = ["b"]\nextensions = ["csv"]\n' + REST_TO_C)
    put(landing / "a.txt", b"t")
    configured.register()
    assert configured.transfer("--to", "b").code == 1
    assert configured.standings() == {("a.txt", "b"): "failed", ("a.txt", "c"): "pending"}
    assert configured.transfer().code == 1  # it is given up for b
    assert (server.files(), other_server.files()) == ([], ["a.txt"])
    assert not configured.is_pending()


def test_what_cannot_be_judged_is_not_abnormal(configured, landing, server):
    configured.write('[route.b]\nto = ["b"]\nvalidate = ["/not/there"]\n')
    put(landing / "a", b"1")
    configured.register()
    assert configured.transfer().code == 1
    assert configured.standings() == {("a", "b"): "failed"}
    configured.write('[route.b]\nto = ["b"]\nvalidate = ["true"]\n')
    assert configured.transfer().code == 0
    assert server.files() == ["a"]

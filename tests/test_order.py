"""Which files go first."""

import pytest

from ferry_harness import put, tables


@pytest.fixture
def began(configured, landing):
    """The paths in the order in which their deliveries began, one at a time."""

    def run(routes):
        configured.write(routes, b="connections = 1")
        for name, size in (("c.dat", 300), ("a.dat", 200), ("b.dat", 100), ("last.txt", 10)):
            put(landing / name, name.encode() * size)
            configured.register()
        ended = configured.transfer("--files-in-flight", "1", "--batch-files", "1", "--to", "b")
        assert ended.code == 0, ended.stderr
        registry, logs = tables(configured.metastore)
        paths = {row["id"]: row["path"] for row in registry}
        return [paths[row["id"]] for row in logs if row["transfer_status"] == "in_progress"]

    return run


@pytest.mark.parametrize("order, expected", [
    ("age", ["c.dat", "a.dat", "b.dat", "last.txt"]),
    ("newest", ["last.txt", "b.dat", "a.dat", "c.dat"]),
    ("size", ["last.txt", "b.dat", "a.dat", "c.dat"]),
    ("name", ["a.dat", "b.dat", "c.dat", "last.txt"])])
def test_orders(began, order, expected):
    assert began(f'[route.all]\nto = ["b"]\norder = "{order}"\n') == expected


def test_priority_outweighs_order(began):
    assert began('[route.dat]\nmatch = ["*.dat"]\nto = ["b"]\norder = "size"\n'
                 '[route.urgent]\nto = ["b"]\npriority = 5\n') == [
        "last.txt", "b.dat", "a.dat", "c.dat"]


def test_routes_without_an_order_share_the_last_place(began):
    assert began('[route.c]\nmatch = ["c.*"]\nto = ["b"]\n[route.b]\nmatch = ["b.*"]\nto = ["b"]\n'
                 'order = "name"\n[route.rest]\nto = ["b"]\n') == [
        "b.dat", "c.dat", "a.dat", "last.txt"]


def test_mistakes_are_found(configured):
    configured.write('[route.all]\nto = ["b"]\norder = "colour"\npriority = -1\n')
    checked = configured.run("config", "check")
    assert checked.code == 2
    assert "colour" in checked.stdout and "priority" in checked.stdout

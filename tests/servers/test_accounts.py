"""Keys, passwords, and how many logins the account may have."""

import pytest
from cell import MIB
from ferry_harness import make_files
from sftp_server import PASSWORD


def nothing_happened(cell):
    assert cell.files_at_b() == [] and cell.leftovers() == []
    assert cell.run("status", "--json").json["pending"] == 3


@pytest.fixture
def three(cell):
    make_files(cell.landing, 3, 100)
    cell.register()


def test_wrong_host_key(cell, three):
    cell.server.make_key(cell.folder / "other", cell.server.host_key_type)
    key = (cell.folder / "other.pub").read_text().split()
    cell.known_hosts.write_text(f"[127.0.0.1]:{cell.server.port} {key[0]} {key[1]}\n")
    ended = cell.transfer(wanted=3)
    assert "HOST KEY" in ended.stderr
    cell.known_hosts.write_text("")
    ended = cell.transfer(wanted=3)
    assert "known_hosts" in ended.stderr
    nothing_happened(cell)


def test_wrong_user_key(cell, three):
    cell.server.make_key(cell.folder / "other", cell.server.user_key_type)
    cell.authentication = f'identity = "{cell.folder}/other"'
    cell.configure()
    cell.transfer(wanted=3)
    nothing_happened(cell)


def test_password(cell, three):
    cell.authentication = ""
    cell.configure()
    ended = cell.transfer(wanted=3, env={"FERRY_PASSWORD": "a wrong one"})
    nothing_happened(cell)
    assert "a wrong one" not in ended.stderr
    cell.transfer(env={"FERRY_PASSWORD": PASSWORD})
    cell.check_delivered()


@pytest.mark.parametrize("logins", [1, 2])
def test_login_limit(cell, logins):
    """By the server, if it has such a limit; otherwise more connections are closed at once."""
    make_files(cell.landing, 100, 3000)
    cell.put_big("large.bin", cell.sized(60 * MIB))
    cell.register()
    with cell.server.allowing(logins) as port:
        cell.configure(port)
        cell.transfer()
    cell.check_delivered()

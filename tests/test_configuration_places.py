"""Where a configuration is looked for, and the first one."""

import os
import re
import shlex

import pytest

from ferry_harness import put


@pytest.fixture
def home(folder):
    path = folder / "home"
    (path / ".config/ferry").mkdir(parents=True)
    return path


@pytest.fixture
def environment(home):
    return {"HOME": str(home), "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": ""}


def write(path, store):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'metastore = "{store}"\n')


def test_ones_own_is_found_and_outweighed(ferry, home, folder, environment):
    def store_with(*words, **more):
        shown = ferry("config", "show", *words, env={**environment, **more})
        assert shown.code == 0, shown.stderr
        return shown.stdout.partition('metastore = "')[2].partition('"')[0]

    assert store_with() == f"{home}/.local/state/ferry"
    write(home / ".config/ferry/ferry.toml", "/own")
    assert store_with() == "/own"
    write(folder / "xdg/ferry/ferry.toml", "/xdg")
    assert store_with(XDG_CONFIG_HOME=str(folder / "xdg")) == "/xdg"
    write(folder / "named.toml", "/named")
    assert store_with(FERRY_CONFIG=str(folder / "named.toml")) == "/named"
    assert store_with("--config", folder / "named.toml") == "/named"
    assert store_with("--config", "/dev/null") == f"{home}/.local/state/ferry"


def test_check_finds_it_and_says_which(ferry, home, environment):
    absent = ferry("config", "check", env=environment)
    if os.path.exists("/etc/ferry/ferry.toml"):
        pytest.skip("this host has a configuration")
    assert absent.code == 2
    assert "'ferry config init' makes" in absent.stderr
    write(home / ".config/ferry/ferry.toml", "/own")
    assert f"{home}/.config/ferry/ferry.toml: no mistakes found" in ferry(
        "config", "check", env=environment).stdout


def test_no_metastore_is_made_by_those_who_only_ask(ferry, home, environment):
    ended = ferry("status", env=environment)
    assert ended.code == 2
    assert "no metastore: give --metastore DIR" in ended.stderr
    assert not (home / ".local").exists()


def test_init_writes_one_that_works(ferry, home, environment, landing, server, monkeypatch):
    made = ferry("config", "init", "--landing", landing, *server.options(), env=environment)
    assert made.code == 0, made.stdout + made.stderr
    file = home / ".config/ferry/ferry.toml"
    assert f"{file} is written" in made.stdout
    assert file.stat().st_mode & 0o777 == 0o600
    checked = ferry("config", "check", env=environment)
    assert checked.code == 0, checked.stdout
    put(landing / "a.csv", b"a")
    assert ferry("push", landing / "a.csv", env=environment).code == 0
    assert server.files() == ["a.csv"]
    assert server.leftovers() == []

    again = ferry("config", "init", "--landing", landing, *server.options(), env=environment)
    assert again.code == 2
    assert "is there already" in again.stderr


def test_what_init_names_next_works(ferry, folder, environment, landing, server):
    made = ferry("config", "init", "--landing", landing, *server.options(), "--config", folder / "my own.toml",
                 env=environment)
    assert made.code == 0, made.stderr
    first, second = re.search(r"next: '(.*)', '(.*)'$", made.stdout.strip()).groups()
    for words in (first, second):
        assert ferry(*shlex.split(words)[1:], env=environment).code == 0, words


def test_init_says_what_is_in_the_way(ferry, home, environment, landing, server):
    (server.folder / "authorized_keys").write_text("")
    made = ferry("config", "init", "--landing", landing, *server.options(), env=environment)
    assert made.code == 3
    assert "trouble: connect" in made.stdout
    assert (home / ".config/ferry/ferry.toml").exists()


@pytest.mark.parametrize("words, message", [
    ([], "give --landing DIR"), (["--landing", "/tmp"], "give --to sftp://"),
    (["--landing", "/absent", "--to", "sftp://h/d"], "landing area /absent")])
def test_init_without_a_terminal_asks_nobody(ferry, environment, words, message):
    made = ferry("config", "init", *words, env=environment)
    assert made.code == 2
    assert message in made.stderr


def test_init_writes_all_that_it_is_given_or_says_that_it_does_not(ferry, home, environment, landing, server):
    refused = ferry("config", "init", "--landing", landing, *server.options(), "--ignore", "*.bak",
                    env=environment)
    assert refused.code == 2
    assert "init does not write --ignore" in refused.stderr
    assert not (home / ".config/ferry/ferry.toml").exists()
    odd = landing / "a\nb"
    odd.mkdir()
    made = ferry("config", "init", "--landing", odd, *server.options(), env=environment)
    assert made.code == 0, made.stderr
    assert ferry("config", "check", env=environment).code == 0

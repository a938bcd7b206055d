"""Completion, in the shells themselves."""

import shlex
import subprocess

import pytest

from ferry_harness import FERRY, environment, tool
from shell_session import ShellSession


@pytest.fixture
def shell_environment(folder):
    config = folder / "ferry.toml"
    config.write_text('[landing.partners]\npath = "in"\n[landing.press]\npath = "press"\n'
                      '[destination.warehouse]\nurl = "sftp://u@b/x"\n')
    return environment({"PATH": f"{FERRY.parent}:/usr/bin:/bin", "HOME": str(folder),
                        "TERM": "xterm", "FERRY_CONFIG": str(config)})


@pytest.fixture
def bash(folder, shell_environment):
    """The words that bash offers for the last of a line's words."""

    def complete(*words):
        script = (f"source <(ferry completion bash); COMP_WORDS=({shlex.join(words)}); "
                  "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _ferry; "
                  "printf '%s\\n' \"${COMPREPLY[@]}\"")
        ended = subprocess.run(["bash", "--norc", "-uc", script], env=shell_environment, cwd=folder,
                               capture_output=True, text=True, timeout=60, check=False)
        assert ended.stderr == ""
        return ended.stdout.split()

    return complete


@pytest.fixture
def zsh(folder, shell_environment):
    (folder / "_ferry").write_text(subprocess.run(
        ["ferry", "completion", "zsh"], env=shell_environment, capture_output=True, text=True,
        timeout=60, check=True).stdout)
    session = ShellSession([tool("zsh"), "-f", "-i"], {**shell_environment, "PS1": "READY> "},
                           folder)
    session.run("fpath=($PWD $fpath); autoload -U compinit; compinit -u -D; setopt no_beep")
    yield session
    session.close()


def test_bash_knows_commands(bash):
    assert set(bash("ferry", "")) >= {"watch", "transfer", "config", "completion", "help"}
    assert bash("ferry", "tra") == ["transfer"]
    assert bash("ferry", "--log-level", "debug", "sta") == ["status"]
    assert bash("ferry", "help", "stat") == ["status"]


def test_bash_knows_a_commands_options(bash):
    assert "--once" in bash("ferry", "watch", "--")
    assert bash("ferry", "transfer", "--dry") == ["--dry-run"]
    assert bash("ferry", "status", "--dry") == []
    assert bash("ferry", "config", "") == ["show", "check", "init"]
    assert bash("ferry", "config", "show", "") == []


def test_bash_knows_what_options_may_be(bash):
    words = ["none", "size", "readback", "remote-command"]
    assert bash("ferry", "transfer", "--verify", "") == words
    assert bash("ferry", "transfer", "--verify", "=", "read") == ["readback"]
    assert bash("ferry", "transfer", "--verify", "=") == words
    assert bash("ferry", "--log-format", "j") == ["json"]
    assert bash("ferry", "list", "--status", "fail") == ["failed"]
    assert bash("ferry", "transfer", "--retries", "") == []


def test_bash_knows_names_from_the_configuration(bash, folder):
    assert bash("ferry", "transfer", "--to", "") == ["warehouse"]
    assert bash("ferry", "watch", "--landing", "p") == ["partners", "press"]
    other = folder / "other.toml"
    other.write_text('[destination.elsewhere]\nurl = "sftp://u@c/x"\n')
    assert bash("ferry", "--config", str(other), "transfer", "--to", "") == ["elsewhere"]


def test_bash_quotes_names(bash, folder):
    (folder / "ferry.toml").write_text('[landing."a; b"]\npath = "in"\n')
    assert bash("ferry", "watch", "--landing", "a")[:2] == ["a\\;\\", "b"]


def test_bash_knows_files(bash, folder):
    (folder / "key.pem").touch()
    (folder / "keys").mkdir()
    assert sorted(bash("ferry", "transfer", "--identity", "ke")) == ["key.pem", "keys"]
    assert bash("ferry", "watch", "--metastore", "ke") == ["keys"]
    assert "key.pem" in bash("ferry", "import", "k")
    assert "key.pem" in bash("ferry", "verify", "k")


def test_tab_completes_in_bash(folder, shell_environment):
    session = ShellSession(["bash", "--norc", "--noprofile", "-i"],
                           {**shell_environment, "PS1": "READY> "}, folder)
    session.run("source <(ferry completion bash)")
    assert session.after_tab("ferry tra", "ferry transfer ")
    assert session.after_tab("ferry transfer --verify=rea", "--verify=readback ")
    session.close()


def test_tab_completes_in_zsh(zsh):
    assert zsh.after_tab("ferry tra", "transfer ")
    assert zsh.after_tab("ferry transfer --dr", "--dry-run ")
    assert zsh.after_tab("ferry transfer --verify=re", "readback ")
    assert zsh.after_tab("ferry config sh", "show ")
    assert zsh.after_tab("ferry transfer --to ", "warehouse ")
    assert zsh.after_tab("ferry list --status=", "superseded", times=2)


@pytest.fixture
def fish(folder, shell_environment):
    """The words that fish offers for the end of LINE."""

    def complete(line):
        script = f"ferry completion fish | source; complete -C {shlex.quote(line)}"
        ended = subprocess.run([tool("fish"), "--no-config", "-c", script], env=shell_environment, cwd=folder,
                               capture_output=True, text=True, timeout=60, check=False)
        assert ended.stderr == ""
        return [word.split("\t")[0] for word in ended.stdout.splitlines()]

    return complete


def test_fish_completes(fish, folder):
    (folder / "key.pem").touch()
    (folder / "keys").mkdir()
    assert fish("ferry tra") == ["transfer"]
    assert fish("ferry transfer --dry") == ["--dry-run"]
    assert fish("ferry transfer --verify=re") == ["--verify=readback", "--verify=remote-command"]
    assert fish("ferry transfer --to ") == ["warehouse"]
    assert fish("ferry transfer --identity ke") == ["key.pem", "keys/"]
    assert fish("ferry watch --metastore=ke") == ["--metastore=keys/"]


def test_the_zsh_script_is_well_formed(ferry, folder):
    script = folder / "_ferry"
    script.write_text(ferry("completion", "zsh").stdout)
    checked = subprocess.run([tool("zsh"), "-n", script], capture_output=True, text=True,
                             timeout=60, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_other_shells_are_refused(ferry):
    ended = ferry("completion", "bsh")
    assert ended.code == 2
    assert "did you mean 'bash'?" in ended.stderr

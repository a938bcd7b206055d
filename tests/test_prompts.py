"""Who sits at a terminal is asked: about host keys, for passphrases and passwords, and what a configuration is to say."""

import os
import pathlib
import pty
import re
import subprocess
import termios

import pytest

from ferry_harness import REPOSITORY, USER, Server, command, environment, eventually, put


class Terminal:
    """A run of ferry on a terminal of its own."""

    def __init__(self, *args, env):
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            words = command(*args)
            os.execvpe(words[0], words, environment({"TERM": "xterm", **env}))
        self.shown = ""
        os.set_blocking(self._fd, False)

    def _read(self):
        try:
            self.shown += os.read(self._fd, 4096).decode(errors="replace")
        except (BlockingIOError, OSError):
            pass
        return self.shown

    def expect(self, text):
        eventually(lambda: re.search(text, self._read()), what=f"{text!r} in {self.shown!r}")

    def shows_what_is_typed(self):
        return bool(termios.tcgetattr(self._fd)[3] & termios.ECHO)

    def type(self, text):
        os.write(self._fd, text.encode())

    def wait(self):
        def ended():
            self._read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return pid and (os.waitstatus_to_exitcode(status),)

        (code,) = eventually(ended, what=f"the end of ferry: {self.shown!r}")
        self._read()
        os.close(self._fd)
        return code


@pytest.fixture
def home(folder):
    (folder / "home").mkdir()
    return {"HOME": str(folder / "home"), "XDG_STATE_HOME": "", "XDG_CONFIG_HOME": ""}


def push(folder, server, home, *more):
    put(folder / "in/a.csv", b"a")
    return Terminal("push", folder / "in/a.csv", "--to", server.url(), "--no-agent",
                    "--known-hosts", folder / "known", *more, env=home)


def fingerprint(server):
    shown = subprocess.run(["ssh-keygen", "-lf", server.folder / "host_key.pub"], check=True,
                           capture_output=True, text=True).stdout
    return shown.split()[1]


def test_a_host_key_is_shown_and_accepted(folder, server, home):
    run = push(folder, server, home, "--identity", server.identity)
    run.expect(r"Is it the server's\?.*\(yes/no\)")
    assert fingerprint(server) in run.shown
    run.type("yes\n")
    assert run.wait() == 0, run.shown
    assert server.files() == ["a.csv"]
    assert len((folder / "known").read_text().splitlines()) == 1
    again = push(folder, server, home, "--identity", server.identity)
    assert again.wait() == 0
    assert "yes/no" not in again.shown


def test_the_readme_s_three_commands(folder, server, home):
    """As somebody runs them who has a key at its usual place, and has never been there."""
    readme = (REPOSITORY / "README.md").read_text().partition("\n## In three commands\n")[2].partition("\n## ")[0]
    build, pushed, listed = re.findall(r"^    (\S.*)$", readme, re.M)
    assert build == "make build"
    for key in ("id_ed25519", "id_ed25519.pub"):
        put(folder / "home/.ssh" / key, (server.folder / key.replace("id_ed25519", "user_key")).read_bytes())
    (folder / "home/.ssh/id_ed25519").chmod(0o600)
    put(folder / "report.csv", b"report")
    printed = "sftp://user@host/~/inbox"
    assert printed in pushed
    words = pushed.replace(printed, server.url(f"{server.root}/inbox")).replace("report.csv", f"{folder}/report.csv")
    run = Terminal(*words.split()[1:], env=home)
    run.expect(r"\(yes/no\)")
    run.type("yes\n")
    assert run.wait() == 0, run.shown
    assert server.files() == ["inbox/report.csv"]
    run = Terminal(*listed.split()[1:], env=home)
    assert run.wait() == 0
    assert re.search("successful.* 6 B .*report.csv", run.shown), run.shown


def test_a_host_key_is_refused(folder, server, home):
    run = push(folder, server, home, "--identity", server.identity)
    run.expect(r"\(yes/no\)")
    run.type("no\n")
    assert run.wait() == 3
    assert server.files() == []
    assert not (folder / "known").exists()


def test_a_passphrase_is_asked_for_and_not_shown(folder, server, home):
    key = folder / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f", key], check=True)
    (server.folder / "authorized_keys").write_text((folder / "locked.pub").read_text())
    run = push(folder, server, home, "--identity", key, "--accept-new-host-key")
    run.expect("Passphrase of .*locked: ")
    assert not run.shows_what_is_typed()
    run.type("open sesame\n")
    assert run.wait() == 0, run.shown
    assert "sesame" not in run.shown
    assert server.files() == ["a.csv"]


def usual_key(home, kind, passphrase=""):
    """A key where ssh-keygen puts it; its public half."""
    key = pathlib.Path(home["HOME"]) / f".ssh/id_{kind}"
    key.parent.mkdir(mode=0o700)
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", key], check=True)
    return key.with_name(f"{key.name}.pub").read_text()


def test_an_rsa_key_at_its_usual_place_is_used_and_the_host_key_asked_for(folder, server, home):
    """By ssh, which cannot ask. It does not look for keys in HOME, but at the account's home."""
    (server.folder / "authorized_keys").write_text(usual_key(home, "rsa"))
    put(folder / "bin/ssh", f'#!/bin/sh\nexec /usr/bin/ssh -o IdentityFile={home["HOME"]}/.ssh/id_rsa "$@"\n'.encode())
    (folder / "bin/ssh").chmod(0o755)
    home = {**home, "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    put(folder / "in/a.csv", b"a")
    words = ["push", folder / "in/a.csv", "--to", server.url(), "--no-agent"]
    run = Terminal(*words, "--known-hosts", folder / "known", env=home)
    run.expect(r"Is it the server's\?.*\(yes/no\)")
    assert fingerprint(server) in run.shown
    run.type("yes\n")
    assert run.wait() == 0, run.shown
    assert "Password" not in run.shown and run.shown.count("yes/no") == 1
    assert server.files() == ["a.csv"]
    doctor = Terminal("doctor", *words[2:], "--known-hosts", folder / "known", "--landing", folder / "in",
                      "--metastore", folder / "store", env=home)
    assert doctor.wait() == 0, doctor.shown


def test_a_host_key_is_refused_where_ssh_is_used(folder, server, home):
    (server.folder / "authorized_keys").write_text(usual_key(home, "rsa"))
    put(folder / "in/a.csv", b"a")
    run = Terminal("push", folder / "in/a.csv", "--to", server.url(), "--no-agent", "--known-hosts", folder / "known",
                   env=home)
    run.expect(r"\(yes/no\)")
    run.type("no\n")
    assert run.wait() == 3, run.shown
    assert "is unknown" in run.shown
    assert server.files() == [] and not (folder / "known").exists()


PASSWORD = "correct horse"
AS_A_PASSWORD = ["UsePAM yes", "PasswordAuthentication yes"]
AS_AN_ANSWER = ["UsePAM yes", "KbdInteractiveAuthentication yes", "PasswordAuthentication no"]


@pytest.fixture
def by_password(folder, request):
    """A server that wants the password of this account, by an /etc/shadow of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root, who may have mounts of its own")
    made = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True)
    with open("/etc/shadow", encoding="utf-8") as original:
        lines = [line for line in original if not line.startswith(f"{USER}:")]
    shadow = folder / "shadow"
    shadow.write_text("".join(lines) + f"{USER}:{made.stdout.strip()}:19000:0:99999:7:::\n")
    shadow.chmod(0o400)
    running = Server(folder / "server", "PubkeyAuthentication no", "PermitRootLogin yes", *request.param, under=[
        "unshare", "--mount", "sh", "-c", f'mount --bind {shadow} /etc/shadow && exec "$@"', "sh"])
    yield running
    running.stop()


@pytest.mark.parametrize("by_password", [AS_A_PASSWORD, AS_AN_ANSWER], indirect=True, ids=["password", "prompts"])
def test_a_password_is_asked_for_once_and_not_shown(folder, by_password, home):
    for number in range(200):  # work for several connections
        put(folder / f"in/{number}", b"x" * number)
    run = push(folder, by_password, home, folder / "in", "--accept-new-host-key")
    run.expect(f"Password of {USER}@127.0.0.1.*: ")
    run.type(PASSWORD + "\n")
    assert run.wait() == 0, run.shown
    assert run.shown.count("Password of") == 1
    assert PASSWORD not in run.shown
    assert len(by_password.files()) == 201


@pytest.mark.parametrize("by_password", [AS_A_PASSWORD], indirect=True)
@pytest.mark.parametrize("passphrase", ["", "open sesame"])
def test_who_has_an_rsa_key_that_is_not_wanted_is_asked_for_the_password(folder, by_password, home, passphrase):
    usual_key(home, "rsa", passphrase)
    run = push(folder, by_password, home)
    run.expect(r"\(yes/no\)")
    run.type("yes\n")
    run.expect("Password of")
    run.type(PASSWORD + "\n")
    assert run.wait() == 0, run.shown
    assert "Passphrase" not in run.shown, "of a key that libssh2 does not use"
    assert by_password.files() == ["a.csv"]


@pytest.mark.parametrize("by_password", [AS_A_PASSWORD], indirect=True)
def test_a_wrong_password_is_refused(folder, by_password, home):
    run = push(folder, by_password, home, "--accept-new-host-key")
    run.expect("Password of")
    run.type("wrong\n")
    assert run.wait() == 3, run.shown
    assert "password (refused)" in run.shown and "wrong" not in run.shown
    assert by_password.files() == []


@pytest.mark.parametrize("by_password", [AS_AN_ANSWER], indirect=True)
def test_doctor_asks_too(folder, by_password, home):
    (folder / "in").mkdir()
    run = Terminal("doctor", "--landing", folder / "in", "--metastore", folder / "store", "--to", by_password.url(),
                   "--no-agent", "--known-hosts", by_password.known_hosts, env=home)
    run.expect("Password of")
    run.type(PASSWORD + "\n")
    assert run.wait() == 0, run.shown


def test_a_first_configuration_asks_for_what_it_is_to_say(folder, server, home):
    (folder / "in").mkdir()
    run = Terminal("config", "init", "--identity", server.identity, "--no-agent", "--known-hosts", folder / "known",
                   env=home)
    run.expect("Directory where files arrive: ")
    run.type(f"{folder}/in\n")
    run.expect(r"Where to deliver \(sftp://.*: ")
    run.type(f"{server.url()}\n")
    run.expect(r"Is it the server's\?.*\(yes/no\)")
    assert fingerprint(server) in run.shown
    run.type("yes\n")
    assert run.wait() == 0, run.shown
    assert "login, writing, renaming and removing work" in run.shown
    assert "is written" in run.shown
    put(folder / "in/a.csv", b"a")
    assert Terminal("push", folder / "in/a.csv", env=home).wait() == 0
    assert server.files() == ["a.csv"]


def test_colours_are_for_terminals_and_those_who_want_them(folder, server, home):
    assert push(folder, server, home, "--identity", server.identity,
                "--accept-new-host-key").wait() == 0
    coloured = Terminal("list", env=home)
    assert coloured.wait() == 0
    assert "\x1b[32msuccessful" in coloured.shown and " ago" in coloured.shown
    plain = Terminal("list", env={**home, "NO_COLOR": "1"})
    assert plain.wait() == 0
    assert "\x1b[" not in plain.shown


def test_an_interrupt_takes_a_question_back(folder, server, home):
    known = (folder / "known").read_bytes() if (folder / "known").exists() else b""
    terminal = push(folder, server, home, "--identity", server.identity)
    terminal.expect("yes/no")
    terminal.type("\x03")
    assert terminal.wait() == 130
    after = (folder / "known").read_bytes() if (folder / "known").exists() else b""
    assert after == known

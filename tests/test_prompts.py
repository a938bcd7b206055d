"""Who sits at a terminal is asked: about host keys, for passphrases."""

import os
import pty
import re
import subprocess

import pytest

from ferry_harness import command, environment, eventually, put


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
    run.type("open sesame\n")
    assert run.wait() == 0, run.shown
    assert "sesame" not in run.shown
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

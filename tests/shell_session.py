"""A shell on a terminal of its own, and what it makes of a line when somebody presses Tab."""

import os
import pty
import re
import select
import signal
import time

CLEAR_LINE = "\x05\x15"  # to its end, and all before that

ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r|\x07|\x08")


class ShellSession:
    """COMMAND must print PROMPT whenever it waits for a line."""

    PROMPT = b"READY> "

    def __init__(self, command, environment, folder):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, environment)
        self._read_until(self.PROMPT)

    def run(self, line):
        self._send(line + "\n")
        self._read_until(self.PROMPT)

    def after_tab(self, line, expected, times=1):
        """True once the screen shows EXPECTED after LINE and Tab. Leaves an empty line behind."""
        self._send(line + "\t" * times)
        shown = self._read_until(expected.encode(), missing_ok=True)
        self.run(CLEAR_LINE)
        return shown

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)

    def _send(self, text):
        os.write(self.terminal, text.encode())

    def _read_until(self, text, deadline=30, missing_ok=False):
        end = time.monotonic() + deadline
        seen = b""
        while text not in ESCAPES.sub(b"", seen):
            ready, _, _ = select.select([self.terminal], [], [], max(0, end - time.monotonic()))
            if not ready:
                assert missing_ok, f"no {text!r} in {seen!r}"
                return False
            seen += os.read(self.terminal, 4096)
        return True

"""What may strike, and the plan that tells the processes under test (plan.h)."""

import dataclasses
import errno
import mmap
import os
import pathlib
import struct

from ferry_harness import FERRY

LIBRARY = pathlib.Path(os.environ.get("FAULT_AT_CALL",
                                      FERRY.with_name("libfault_at_call.so"))).resolve()
# Files count if their paths have this in them: every round has its folder below one of this name.
BELOW = "/crash-round/"

(CREATE, WRITE, RENAME, REMOVE, SYNC, ATTRIBUTE, LOCK, WATCH, SEND, DESCRIPTOR, OPEN,
 LOOK) = (1 << bit for bit in range(12))
NONE, KILL, KILL_AFTER, STOP, FAIL, TEAR, POWER_LOSS = range(7)

EVERYTHING = (1 << 12) - 1
CHANGES = CREATE | WRITE | RENAME | REMOVE | SYNC | ATTRIBUTE | LOCK | WATCH
SPACE = CREATE | WRITE | RENAME | SYNC  # what a full disk may refuse


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of fault: CALLS are those that it may strike at."""

    name: str
    calls: int
    action: int
    error: int = 0
    persistent: bool = False  # until the process ends
    at: str = "ferry"         # or "server": the session of the SFTP server
    tells: str = ""


KINDS = {kind.name: kind for kind in (
    Kind("kill", CHANGES, KILL, tells="killed before the call"),
    Kind("kill-sending", SEND, KILL, tells="killed before it connects or sends"),
    Kind("tear", WRITE, TEAR, tells="killed when half of the write is done"),
    Kind("power-loss", CHANGES, POWER_LOSS,
         tells="killed before the call; what it had written and not synced is zeros"),
    Kind("halt", CHANGES, STOP, tells="halted, while others go on; then continued"),
    Kind("EIO", CHANGES & ~LOCK, FAIL, errno.EIO),
    Kind("ENOLCK", LOCK, FAIL, errno.ENOLCK),
    Kind("ENOSPC", SPACE | WATCH, FAIL, errno.ENOSPC),
    Kind("EDQUOT", SPACE, FAIL, errno.EDQUOT, persistent=True,
         tells="from that call on until the process ends"),
    Kind("EINTR", OPEN | WRITE | SYNC | SEND, FAIL, errno.EINTR),
    Kind("EMFILE", DESCRIPTOR, FAIL, errno.EMFILE),
    Kind("unreadable", LOOK, FAIL, errno.EIO, tells="EIO when it looks or reads"),
    Kind("ECONNRESET", SEND, FAIL, errno.ECONNRESET),
    Kind("server-killed", CHANGES, KILL, at="server", tells="killed before the call"),
    Kind("server-killed-after", CHANGES, KILL_AFTER, at="server",
         tells="killed after the call: done, and the answer lost"),
    Kind("server-power-loss", CHANGES, POWER_LOSS, at="server",
         tells="killed before the call; what it had written and not synced is zeros"),
    Kind("server-halted", CHANGES, STOP, at="server",
         tells="halted until it was given up, then continued"),
    Kind("server-EIO", CHANGES & ~LOCK, FAIL, errno.EIO, at="server"),
    Kind("server-full", SPACE, FAIL, errno.ENOSPC, persistent=True, at="server",
         tells="from that call on until the session ends"),
)}


class Plan:
    """The file that a library in other processes looks at, as a mapping."""

    SIZE, ENTRIES_AT, ENTRY_BYTES = 1 << 20, 4096, 256
    ENTRIES = (SIZE - ENTRIES_AT) // ENTRY_BYTES
    HEADER = struct.Struct("<QIIIIQQII80s")

    def __init__(self, path):
        self.path = path
        with open(path, "w+b") as file:
            file.truncate(self.SIZE)
            self._map = mmap.mmap(file.fileno(), self.SIZE)
        self.disarm()

    def arm(self, kind, call):
        """CALL from 1; 0 only counts."""
        self._write(call, kind.action, kind.error, kind.calls, kind.persistent)

    def disarm(self):
        self._write(0, NONE, 0, 0, False)

    def count_all(self, calls=EVERYTHING):
        self._write(0, NONE, 0, calls, False)

    def _write(self, at, action, error, calls, persistent):
        self._map[:self.HEADER.size] = self.HEADER.pack(at, action, error, calls, int(persistent),
                                                        0, 0, 0, 0, BELOW.encode())

    @property
    def count(self):
        return struct.unpack_from("<Q", self._map, 24)[0]

    @property
    def fired(self):
        return struct.unpack_from("<Q", self._map, 32)[0]

    @property
    def fired_pid(self):
        return struct.unpack_from("<I", self._map, 40)[0]

    def calls(self):
        """What was counted, in order: (process, which calls it is of, what)."""
        found = []
        for number in range(min(self.count, self.ENTRIES)):
            start = self.ENTRIES_AT + number * self.ENTRY_BYTES
            entry = self._map[start:start + self.ENTRY_BYTES].partition(b"\0")[0]
            pid, calls, what = (entry.decode(errors="replace") + "  ").split(" ", 2)
            found.append((int(pid or 0), int(calls or 0), what.rstrip()))
        return found

    def call(self, number):
        """What the call of that number was."""
        calls = self.calls()
        return calls[number - 1][2] if 0 < number <= len(calls) else "not reached"

    def environment(self):
        """What a process needs to take part."""
        return {"LD_PRELOAD": str(LIBRARY), "FERRY_CRASH_PLAN": str(self.path)}

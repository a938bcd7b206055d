"""Sees everything that happens to names in some directories, in order: inotify(7)."""

import ctypes
import dataclasses
import os
import select
import struct
import threading

from ferry_harness import eventually

IN_MODIFY, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE = 0x2, 0x40, 0x80, 0x100, 0x200
IN_Q_OVERFLOW, IN_IGNORED, IN_ISDIR = 0x4000, 0x8000, 0x40000000
WANTED = IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE
SENTINEL = ".crash-observer"
TEMPORARY = (".part", ".tmp")  # what a producer writes to, and no consumer looks at

libc = ctypes.CDLL(None, use_errno=True)


@dataclasses.dataclass(frozen=True)
class Event:
    """One thing that happened to a name that a consumer looks at (no dot files)."""

    place: str
    path: str
    what: str       # "appeared", "changed" (its bytes, under its name), "left"
    content: bytes | None = None  # of what appeared; None where it was gone before it could be read
    how: str = ""   # "renamed", "created", or "found" when its directory was


def is_final(name):
    return not name.startswith(".") and not name.endswith(TEMPORARY)


class Observer:
    """Looks at places, which are directories with names, from when it is told of them."""

    def __init__(self):
        self._places = {}
        self.events = []
        self.overflowed = False
        self._fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        assert self._fd >= 0, os.strerror(ctypes.get_errno())
        self._watched = {}  # watch descriptor → (place, relative directory)
        self._seen = {}     # (place, path) → inode
        self._sentinels = 0
        self._stop, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def look_at(self, place, folder):
        """What is there already has not appeared; what a new directory has when it is seen has."""
        if self._places.get(place) != folder:
            folder.mkdir(parents=True, exist_ok=True)
            self._places[place] = folder
            self._watch(place, "", is_new=False)

    def stop(self):
        """When all that has happened until now has been seen."""
        self.settle()
        os.write(self._wake, b"x")
        self._thread.join()
        for fd in (self._fd, self._stop, self._wake):
            os.close(fd)

    def settle(self):
        wanted = self._sentinels + 1
        folder = next(iter(self._places.values()))
        (folder / SENTINEL).touch()
        (folder / SENTINEL).unlink()
        eventually(lambda: self._sentinels >= wanted, what="the observer")

    def _run(self):
        while True:
            ready, _, _ = select.select([self._fd, self._stop], [], [])
            if self._stop in ready:
                return
            try:
                buffer = os.read(self._fd, 1 << 16)
            except BlockingIOError:
                continue
            offset = 0
            while offset < len(buffer):
                watch, mask, _, size = struct.unpack_from("iIII", buffer, offset)
                name = os.fsdecode(buffer[offset + 16:offset + 16 + size].rstrip(b"\0"))
                offset += 16 + size
                self._take(watch, mask, name)

    def _take(self, watch, mask, name):
        if mask & IN_Q_OVERFLOW:
            self.overflowed = True
        if mask & (IN_Q_OVERFLOW | IN_IGNORED) or watch not in self._watched:
            return
        if name == SENTINEL:
            self._sentinels += bool(mask & IN_DELETE)
            return
        place, directory = self._watched[watch]
        path = os.path.join(directory, name)
        if mask & IN_ISDIR:
            if mask & (IN_CREATE | IN_MOVED_TO) and not name.startswith("."):
                self._watch(place, path, is_new=True)
        elif is_final(name):
            self._note(place, path, mask)

    def _note(self, place, path, mask):
        if mask & (IN_MOVED_TO | IN_CREATE):
            self._appeared(place, path, "renamed" if mask & IN_MOVED_TO else "created")
        elif mask & IN_MODIFY:
            self.events.append(Event(place, path, "changed"))
        else:
            self._seen.pop((place, path), None)
            self.events.append(Event(place, path, "left"))

    def _appeared(self, place, path, how):
        try:
            with open(self._places[place] / path, "rb") as file:
                inode, content = os.fstat(file.fileno()).st_ino, file.read()
        except OSError:
            inode, content = None, None  # it left, or was replaced, at once: its event is next
        if inode is not None and self._seen.get((place, path)) == inode:
            return  # found when its directory was first looked at
        self._seen[(place, path)] = inode
        self.events.append(Event(place, path, "appeared", content, how))

    def _watch(self, place, directory, is_new):
        folder = self._places[place] / directory
        watch = libc.inotify_add_watch(self._fd, os.fsencode(folder), WANTED)
        if watch < 0:
            return  # it is gone again
        self._watched[watch] = (place, directory)
        try:
            entries = list(os.scandir(folder))
        except OSError:
            return
        for entry in entries:
            path = os.path.join(directory, entry.name)
            if not is_final(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                self._watch(place, path, is_new)
            elif is_new:
                self._appeared(place, path, "found")
            else:
                self._seen[(place, path)] = entry.inode()

"""Who looks at B's directory all the time, as a consumer does who takes what has its name."""

import functools
import hashlib
import os
import threading

WHOLE = 16 << 20  # bytes: up to here all of a file is read each time that it appears or changes


def digest_of(stream):
    digest = hashlib.sha256()
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def version_of(path):
    """What tells one version of a file from another: its size and its SHA-256."""
    status = os.stat(path)
    return status.st_size, _digest(path, status.st_ino, status.st_size, status.st_mtime_ns,
                                   status.st_ctime_ns)


@functools.lru_cache(maxsize=10_000)
def _digest(path, *_):
    with open(path, "rb") as stream:
        return digest_of(stream)


def has_final_name(name):
    """Dot files are nobody's; control files are looked at when all is done."""
    return not name.startswith(".") and not name.endswith(".control.json")


class Observer:
    """Notes every file that shows under a final name and is not a whole version that was allowed."""

    def __init__(self, root):
        self._root = root
        self._allowed = {}  # path: versions
        self._seen = {}  # path: inode, size and time
        self.wrong = []
        self.looks = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def allow(self, path, version):
        self._allowed.setdefault(path, set()).add(version)

    def stop(self):
        self._stop.set()
        self._thread.join()
        self._look(self._root)

    def _run(self):
        while not self._stop.wait(0.005):
            self._look(self._root)
            self.looks += 1

    def _look(self, folder):
        try:
            entries = list(os.scandir(folder))
        except OSError:
            return
        for entry in entries:
            try:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    self._look(entry.path)
                elif has_final_name(entry.name):
                    self._look_at(entry)
            except FileNotFoundError:
                pass

    def _look_at(self, entry):
        path = os.path.relpath(entry.path, self._root)
        status = entry.stat(follow_symlinks=False)
        mark = (status.st_ino, status.st_size, status.st_mtime_ns)
        if self._seen.get(path) == mark:
            return
        self._seen[path] = mark
        allowed = self._allowed.get(path, set())
        with open(entry.path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            right = [digest for length, digest in allowed if length == size]
            if not right:
                self.wrong.append(f"{path} has {size} bytes, not {sorted(length for length, _ in allowed)}")
            elif size <= WHOLE and digest_of(stream) not in right:
                self.wrong.append(f"{path} has the right size, {size}, and other bytes")

"""An uploader who means harm: what he may do, he does again and again while ferry runs."""

import multiprocessing
import os
import time

NOBODY = 65534
IS_ROOT = os.geteuid() == 0

# How long each attack goes on. `make test-hostile` takes more time than `make test`.
SECONDS = float(os.environ.get("FERRY_HOSTILE_SECONDS", "1"))


def give_to_uploader(*paths):
    """Makes an area his, as far as we may."""
    for path in paths:
        if IS_ROOT:
            os.chown(path, NOBODY, NOBODY)


def land(path, content):
    """A lawful file of the uploader's, put there where he cannot meddle with it before."""
    staged = path.parent.parent / "staged"
    staged.write_bytes(content)
    give_to_uploader(staged)
    staged.rename(path)


def until_time_is_up(seconds=SECONDS):
    end = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < end:
        yield turn
        turn += 1


class Uploader:
    """Calls WORK(turn) in a process of another account, until the block ends. What he may not do,
    or comes too late for, does not stop him."""

    def __init__(self, work):
        self._work = work
        self._turns = multiprocessing.Value("Q", 0)
        self._process = multiprocessing.get_context("fork").Process(target=self._run, daemon=True)

    def _run(self):
        if IS_ROOT:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        while True:
            try:
                self._work(self._turns.value)
            except OSError:
                pass
            self._turns.value += 1

    @property
    def turns(self):
        return self._turns.value

    def __enter__(self):
        self._process.start()
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.join()


def identity_of_unregistered(path):
    """What the quarantine calls a file that the registry cannot hold: anybody can work it out."""
    status = os.lstat(path)
    return f"{status.st_dev:x}-{status.st_ino:x}-{status.st_ctime_ns:x}"

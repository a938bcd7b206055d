"""Times what flows through a metastore: files that land, and files that are delivered.

Used by metastore_size.py. The folders lie on a disk, because registering waits for it.
"""

import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

BENCH = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(BENCH.parent / "tests")]

from ferry_harness import FERRY, Server, environment  # noqa: E402

PER_DIRECTORY = 1_000
SINGLE_FILES = 200
BATCH_FILES = 10_000


def paths(count):
    return [f"d{number // PER_DIRECTORY:04}/statement-{number:08}.csv" for number in range(count)]


def make(folder, names):
    """Files of a few bytes, each with bytes of its own."""
    for number, name in enumerate(names):
        path = folder / name
        if number % PER_DIRECTORY == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as out:
            out.write(b"%d\n" % number)


def peak_mib(pid):
    (line,) = [line for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
               if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


class Watcher:
    """`ferry watch`, and when it said what."""

    def __init__(self, landing, metastore):
        self.began = time.monotonic()
        self._process = subprocess.Popen(
            [FERRY, "watch", "--landing", landing, "--metastore", metastore],
            stderr=subprocess.PIPE, env=environment())

    def wait_for(self, word, times=1):
        """When it had said WORD so many times."""
        for line in self._process.stderr:
            times -= word in line
            if times == 0:
                return time.monotonic()
        raise RuntimeError(f"the watcher ended before it said {word.decode()}")

    def stop(self):
        """Its peak in MiB."""
        peak = peak_mib(self._process.pid)
        self._process.send_signal(signal.SIGTERM)
        self._process.stderr.read()
        if self._process.wait() != 0:
            raise RuntimeError("the watcher failed")
        return peak


def start_on_registered_files(folder, count):
    """Seconds from the start to readiness, and MiB."""
    landing, metastore = folder / "landing", folder / "metastore"
    make(landing, paths(count))
    subprocess.run([FERRY, "watch", "--once", "--landing", landing, "--metastore", metastore],
                   check=True, capture_output=True, env=environment())
    watcher = Watcher(landing, metastore)
    ready = watcher.wait_for(b" ready")
    return ready - watcher.began, watcher.stop()


def files_dropped_at_once(folder, count):
    """Seconds from the first file's arrival to the record of the last, and MiB."""
    landing, elsewhere = folder / "landing", folder / "elsewhere"
    names = paths(count)
    make(elsewhere, names)
    for directory in elsewhere.iterdir():
        (landing / directory.name).mkdir(parents=True)
    watcher = Watcher(landing, folder / "metastore")
    watcher.wait_for(b" ready")
    # The producer is a process of its own: the watcher's lines are read meanwhile.
    program = ("import os, sys\nfor name in sys.stdin.read().split('\\n'):\n"
               " os.rename(f'{sys.argv[1]}/{name}', f'{sys.argv[2]}/{name}')\n")
    producer = subprocess.Popen([sys.executable, "-c", program, elsewhere, landing],
                                stdin=subprocess.PIPE, text=True)
    began = time.monotonic()
    producer.stdin.write("\n".join(names))
    producer.stdin.close()
    ended = watcher.wait_for(b" registered", count)
    producer.wait()
    return ended - began, watcher.stop()


def event_to_record(folder, count=SINGLE_FILES):
    """The median of seconds from a file's arrival to its durable record, and MiB."""
    landing, elsewhere = folder / "landing", folder / "elsewhere"
    landing.mkdir(parents=True)
    names = [f"{number}.csv" for number in range(count)]
    make(elsewhere, names)
    watcher = Watcher(landing, folder / "metastore")
    watcher.wait_for(b" ready")
    took = []
    for name in names:
        began = time.monotonic()
        os.rename(elsewhere / name, landing / name)
        took.append(watcher.wait_for(b" registered") - began)
    return statistics.median(took), watcher.stop()


class Backlog:
    """Files of a few bytes that wait, and a server that takes them."""

    def __init__(self, folder, count):
        self.count = count
        self._folder = folder
        self._landing = folder / "landing"
        make(self._landing, paths(count))
        self._server = Server(folder / "server", "ForceCommand internal-sftp")

    def close(self):
        self._server.stop()

    def deliver(self, name, *options):
        """Seconds, and MiB; each file must be listed by one control file, once."""
        metastore, target = self._folder / f"metastore-{name}", self._server.root / name
        target.mkdir()
        given = ["--landing", self._landing, "--metastore", metastore]
        subprocess.run([FERRY, "watch", "--once", *given], check=True, capture_output=True,
                       env=environment())
        began = time.monotonic()
        process = subprocess.Popen(
            ["/usr/bin/time", "-q", "-f", "%M", FERRY, "transfer", *given,
             *self._server.options(target), *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment())
        _, said = process.communicate()
        seconds = time.monotonic() - began
        if process.returncode != 0:
            raise RuntimeError(said.decode()[-2000:])
        listed = [file["path"] for control in target.glob("*.control.json")
                  for file in json.loads(control.read_text())["files"]]
        if len(listed) != self.count or len(set(listed)) != self.count:
            raise RuntimeError(f"{len(listed)} files are listed, {len(set(listed))} of them once")
        return seconds, int(said.split()[-1]) / 1024


@contextlib.contextmanager
def backlog(folder, count):
    waiting = Backlog(folder, count)
    try:
        yield waiting
    finally:
        waiting.close()


def measure_flow(folder, count, tell):
    """Calls TELL(what, seconds, MiB) for each."""
    tell("`watch`, ready on as many registered files",
         *start_on_registered_files(folder / "start", count))
    tell("`watch`, as many small files dropped at once",
         *files_dropped_at_once(folder / "drop", count))
    tell("`watch`, from event to durable record (median)", *event_to_record(folder / "event"))
    with backlog(folder / "backlog", count) as waiting:
        tell("`transfer` of as many small files, one batch", *waiting.deliver("one"))
        tell(f"`transfer` of as many small files, `batch_files = {BATCH_FILES}`",
             *waiting.deliver("many", "--batch-files", str(BATCH_FILES)))

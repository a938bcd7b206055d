"""The image that the Containerfile describes, without a container engine: its last stage is followed step by
step in a tree of Debian's, and what it starts runs in namespaces of its own. Needs root."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "tests/systemd")]

import base_system  # noqa: E402  (needs the path)
from ferry_harness import eventually  # noqa: E402

WORKPLACE = REPOSITORY / "build" / "container"
CONFIGURATION = """
metastore = "/var/lib/ferry/metastore"
state_dir = "/var/lib/ferry/state"

[landing.partners]
path = "/var/lib/ferry/in"

[destination.warehouse]
url = "sftp://ferry@127.0.0.1:9/in"
"""


def last_stage():
    """Its instructions, each with what follows it."""
    text = (REPOSITORY / "Containerfile").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    steps = [line.split(None, 1) for line in "\n".join(lines).replace("\\\n", "").splitlines() if line.strip()]
    return steps[max(number for number, (name, _) in enumerate(steps) if name == "FROM"):]


def debian(image):
    """A tree with what the image FROM names has."""
    assert re.fullmatch(r"docker\.io/library/debian:12-slim", image), image
    _, mirror = base_system.source_of_this_machine()
    ready = WORKPLACE / "debian-12"
    if not ready.exists():
        unfinished = ready.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        run("debootstrap", "--variant=minbase", "bookworm", unfinished, mirror)
        unfinished.rename(ready)
    return ready


def run(*command, **options):
    done = subprocess.run([*map(str, command)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, timeout=900, **options)
    assert done.returncode == 0, f"{command}:\n{done.stdout[-2000:]}"
    return done.stdout


class Image:
    """The tree, and what the Containerfile says of how it is run."""

    def __init__(self, folder):
        self.tree = folder / "tree"
        self.user = "root"
        for name, value in last_stage():
            getattr(self, f"follow_{name.lower()}")(value)

    def follow_from(self, image):
        run("cp", "-a", debian(image), self.tree)

    def follow_copy(self, value):
        assert value == "--from=build /out/*.deb /tmp/", value
        shutil.copy(base_system.package(), self.tree / "tmp")

    def follow_run(self, command):
        inside = ["chroot", self.tree, "/bin/sh", "-c", command]
        run("unshare", "--mount", "--pid", "--fork", "sh", "-c", f"mount -t proc proc {self.tree}/proc && exec \"$@\"", "-",
            *inside, env={"PATH": os.environ["PATH"], "DEBIAN_FRONTEND": "noninteractive"})

    def follow_user(self, name):
        self.user = name

    def follow_volume(self, path):
        assert (self.tree / path.lstrip("/")).is_dir(), path

    def follow_expose(self, port):
        self.port = int(port)

    def follow_healthcheck(self, value):
        self.health = json.loads(value[value.index("CMD") + len("CMD"):])

    def follow_entrypoint(self, value):
        self.program = json.loads(value)

    def follow_cmd(self, value):
        self.arguments = json.loads(value)

    def inside(self, *command):
        """As the user of the image, and with nothing else of ours."""
        return ["chroot", f"--userspec={self.user}", str(self.tree), "/usr/bin/env", "-i",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *map(str, command)]


class Container:
    def __init__(self, image):
        self.image = image
        script = f"ip link set lo up && mount -t proc proc {image.tree}/proc && exec \"$@\""
        self.log = image.tree.parent / "log"
        with open(self.log, "wb") as log:
            self._running = subprocess.Popen(
                ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "-",
                 *image.inside(*image.program, *image.arguments)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = eventually(self._first_process, what="the container's first process")

    def _first_process(self):
        children = pathlib.Path(f"/proc/{self._running.pid}/task/{self._running.pid}/children").read_text().split()
        return int(children[0]) if children else None

    def ask(self, *command):
        return subprocess.run(["nsenter", "--target", str(self.pid), "--net", *self.image.inside(*command)],
                              capture_output=True, text=True, timeout=60, check=False)

    def is_healthy(self):
        assert self._running.poll() is None, self.log.read_text()
        return self.ask(*self.image.health).returncode == 0

    def user(self):
        return int(re.search(r"^Uid:\s+(\d+)", pathlib.Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)[1])

    def stop(self):
        os.kill(self.pid, signal.SIGTERM)
        return self._running.wait(timeout=60)

    def kill(self):
        self._running.kill()
        self._running.wait()


@pytest.fixture(scope="module")
def image():
    WORKPLACE.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="image-", dir=WORKPLACE))
    try:
        made = Image(folder)
        (made.tree / "etc/ferry/ferry.toml").write_text(CONFIGURATION)
        yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def container(image):
    running = Container(image)
    yield running
    running.kill()


def test_it_refuses_to_listen_for_everybody_without_tokens(image, container):
    assert container._running.wait(timeout=60) == 2
    assert "token" in container.log.read_text()


def test_the_whole_of_ferry_runs_in_it(image):
    token = run(*image.inside(*image.program, "token", "new", "test", "--read", "--upload", "partners")).split()[-1]
    container = Container(image)
    try:
        eventually(container.is_healthy, deadline=60, what="a healthy container")
        assert container.user() != 0
        address = f"http://127.0.0.1:{image.port}/v1/files"
        login = ("-H", f"Authorization: Bearer {token}")
        put = container.ask("curl", "-fsS", *login, "-T", "/etc/os-release", f"{address}/partners/a.txt")
        assert json.loads(put.stdout)["path"] == "a.txt", put
        (image.tree / "var/lib/ferry/in/b.txt").write_text("watched")

        def seen():
            listed = container.ask("curl", "-fsS", *login, address)
            return {file["path"] for file in json.loads(listed.stdout)["files"]} == {"a.txt", "b.txt"}

        eventually(seen, deadline=60, what="a file that was put into the landing area")
        assert container.stop() == 0, container.log.read_text()
    finally:
        container.kill()

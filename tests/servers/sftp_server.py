"""What every kind of server has in common: keys, an account, a tree of files, and a process."""

import abc
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess

from ferry_harness import eventually, free_port
from gate import Gate

HERE = pathlib.Path(__file__).resolve().parent
USER, UID = "partner", 61234
PASSWORD = "a password, for tests"


class SftpServer(abc.ABC):
    """A server on a loopback port. Its files lie below `tree`, and belong to the account `partner`,
    which is nobody else's. It runs where /etc has that account, and `tree/read-only` is a file
    system that can only be read."""

    name: str
    title: str  # of the table's row
    virtual_root = False  # are paths relative to the tree?
    host_key_type = user_key_type = "ed25519"
    legacy_algorithms = False  # can it be reached with the outdated ones only?
    limits_logins = False  # has it such a setting? prepare() heeds login_limit then
    writes_behind = False  # do files reach the disk later, and there by and by?
    own_files = r"(?!)"  # names of what it may leave of its own when it is killed
    banner = b"SSH-2.0-"

    def __init__(self, folder):
        self.folder = folder
        self.login_limit = None  # simultaneous logins of the account, if limits_logins
        self.tree = folder / "tree"
        self.home = folder / "home"
        self.layer = folder / "layer"  # what it sees over the machine's own files
        self.identity = folder / "user_key"
        self.known_hosts = folder / "known_hosts"
        self.authorized_keys = folder / "authorized_keys"
        self.port = free_port()
        self._process = None
        self._make_folders()
        self._make_keys()
        self._make_etc()
        self.prepare()

    # What each kind says.

    @abc.abstractmethod
    def command(self):
        """The words that start it, in the foreground."""

    def prepare(self):
        """Writes what the command reads."""

    def environment(self):
        return {}

    @classmethod
    def version(cls):
        """As the program or package tells it."""
        raise NotImplementedError

    @classmethod
    def fetch(cls):
        """Brings the programs here; what it needs beside the suite may be missing."""

    def look_again(self):
        """Called before each run of ferry: a case may have changed what is on the disk."""

    # Its life.

    def begin(self):
        """Called before each case."""
        if not self.is_running():
            self.start()

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [HERE / "own_view.sh", self.layer, self.tree / "read-only",
                 *map(str, self.command())], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.home),
                     "LANG": "C.UTF-8", **self.environment()})
        eventually(self._greets, deadline=60, what=f"{self.name}'s greeting")

    def is_running(self):
        return self._process is not None and self._process.poll() is None

    def stop(self):
        """Kills it, and all that it started, at once."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None
        eventually(self._is_gone, what=f"the end of {self.name}")

    def restart(self):
        self.stop()
        self.start()

    @contextlib.contextmanager
    def allowing(self, logins):
        """Lets the account log in so often at a time, in the block; gives the port to use."""
        if not self.limits_logins:
            with Gate(self.port, limit=logins) as gate:
                yield gate.port
            return
        self.login_limit = logins
        self.prepare()
        self.restart()
        try:
            yield self.port
        finally:
            self.login_limit = None
            self.prepare()
            self.restart()

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    # Where things are.

    def make_directory(self, name):
        """A directory of the account's in the tree."""
        path = self.tree / name
        path.mkdir()
        os.chown(path, UID, UID)
        return path

    def remote_path(self, path):
        """What the server calls a path of the tree."""
        return "/" + str(path.relative_to(self.tree)) if self.virtual_root else str(path)

    def url(self, path, port=None):
        return f"sftp://{USER}@127.0.0.1:{port or self.port}{self.remote_path(path)}"

    def host_key_line(self, port=None):
        key = (self.folder / "host_key.pub").read_text().split()
        return f"[127.0.0.1]:{port or self.port} {key[0]} {key[1]}\n"

    # Inside.

    def last_process(self):
        """The server itself, at the end of those that prepare its view."""
        pid = self._process.pid
        while children := pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            pid = int(children[0])
        return pid

    def as_account(self, *command):
        """COMMAND, run by the account itself, for servers that do not change to it."""
        return ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--", *command]

    @staticmethod
    def make_key(path, kind):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "ferry-test", "-m",
                        "PEM" if kind == "rsa" else "RFC4716", "-f", path], check=True)

    def _make_folders(self):
        self.folder.mkdir(parents=True)
        for path in (self.tree, self.home, self.tree / "read-only"):
            path.mkdir()
            os.chown(path, UID, UID)
        (self.home / ".ssh").mkdir(mode=0o700)
        os.chown(self.home / ".ssh", UID, UID)

    def _make_keys(self):
        for name, kind in (("host_key", self.host_key_type), ("user_key", self.user_key_type)):
            self.make_key(self.folder / name, kind)
        os.chown(self.folder / "host_key", UID, UID)
        shutil.copy(self.folder / "user_key.pub", self.authorized_keys)
        shutil.copy(self.folder / "user_key.pub", self.home / ".ssh" / "authorized_keys")
        os.chown(self.home / ".ssh" / "authorized_keys", UID, UID)
        self.known_hosts.write_text(self.host_key_line())

    def _make_etc(self):
        etc = self.layer / "etc"
        etc.mkdir(parents=True)
        (self.layer / "usr" / "sbin").mkdir(parents=True)
        crypted = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, text=True,
                                 capture_output=True, check=True).stdout.strip()
        for name, line in (("passwd", f"{USER}:x:{UID}:{UID}::{self.home}:{self.shell()}"),
                           ("group", f"{USER}:x:{UID}:"),
                           ("shadow", f"{USER}:{crypted}:20000:0:99999:7:::"),
                           ("shells", self.shell())):
            present = pathlib.Path("/etc", name)
            text = present.read_text() if present.exists() else ""
            (etc / name).write_text(f"{text}{line}\n")
        os.chmod(etc / "shadow", 0o600)

    def shell(self):
        return "/bin/sh"

    def _greets(self):
        assert self.is_running(), f"{self.name} ended:\n{self.log()[-3000:]}"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                return connection.recv(64).startswith(self.banner)
        except OSError:
            return False

    def _is_gone(self):
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) != 0

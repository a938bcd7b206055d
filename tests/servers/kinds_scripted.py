"""Servers on libraries of Python, JavaScript and Java."""

import json
import re
import shutil

import programs
from programs import HERE
from sftp_server import PASSWORD, SftpServer


class Scripted(SftpServer):
    """A small server of ours that is told port, host key, authorized keys and password."""

    def words(self):
        return [self.port, self.folder / "host_key", self.authorized_keys, PASSWORD]


def python_version(package):
    text = (HERE / "python" / "requirements.txt").read_text()
    return re.search(rf"(?m)^{package}==(\S+)$", text)[1]


class AsyncSsh(Scripted):
    name = "asyncssh"
    title = "AsyncSSH"

    @classmethod
    def fetch(cls):
        programs.python()

    @classmethod
    def version(cls):
        return python_version("asyncssh")

    def command(self):
        return self.as_account(programs.python(), HERE / "python" / "asyncssh_server.py",
                               *self.words())


class Paramiko(AsyncSsh):
    name = "paramiko"
    title = "paramiko"

    @classmethod
    def version(cls):
        return python_version("paramiko")

    def command(self):
        return self.as_account(programs.python(), HERE / "python" / "paramiko_server.py",
                               *self.words())


class Ssh2(Scripted):
    """The small server does one request after the other."""

    name = "ssh2"
    title = "npm ssh2, ordered handlers"
    how = "ordered"

    @classmethod
    def fetch(cls):
        programs.node()

    @classmethod
    def version(cls):
        pinned = json.loads((HERE / "node" / "package.json").read_text())
        return pinned["dependencies"]["ssh2"]

    def environment(self):
        return {"NODE_PATH": str(programs.node() / "node_modules")}

    def command(self):
        return self.as_account(shutil.which("node"), HERE / "node" / "ssh2_server.js", *self.words(),
                               self.how)


class Ssh2Concurrent(Ssh2):
    """The small server answers each request when its call of fs is done."""

    name = "ssh2-concurrent"
    title = "npm ssh2, concurrent handlers"
    how = "concurrent"


class Mina(Scripted):
    name = "mina"
    title = "Apache MINA SSHD"

    @classmethod
    def fetch(cls):
        programs.java()

    @classmethod
    def version(cls):
        text = (HERE / "java" / "pom.xml").read_text()
        return re.search(r"<artifactId>sshd-sftp</artifactId>\s*<version>(.*?)</version>", text)[1]

    def command(self):
        return self.as_account(shutil.which("java"), "-Xmx512m", "-cp", f"{programs.java()}/*",
                               "ferry.MinaServer", *self.words())

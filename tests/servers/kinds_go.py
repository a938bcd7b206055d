"""Servers that are written in Go, on golang.org/x/crypto/ssh and github.com/pkg/sftp."""

import json
import os
import re
import shutil
import signal

import programs
from sftp_server import PASSWORD, USER, SftpServer


def go_module_version(file, module):
    return re.search(rf"{module} v(\S+)", (programs.HERE / "go" / file / "go.mod").read_text())[1]


class PkgSftp(SftpServer):
    name = "pkg-sftp"
    title = "a small server on Go's pkg/sftp"

    @classmethod
    def fetch(cls):
        programs.go_program()

    @classmethod
    def version(cls):
        return go_module_version("plain", "github.com/pkg/sftp")

    def command(self):
        return self.as_account(programs.go_program(), "-listen", f"127.0.0.1:{self.port}",
                               "-host-key", self.folder / "host_key", "-authorized-keys",
                               self.authorized_keys, "-password", PASSWORD)


class Rclone(SftpServer):
    """As it is without options, but for where and who."""

    name = "rclone"
    title = "rclone serve sftp"
    virtual_root = True
    options = ()

    @classmethod
    def fetch(cls):
        programs.rclone()

    @classmethod
    def program(cls):
        return programs.rclone()

    @classmethod
    def version(cls):
        return go_module_version("programs", "github.com/rclone/rclone")

    def look_again(self):
        """It remembers directories for five minutes."""
        os.kill(self.last_process(), signal.SIGHUP)

    def environment(self):
        return {"RCLONE_USER": USER, "RCLONE_PASS": PASSWORD}

    def command(self):
        return self.as_account(self.program(), "serve", "sftp", self.tree, "--addr",
                               f"127.0.0.1:{self.port}", "--key", self.folder / "host_key",
                               "--authorized-keys", self.authorized_keys,
                               "--config", "/dev/null", "--cache-dir", self.home / "cache",
                               *self.options)


class RcloneWrites(Rclone):
    name = "rclone-writes"
    title = "rclone serve sftp --vfs-cache-mode writes"
    options = ("--vfs-cache-mode", "writes")
    writes_behind = True

    def begin(self):
        """While it has anything in its cache that cannot be written to the disk, it looks at no
        directory again."""
        self.stop()
        shutil.rmtree(self.home / "cache", ignore_errors=True)
        self.start()


class OldRclone(Rclone):
    """Debian's. No signal makes it look again."""

    name = "rclone-1.60"
    title = "rclone serve sftp, Debian's"
    options = ("--dir-cache-time", "0s")

    def look_again(self):
        pass

    @classmethod
    def fetch(cls):
        programs.debian()

    @classmethod
    def program(cls):
        return programs.debian() / "usr/bin/rclone"

    @classmethod
    def version(cls):
        return re.search(r"rclone v(\S+)", programs.run(cls.program(), "version"))[1]


class OldRcloneWrites(OldRclone):
    name = "rclone-1.60-writes"
    title = "rclone serve sftp --vfs-cache-mode writes, Debian's"
    options = (*OldRclone.options, "--vfs-cache-mode", "writes")
    writes_behind = True


class Sftpgo(SftpServer):
    name = "sftpgo"
    title = "SFTPGo"
    virtual_root = True
    limits_logins = True
    upload_mode = 0

    @classmethod
    def fetch(cls):
        programs.sftpgo()

    @classmethod
    def version(cls):
        return go_module_version("programs", "github.com/drakkan/sftpgo/v2")

    def prepare(self):
        """Everything but SFTP is off; the rest is as SFTPGo has it."""
        user = {"username": USER, "status": 1, "home_dir": str(self.tree), "password": PASSWORD,
                "public_keys": [self.authorized_keys.read_text().strip()],
                "permissions": {"/": ["*"]}, "max_sessions": self.login_limit or 0}
        (self.folder / "users.json").write_text(json.dumps({"version": 16, "users": [user]}))
        (self.folder / "sftpgo.json").write_text(json.dumps({
            "common": {"upload_mode": self.upload_mode},
            "sftpd": {"bindings": [{"address": "127.0.0.1", "port": self.port}],
                      "host_keys": [str(self.folder / "host_key")]},
            "data_provider": {"driver": "memory", "name": ""},
            "httpd": {"bindings": [{"port": 0}]},
            "smtp": {"templates_path": str(programs.sftpgo().parent / "templates")}}))

    def command(self):
        return self.as_account(programs.sftpgo(), "serve", "--config-dir", self.folder,
                               "--config-file", self.folder / "sftpgo.json", "--log-file-path", "",
                               "--log-level", "info",
                               "--loaddata-from", self.folder / "users.json")


class SftpgoAtomic(Sftpgo):
    name = "sftpgo-atomic"
    title = "SFTPGo, upload_mode 1 (atomic)"
    own_files = r"\.sftpgo-upload\..*"
    upload_mode = 1


class SftpgoAtomicResume(SftpgoAtomic):
    name = "sftpgo-atomic-resume"
    title = "SFTPGo, upload_mode 2 (atomic, with resume)"
    upload_mode = 2

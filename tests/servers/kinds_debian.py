"""Servers that Debian has packages of, as the packages set them up."""

import os
import re
import shutil
import subprocess

import programs
from kinds_openssh import OpenSsh
from sftp_server import UID, USER, SftpServer


def package_version(name):
    said = programs.run("apt-cache", "policy", name)
    return re.search(r"Candidate: (\S+)", said)[1]


class FromDebian(SftpServer):
    package: str

    @classmethod
    def fetch(cls):
        programs.debian()

    @classmethod
    def program(cls, path):
        return programs.debian() / path

    @classmethod
    def version(cls):
        return package_version(cls.package)

    def environment(self):
        return programs.debian_environment()


class Dropbear(FromDebian):
    """With OpenSSH's sftp-server."""

    name = "dropbear"
    title = "dropbear, with OpenSSH's sftp-server"
    package = "dropbear-bin"

    def prepare(self):
        subprocess.run([self.program("usr/bin/dropbearconvert"), "openssh", "dropbear",
                        self.folder / "host_key", self.folder / "dropbear_key"], check=True,
                       env=self.environment(), capture_output=True)

    def command(self):
        return [self.program("usr/sbin/dropbear"), "-F", "-E", "-r", self.folder / "dropbear_key",
                "-p", f"127.0.0.1:{self.port}", "-P", self.folder / "pid"]


class Proftpd(FromDebian):
    """mod_sftp, with what /etc/proftpd/proftpd.conf has beside it."""

    name = "proftpd"
    title = "ProFTPD, mod_sftp"
    package = "proftpd-mod-crypto"
    limits_logins = True
    allow_overwrite = "on"
    more = ()

    def prepare(self):
        modules = self.program("usr/lib/proftpd")
        key = subprocess.run(["ssh-keygen", "-e", "-f", self.folder / "user_key.pub"], check=True,
                             capture_output=True, text=True).stdout
        self.authorized_keys.write_text(key)
        shutil.chown(self.folder / "host_key", "root", "root")
        limit = [f"MaxClientsPerUser {self.login_limit}"] if self.login_limit else []
        (self.folder / "proftpd.conf").write_text("\n".join([
            f"ModulePath {modules}", "LoadModule mod_sftp.c", "UseIPv6 off",
            "DefaultAddress 127.0.0.1", f"Port {self.port}", "ServerName Debian",
            "ServerType standalone", "DeferWelcome off", "DefaultServer on", "ShowSymlinks on",
            "TimeoutNoTransfer 600", "TimeoutStalled 600", "TimeoutIdle 1200",
            r"DenyFilter \*.*/", "MaxInstances 30", "User nobody", "Group nogroup",
            "Umask 022 022", f"AllowOverwrite {self.allow_overwrite}",
            f"PidFile {self.folder}/pid", f"ScoreboardFile {self.folder}/scoreboard",
            f"DelayTable {self.folder}/delay", f"SystemLog {self.folder}/log",
            "AuthOrder mod_auth_unix.c", "RequireValidShell off", "SFTPEngine on",
            f"SFTPHostKey {self.folder}/host_key",
            f"SFTPAuthorizedUserKeys file:{self.authorized_keys}", *limit, *self.more]) + "\n")

    def command(self):
        return [self.program("usr/sbin/proftpd"), "--nodaemon", "--config",
                self.folder / "proftpd.conf"]


class ProftpdNoOverwrite(Proftpd):
    name = "proftpd-no-overwrite"
    title = "ProFTPD, mod_sftp, AllowOverwrite off"
    allow_overwrite = "off"


class ProftpdHiddenStores(Proftpd):
    name = "proftpd-hidden-stores"
    title = "ProFTPD, mod_sftp, HiddenStores on"
    own_files = r"\.in\..*\."
    more = ("HiddenStores on",)


class Gesftpserver(FromDebian, OpenSsh):
    """As a subsystem of OpenSSH's sshd."""

    name = "gesftpserver"
    title = "gesftpserver (Green End), under OpenSSH"
    package = "gesftpserver"

    @property
    def subsystem(self):
        return self.program("usr/libexec/gesftpserver")


class MySecureShell(FromDebian, OpenSsh):
    """As the account's shell, under OpenSSH's sshd. The package's limits of speed and of logins are
    lifted."""

    name = "mysecureshell"
    title = "MySecureShell, under OpenSSH"
    package = "mysecureshell"
    virtual_root = True
    limits_logins = True
    subsystem = "/usr/lib/openssh/sftp-server"

    def shell(self):
        return self.program("usr/bin/mysecureshell")

    def prepare(self):
        super().prepare()
        settings = {"GlobalDownload": 0, "Download": 0, "LimitConnection": 20,
                    "LimitConnectionByUser": self.login_limit or 20, "LimitConnectionByIP": 20,
                    "Home": self.tree}
        text = self.program("etc/ssh/sftp_config").read_text()
        for name, value in settings.items():
            text, count = re.subn(rf"(?m)^(\t{name}\s+)\S+", rf"\g<1>{value}", text)
            assert count == 1, name
        (self.layer / "etc" / "ssh").mkdir(exist_ok=True)
        (self.layer / "etc" / "ssh" / "sftp_config").write_text(text)


class Lsh(FromDebian):
    """GNU lsh, with its own sftp-server. Its algorithms are those of 2013.

    An sftp-server whose session is gone turns for ever: it gets what is left of the processors, and
    a minute of them at most."""

    name = "lsh"
    title = "GNU lsh"
    package = "lsh-server"
    host_key_type = user_key_type = "rsa"
    legacy_algorithms = True

    def prepare(self):
        seed = self.folder / "seed"
        path = f"{programs.debian()}/usr/bin:/usr/bin:/bin"
        environment = {**self.environment(), "PATH": path, "HOME": str(self.home),
                       "LSH_YARROW_SEED_FILE": str(seed)}

        def lsh(script):
            subprocess.run(["bash", "-ec", script], env=environment, cwd=self.folder, check=True,
                           capture_output=True)

        lsh("lsh-make-seed --sloppy -o seed")
        lsh("lsh-keygen | lsh-writekey --server --label=test -o lsh_key")
        lsh("lsh-export-key --openssh < lsh_key.pub > host_key.pub")
        lsh("ssh-conv < user_key.pub > user_key.spki && lsh-authorize user_key.spki")
        shutil.copy(self.program("usr/sbin/lsh-execuv"), self.layer / "usr/sbin/lsh-execuv")
        for folder, _, names in os.walk(self.home):
            for each in (folder, *(os.path.join(folder, name) for name in names)):
                os.chown(each, UID, UID)
        self.known_hosts.write_text(self.host_key_line())
        program = self.program("usr/lib/lsh-server/sftp-server")
        self._subsystem.write_text(f"#!/bin/sh\nulimit -t 60\nexec nice -n 19 {program}\n")
        self._subsystem.chmod(0o755)

    @property
    def _subsystem(self):
        return self.folder / "sftp-server"

    def environment(self):
        return {**super().environment(), "LSH_YARROW_SEED_FILE": str(self.folder / "seed")}

    def command(self):
        return [self.program("usr/sbin/lshd"), "--interface", f"127.0.0.1:{self.port}",
                "--host-key", self.folder / "lsh_key", "--no-pid-file", "--subsystems",
                f"sftp={self._subsystem}"]

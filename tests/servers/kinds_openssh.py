"""OpenSSH's sshd, which separates privileges and becomes the account."""

import pathlib
import re
import shutil
import subprocess

from sftp_server import SftpServer

SSHD = pathlib.Path(__file__).parents[2] / "scripts/run_sshd.sh"


def openssh_version():
    said = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr
    return re.match(r"OpenSSH_(\S+)", said)[1]


class OpenSsh(SftpServer):
    name = "openssh"
    title = "OpenSSH, internal-sftp"
    subsystem = "internal-sftp"

    def prepare(self):
        shutil.chown(self.folder / "host_key", "root", "root")
        (self.folder / "sshd_config").write_text("\n".join([
            f"ListenAddress 127.0.0.1:{self.port}", f"HostKey {self.folder}/host_key",
            f"PidFile {self.folder}/sshd.pid", "StrictModes no", "UsePAM no",
            f"AuthorizedKeysFile {self.authorized_keys}", "PasswordAuthentication yes",
            f"Subsystem sftp {self.subsystem}", *self.more()]) + "\n")

    def more(self):
        return ()

    def command(self):
        return [SSHD, "-D", "-e", "-f", self.folder / "sshd_config"]

    @classmethod
    def version(cls):
        return openssh_version()

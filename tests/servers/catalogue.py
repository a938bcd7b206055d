"""Every kind of server that the suite knows, in the order of the table.

As a program, `catalogue.py NAME…` fetches and builds what these kinds need, or all of them.
"""

import sys

import kinds_debian as debian
import kinds_go as go
import kinds_openssh
import kinds_scripted as scripted

KINDS = [
    kinds_openssh.OpenSsh, debian.Dropbear,
    debian.Proftpd, debian.ProftpdNoOverwrite, debian.ProftpdHiddenStores,
    go.Sftpgo, go.SftpgoAtomic, go.SftpgoAtomicResume, go.PkgSftp,
    go.Rclone, go.RcloneWrites, go.OldRclone, go.OldRcloneWrites,
    scripted.AsyncSsh, scripted.Paramiko, scripted.Ssh2, scripted.Ssh2Concurrent, scripted.Mina,
    debian.Gesftpserver, debian.MySecureShell, debian.Lsh,
]
BY_NAME = {kind.name: kind for kind in KINDS}
TRANSPORTS = ("libssh2", "openssh")


def main():
    for name in sys.argv[1:] or BY_NAME:
        BY_NAME[name].fetch()


if __name__ == "__main__":
    main()

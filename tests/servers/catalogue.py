"""Every kind of server that the suite knows, in the order of the table."""

import kinds_go
import kinds_openssh

KINDS = [
    kinds_openssh.OpenSsh,
    kinds_go.PkgSftp,
    kinds_go.Sftpgo, kinds_go.SftpgoAtomic, kinds_go.SftpgoAtomicResume,
    kinds_go.Rclone, kinds_go.RcloneWrites, kinds_go.OldRclone, kinds_go.OldRcloneWrites,
]
BY_NAME = {kind.name: kind for kind in KINDS}
TRANSPORTS = ("libssh2", "openssh")

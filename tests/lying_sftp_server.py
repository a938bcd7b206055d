"""An SFTP subsystem for sshd: the real sftp-server, but that lists another name in place of one, or
directories that have no names and no end.

    lying_sftp_server.py REAL OTHER
    lying_sftp_server.py --endless
"""

import os
import struct
import subprocess
import sys
import threading

from lossy_sftp_server import SFTP_SERVERS, packets

READDIR, NAME = 12, 104


def with_other_name(body, real, other):
    """A NAME reply; the long name that follows each name is for people, and stays."""
    old, new = (struct.pack(">I", len(name)) + name for name in (real, other))
    return body.replace(old, new, 1)


def main():
    is_endless = sys.argv[1] == "--endless"
    real, other = (b"", b"") if is_endless else (word.encode() for word in sys.argv[1:])
    listing = set()  # ids of requests for names
    server = subprocess.Popen([next(filter(os.path.exists, SFTP_SERVERS))],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def pass_replies_on():
        for header, body in packets(server.stdout):
            if is_endless and body[1:5] in listing:
                body = bytes([NAME]) + body[1:5] + struct.pack(">I", 0)
                header = struct.pack(">I", len(body))
            elif body[0] == NAME:
                body = with_other_name(body, real, other)
                header = struct.pack(">I", len(body))
            sys.stdout.buffer.write(header + body)
            sys.stdout.buffer.flush()

    threading.Thread(target=pass_replies_on, daemon=True).start()
    for header, body in packets(sys.stdin.buffer):
        if body[0] == READDIR:
            listing.add(body[1:5])
        server.stdin.write(header + body)
        server.stdin.flush()
    server.terminate()


if __name__ == "__main__":
    main()

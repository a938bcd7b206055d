"""An SFTP subsystem for sshd: the real sftp-server, but for one kind of request.

    lossy_sftp_server.py lose|refuse|fill|late|halt|appear|garble REQUEST FOLDER

REQUEST is the name of an extended request, such as fsync@openssh.com, or "rename", of files that are not
control files, or "setstat", or "control": the rename of a control file, where that is an extended request, or
"look": an lstat once something was renamed.
"lose" ends the connection in
place of the first reply to one that was carried out; "refuse" fails each without carrying it out, and "fill" each rename, of whatever kind, but the first;
"late", of renames: the connection ends before the first is carried out, which is done when
another connection has just been told that the file is there. "halt" never replies to the first, which was
carried out; "appear", of renames: just before the first its target comes into being, from somebody else.
"garble" answers each, which was carried out, with a packet that answers something else.
FOLDER gets a file `lost` for the first and the last, and one line in `written` for each WRITE: how many bytes.
"""

import os
import pathlib
import struct
import subprocess
import sys
import threading

WRITE, LSTAT, SETSTAT, STAT, RENAME, STATUS, ATTRS, EXTENDED = 6, 7, 9, 17, 18, 101, 105, 200
FAILURE = 4
SFTP_SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server")


def packets(stream):
    while len(header := stream.read(4)) == 4:
        yield header, stream.read(struct.unpack(">I", header)[0])


def string_at(body, offset):
    (size,) = struct.unpack_from(">I", body, offset)
    return body[offset + 4:offset + 4 + size]


def name_of(body):
    if body[0] == EXTENDED:
        return string_at(body, 5)
    if body[0] == RENAME and b"control.json" not in string_at(body, 5):
        return b"rename"
    return {WRITE: b"write", SETSTAT: b"setstat"}.get(body[0])


def is_wanted(body, wanted):
    if wanted != b"control":
        return name_of(body) == wanted
    return body[0] == EXTENDED and string_at(body, 5).startswith(b"posix-rename") and b"control.json" in body


def main():
    mode, wanted, folder = sys.argv[1], sys.argv[2].encode(), pathlib.Path(sys.argv[3])
    server = subprocess.Popen([next(filter(os.path.exists, SFTP_SERVERS))],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    marked, replying, has_renamed = set(), threading.Lock(), False

    def reply(header, body):
        with replying:
            sys.stdout.buffer.write(header + body)
            sys.stdout.buffer.flush()

    def pass_replies_on():
        for header, body in packets(server.stdout):
            if mode == "lose" and body[1:5] in marked and not (folder / "lost").exists():
                (folder / "lost").touch()
                os._exit(1)
            if mode == "halt" and body[1:5] in marked and not (folder / "lost").exists():
                (folder / "lost").touch()
                return
            if mode == "garble" and body[1:5] in marked:
                body = bytes([ATTRS]) + body[1:]
            if mode == "late" and body[1:5] in marked:
                os.rename(*(folder / "lost").read_text().split("\n"))
                marked.clear()
            reply(header, body)

    threading.Thread(target=pass_replies_on, daemon=True).start()
    with open(folder / "written", "a", encoding="ascii") as written:
        for header, body in packets(sys.stdin.buffer):
            request_id = body[1:5]
            is_refused = mode == "fill" and has_renamed and b"rename" in (name_of(body) or b"")
            has_renamed |= b"rename" in (name_of(body) or b"")
            if body[0] == WRITE:
                offset = 5 + 4 + len(string_at(body, 5)) + 8
                print(len(string_at(body, offset)), file=written, flush=True)
            if mode == "late" and body[0] == STAT and (folder / "lost").exists():
                source = (folder / "lost").read_text().split("\n")[0]
                if string_at(body, 5).decode() == source and os.path.exists(source):
                    marked.add(request_id)
            elif mode == "late" and body[0] == EXTENDED and string_at(body, 5) == wanted:
                if not (folder / "lost").exists():
                    source = string_at(body, 9 + len(wanted))
                    target = string_at(body, 13 + len(wanted) + len(source))
                    (folder / "lost").write_text(f"{source.decode()}\n{target.decode()}")
                    os._exit(1)
            elif mode == "appear" and name_of(body) == wanted:
                if not (folder / "lost").exists():
                    (folder / "lost").touch()
                    source = string_at(body, 5)
                    pathlib.Path(string_at(body, 9 + len(source)).decode()).write_text("somebody's")
            elif is_wanted(body, wanted) or (wanted == b"look" and has_renamed and body[0] == LSTAT):
                marked.add(request_id)
                is_refused |= mode == "refuse"
            if is_refused:
                refusal = bytes([STATUS]) + request_id + struct.pack(">III", FAILURE, 0, 0)
                reply(struct.pack(">I", len(refusal)), refusal)
                continue
            server.stdin.write(header + body)
            server.stdin.flush()
    server.stdin.close()
    server.wait()


if __name__ == "__main__":
    main()

"""A server on paramiko: paramiko_server.py PORT HOST_KEY AUTHORIZED_KEYS PASSWORD."""

import os
import socket
import sys
import threading

import paramiko
from paramiko import SFTPAttributes, SFTPServer


def answered(call, *arguments, **keywords):
    """What came of it, as SFTP says it."""
    try:
        call(*arguments, **keywords)
    except OSError as error:
        return SFTPServer.convert_errno(error.errno)
    return paramiko.SFTP_OK


class File(paramiko.SFTPHandle):
    def stat(self):
        return SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))

    def chattr(self, attributes):
        return answered(SFTPServer.set_file_attr, self.filename, attributes)


class Files(paramiko.SFTPServerInterface):
    """All that the process may see."""

    def list_folder(self, path):
        try:
            return [SFTPAttributes.from_stat(os.lstat(os.path.join(path, name)), name)
                    for name in os.listdir(path)]
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)

    def stat(self, path):
        return self._attributes(os.stat, path)

    def lstat(self, path):
        return self._attributes(os.lstat, path)

    def _attributes(self, look, path):
        try:
            return SFTPAttributes.from_stat(look(path))
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)

    def open(self, path, flags, attributes):
        mode = 0o666 if attributes.st_mode is None else attributes.st_mode
        try:
            descriptor = os.open(path, flags, mode)
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)
        writes, reads = flags & os.O_WRONLY, flags & os.O_RDWR
        stream = os.fdopen(descriptor, "wb" if writes else "rb+" if reads else "rb")
        handle = File(flags)
        handle.filename = path
        handle.readfile = handle.writefile = stream
        return handle

    def remove(self, path):
        return answered(os.remove, path)

    def rename(self, old, new):
        if os.path.exists(new):
            return paramiko.SFTP_FAILURE
        return answered(os.rename, old, new)

    def posix_rename(self, old, new):
        return answered(os.replace, old, new)

    def mkdir(self, path, attributes):
        return answered(os.mkdir, path)

    def rmdir(self, path):
        return answered(os.rmdir, path)

    def chattr(self, path, attributes):
        return answered(SFTPServer.set_file_attr, path, attributes)


class Account(paramiko.ServerInterface):
    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def get_allowed_auths(self, username):
        return "password,publickey"

    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL if password == PASSWORD else paramiko.AUTH_FAILED

    def check_auth_publickey(self, username, key):
        with open(AUTHORIZED_KEYS, encoding="utf-8") as known:
            is_known = key.get_base64() in known.read().split()
        return paramiko.AUTH_SUCCESSFUL if is_known else paramiko.AUTH_FAILED


def serve(connection):
    transport = paramiko.Transport(connection)
    transport.add_server_key(HOST_KEY)
    transport.set_subsystem_handler("sftp", SFTPServer, Files)
    try:
        transport.start_server(server=Account())
    except (paramiko.SSHException, EOFError):
        pass


PORT, HOST_KEY_FILE, AUTHORIZED_KEYS, PASSWORD = sys.argv[1:]
HOST_KEY = paramiko.PKey.from_path(HOST_KEY_FILE)

listener = socket.create_server(("127.0.0.1", int(PORT)), backlog=64)
while True:
    accepted, _ = listener.accept()
    threading.Thread(target=serve, args=(accepted,), daemon=True).start()

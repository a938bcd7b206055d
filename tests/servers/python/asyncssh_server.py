"""AsyncSSH's own SFTP server: asyncssh_server.py PORT HOST_KEY AUTHORIZED_KEYS PASSWORD."""

import asyncio
import sys

import asyncssh


class Account(asyncssh.SSHServer):
    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return password == sys.argv[4]


async def main():
    port, host_key, authorized_keys = sys.argv[1:4]
    await asyncssh.listen("127.0.0.1", int(port), server_factory=Account, sftp_factory=True,
                          server_host_keys=[host_key], authorized_client_keys=authorized_keys)
    await asyncio.Event().wait()


asyncio.run(main())

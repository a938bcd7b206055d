"""What an administrator sets up after installing the package: a landing area, an SFTP server's
account to deliver to, keys, and a configuration."""

import json

from base_system import package

SERVICES = ("ferry-watch.service", "ferry-transfer.service")
CONFIGURATION = """metastore = "/var/lib/{state}"
{top}
[landing.in]
path = "/srv/in"
settle = "100ms"
{landings}
[destination.b]
url = "sftp://drop@127.0.0.1/home/drop/{directory}"
identity = "/run/credentials/{service}/keys_id_ed25519"
known_hosts = "/etc/ferry/known_hosts"
use_agent = false
"""


def install(machine):
    machine.copy(package(), "/tmp/ferry.deb")
    return machine.output("dpkg", "--install", "/tmp/ferry.deb")


def set_up(machine):
    """An account that receives by SFTP, its key and host key, and a landing area."""
    machine.run("useradd", "--create-home", "drop")
    machine.run("useradd", "--create-home", "partner")
    machine.run("usermod", "--append", "--groups", "partner", "ferry")
    machine.run("mkdir", "-p", "/srv/in", "/home/drop/.ssh")
    machine.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/etc/ferry/keys/id_ed25519")
    public = machine.path("/etc/ferry/keys/id_ed25519.pub").read_text()
    machine.path("/home/drop/.ssh/authorized_keys").write_text(public)
    machine.run("chown", "-R", "drop:", "/home/drop/.ssh")
    host_key = machine.path("/etc/ssh/ssh_host_ed25519_key.pub").read_text()
    machine.path("/etc/ferry/known_hosts").write_text(f"127.0.0.1 {host_key}")
    configure(machine)


def configure(machine, *, name="ferry", top="", landings=(), state="ferry",
              service="ferry-transfer.service", directory="inbox"):
    """Writes /etc/ferry/NAME.toml; LANDINGS are further areas below /srv."""
    for landing in landings:
        machine.run("mkdir", "-p", f"/srv/{landing}")
    areas = "\n".join(f'[landing.{landing}]\npath = "/srv/{landing}"' for landing in landings)
    machine.path(f"/etc/ferry/{name}.toml").write_text(CONFIGURATION.format(
        top=top, landings=areas, state=state, service=service, directory=directory))


def drop(machine, name, content=b"x", area="in"):
    """As a partner does: under another name first."""
    path = machine.path(f"/srv/{area}/{name}")
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.rename(path)


def delivered(machine, directory="inbox"):
    folder = machine.path(f"/home/drop/{directory}")
    if not folder.is_dir():
        return set()
    return {path.name for path in folder.iterdir()
            if not path.name.startswith(".") and not path.name.endswith(".control.json")}


def registry(machine, state="ferry"):
    table = machine.path(f"/var/lib/{state}/file_registry.jsonl")
    return [json.loads(line) for line in table.read_text().splitlines()] if table.exists() else []


def is_active(machine, unit):
    return machine.run("systemctl", "is-active", unit, check=False).stdout.strip() == "active"

"""Programs that ferry runs get what they need of its environment, and no secret."""

import shutil

import pytest

from ferry_harness import put

SECRETS = {"FERRY_PASSWORD": "s3cret-word", "FERRY_PASSPHRASE": "s3cret-phrase",
           "CREDENTIALS_DIRECTORY": "/run/credentials/s3cret", "SSH_AUTH_SOCK": "/run/s3cret",
           "AWS_SECRET_ACCESS_KEY": "s3cret-of-another"}


@pytest.fixture
def spy(folder):
    """Writes down what it can see: its own environment, and that of the ferry that runs it."""
    script = folder / "spy.sh"
    script.write_text("#!/bin/sh\n"
                      f"env >> {folder}/seen\ncat /proc/$PPID/environ >> {folder}/seen-of-ferry\n"
                      "exec cat\n")
    script.chmod(0o755)
    return folder / "seen"


@pytest.mark.parametrize("program", ["validator of an area", "validator of a route", "transform"])
def test_commands_see_no_secrets(configured, folder, landing, spy, program):
    keys = f'validate = ["{folder}/spy.sh"]'
    configured.write("[route.all]\nto = [\"b\"]\n"
                     + (keys if program == "validator of a route" else "")
                     + ('\ntransforms = ["spy"]\n[transform.spy]\n'
                        f'command = ["{folder}/spy.sh"]\n' if program == "transform" else ""))
    if program == "validator of an area":
        text = configured.file.read_text()
        configured.file.write_text(text.replace("[landing.in]\n", f"[landing.in]\n{keys}\n"))
    put(landing / "a.csv", b"a")
    environment = {**SECRETS, "FERRY_CONFIG": str(configured.file), "LC_TIME": "C"}
    assert configured.ferry("watch", "--once", env=environment).code == 0
    ended = configured.ferry("transfer", "--to", "b", env=environment)
    assert ended.code == 0, ended.stderr
    seen = spy.read_text()
    assert "FERRY_PATH=a.csv\n" in seen and "LC_TIME=C\n" in seen
    assert [value for value in SECRETS.values() if value in seen] == []
    seen_of_ferry = (folder / "seen-of-ferry").read_text()
    assert "FERRY_CONFIG=" in seen_of_ferry
    assert "s3cret-word" not in seen_of_ferry and "s3cret-phrase" not in seen_of_ferry


def test_ssh_gets_its_agent_and_no_secret(server, folder, landing, register, transfer):
    real = shutil.which("ssh")
    program = folder / "bin/ssh"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nenv >> {folder}/seen\nexec {real} \"$@\"\n")
    program.chmod(0o755)
    put(landing / "a.csv", b"a")
    register()
    environment = {**SECRETS, "FERRY_PASSWORD": "", "FERRY_PASSPHRASE": "",
                   "PATH": f"{program.parent}:/usr/bin:/bin"}
    ended = transfer("--transport", "openssh", env=environment)
    assert ended.code == 0, ended.stderr
    seen = (folder / "seen").read_text()
    assert "SSH_AUTH_SOCK=/run/s3cret\n" in seen
    assert "AWS_SECRET" not in seen and "CREDENTIALS_DIRECTORY" not in seen


@pytest.mark.parametrize("words, instead", [
    (["push", "{file}", "--to", "u:s3cret@127.0.0.1:/x"], "sftp://user@host/directory"),
    (["transfer", "--to", "u:s3/cret@127.0.0.1:/x"], "sftp://user@host/directory"),
    (["watch", "--once", "--landing", "u:s3cret@127.0.0.1:/x"], "FERRY_PASSWORD"),
    (["status", "--destination", "sftp://u:s3cret@127.0.0.1/x"], "no destination"),
    (["status", "--metastore", "host=127.0.0.1 password=s3cret"], "PGPASSFILE"),
    (["status", "--metastore", "host=127.0.0.1 Password = s3cret x://"], "PGPASSFILE"),
    (["import", "--from", "host=127.0.0.1 password=s3cret"], "PGPASSFILE"),
    (["status", "--metastore", "postgresql://127.0.0.1:1/db?passwd=s3cret"], "PGPASSFILE")])
def test_a_refusal_does_not_repeat_a_password(ferry, landing, metastore, register, words, instead):
    put(landing / "a", b"a")
    register()
    words = [word.format(file=landing / "a") for word in words]
    ended = ferry(*words, env={"FERRY_METASTORE": str(metastore)})
    assert ended.code == 2, ended.stderr
    assert instead in ended.stderr
    for secret in ("s3cret", "s3/cret", "cret"):
        assert secret not in ended.stderr + ended.stdout

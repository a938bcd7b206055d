"""What comes from outside cannot command a terminal: names, servers' words, programs' words."""

import socket
import struct
import threading

import pytest

from ferry_harness import put, run_ferry

HOSTILE = "\x1b]0;taken over\x07\x9b2J\u202egnp"


def commands_a_terminal(text):
    return [character for character in text
            if (character < " " and character != "\n") or "\x7f" <= character <= "\x9f"
            or character in "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e"
            or "\u2066" <= character <= "\u2069"]


@pytest.fixture
def rude_server():
    """Ends each connection before the login, with words of its own (RFC 4253, 11.1)."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        words = HOSTILE.encode()
        payload = struct.pack(">BII", 1, 2, len(words)) + words + struct.pack(">I", 0)
        padding = 8 - (len(payload) + 5) % 8 + 8
        packet = struct.pack(">IB", len(payload) + padding + 1, padding) + payload + bytes(padding)
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"SSH-2.0-rude\r\n")
                connection.recv(255)
                connection.sendall(packet)
                while connection.recv(4096):
                    pass

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.mark.parametrize("transport", ["libssh2", "openssh"])
def test_a_server_s_words_before_the_login(landing, metastore, register, folder, rude_server,
                                           transport):
    put(landing / "a.csv", b"a")
    register()
    for log_format in ("text", "json"):
        ended = run_ferry("transfer", "--landing", landing, "--metastore", metastore, "--no-agent",
                          "--to", f"sftp://u@127.0.0.1:{rude_server}/x", "--retries", "1",
                          "--retry-delay", "10ms", "--known-hosts", folder / "none",
                          "--transport", transport, "--log-format", log_format)
        assert ended.code == 3, ended.stderr
        assert transport == "openssh" or "taken over" in ended.stderr
        assert commands_a_terminal(ended.stderr) == []


def test_a_file_s_name_in_logs_and_results(landing, metastore, register, transfer, ferry, server):
    name = "report\x9b2J\u202egnp.csv"
    put(landing / name, b"a")
    (server.root / name / "in the way").mkdir(parents=True)
    watched = ferry("watch", "--once", "--landing", landing, "--metastore", metastore)
    ended = transfer("--retries", "1", "--log-level", "debug")
    listed = ferry("list", "--metastore", metastore)
    as_json = ferry("list", "--json", "--metastore", metastore)
    history = ferry("history", name, "--metastore", metastore)
    for run in (watched, ended, listed, as_json, history):
        assert commands_a_terminal(run.stdout + run.stderr) == []
    for line in as_json.json_lines:
        assert line["path"] == name
    for table in metastore.glob("*.jsonl"):
        assert commands_a_terminal(table.read_text()) == []


def test_a_command_s_words(folder, landing, metastore, server, ferry):
    (folder / "words").write_text(HOSTILE)
    config = folder / "ferry.toml"
    config.write_text(
        f'metastore = "{metastore}"\n[landing.in]\npath = "{landing}"\n'
        f'validate = ["sh", "-c", "cat {folder}/words >&2; exit 1"]\n')
    put(landing / "a.csv", b"a")
    for log_format in ("text", "json"):
        ended = ferry("watch", "--once", "--config", config, "--log-format", log_format)
        assert commands_a_terminal(ended.stderr) == []
    held = ferry("quarantine", "list", "--config", config)
    assert "taken over" in held.stdout
    assert commands_a_terminal(held.stdout) == []
    as_json = ferry("quarantine", "list", "--json", "--config", config)
    assert commands_a_terminal(as_json.stdout) == []
    assert HOSTILE in as_json.json_lines[0]["reason"]

"""A running `ferry serve`, and a client that holds each of its answers against openapi.json."""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import urllib.parse

import jsonschema

from ferry_harness import REPOSITORY, Process, eventually, read_table

OPENAPI = json.loads((REPOSITORY / "src/http/page/openapi.json").read_text())


class Reply:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    @property
    def json(self):
        return json.loads(self.body)


class Service:
    """A running `ferry serve`, and a client of it that checks each response against the description."""

    def __init__(self, folder, *options, authority=None):
        self.process = Process(folder, "serve", "--listen", "127.0.0.1:0", *options)
        self.tls = ssl.create_default_context(cafile=authority) if authority else None
        self.port = eventually(self._port, what="the service")

    def _port(self):
        assert self.process.popen.poll() is None, self.process.log()
        found = re.search(r"ready .*:(\d+)/", self.process.log())
        return found and int(found.group(1))

    def ask(self, method, target, body=None, token=None, fields=None, check=True):
        connection = (http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=self.tls)
                      if self.tls else http.client.HTTPConnection("127.0.0.1", self.port, timeout=60))
        try:
            headers = dict(fields or {})
            if token:
                headers["Authorization"] = f"Bearer {token}"
            connection.request(method, target, body, headers,
                               encode_chunked="Transfer-Encoding" in headers)
            answer = connection.getresponse()
            reply = Reply(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()
        if check:
            check_described(method, target, reply)
        return reply

    def get(self, target, **options):
        return self.ask("GET", target, **options)

    def put(self, path, body=b"content", **options):
        return self.ask("PUT", f"/v1/files/{path}", body, **options)

    def raw(self, data, timeout=30):
        """All that comes back for DATA; the sending side is closed after it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            received = b""
            with contextlib.suppress(ConnectionResetError):
                while block := connection.recv(65536):
                    received += block
            return received

    def resident(self, name="VmRSS"):
        status = open(f"/proc/{self.process.popen.pid}/status", encoding="ascii").read()
        return int(re.search(rf"{name}:\s+(\d+) kB", status).group(1)) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.popen.pid}/fd"))


def described(target):
    path = urllib.parse.urlsplit(target).path
    found = {}
    for pattern, operations in OPENAPI["paths"].items():
        regex = re.sub(r"\\\{path\\\}", ".+", re.escape(pattern))
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", regex), path):
            found = {**found, **operations}
    return found


def check_described(method, target, reply):
    """The response is one that openapi.json tells of, in its form."""
    operations = described(target)
    if reply.status >= 400 and method == "HEAD":
        assert str(reply.status) in operations["head"]["responses"], (target, reply.status)
        return
    if reply.status >= 400:
        assert reply.fields["Content-Type"] == "application/problem+json", reply.fields
        schema = {"$ref": "#/components/schemas/Problem"}
        assert reply.json["status"] == reply.status
        if method.lower() in operations:
            known = operations[method.lower()]["responses"]
            assert str(reply.status) in known, (method, target, reply.status)
    else:
        content = operations[method.lower()]["responses"][str(reply.status)].get("content")
        if content is None:
            assert reply.body == b""
            return
        kind = reply.fields["Content-Type"].partition(";")[0]
        assert kind in content, (target, kind)
        schema = content[kind].get("schema")
        if kind != "application/json":
            return
    jsonschema.validate(reply.json, {**schema, "components": OPENAPI["components"]},
                        cls=jsonschema.Draft202012Validator)


def sha256(content):
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def everything_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def registered(metastore):
    return {row["path"] for row in read_table(metastore, "file_registry")}


def statuses(raw):
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d+) ", raw)]


def begin_upload(service, path, size):
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=60)
    connection.sendall(f"PUT /v1/files/landing/{path} HTTP/1.1\r\nHost: localhost\r\n"
                       f"Content-Length: {size}\r\n\r\nbegun".encode())
    return connection


def has_part(landing):
    return any(path.name.endswith(".part") and path.stat().st_size for path in landing.rglob(".*"))

#!/usr/bin/python3
"""Measures `ferry serve`: durable uploads of 10 KiB, one of 1 GiB, and pages of a long list.

    FERRY=build/ferry bench/serve.py [--clients N] [--files N] [--registered N] [--with-sftpgo]

Beside it nginx's WebDAV (PUT) and, if asked for, SFTPGo's: neither syncs what it wrote, nor
hashes, nor registers it. Prints a Markdown table; everything is on 127.0.0.1.
"""

import argparse
import base64
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time

BENCH = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(BENCH), str(BENCH.parent / "tests"), str(BENCH.parent / "tests/servers")]
NGINX = BENCH.parent / "build/tools/nginx"

import metastore_size  # noqa: E402
import programs  # noqa: E402
from ferry_harness import Process, eventually, free_port, temporary_directory  # noqa: E402

KIB, GIB = 1 << 10, 1 << 30
DIRECTORIES = 16
USER, PASSWORD = "bench", "bench"
# For who wants one; the others look over it.
LOGIN = {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}


def ferry(folder, landing, metastore=None):
    process = Process(folder, "serve", "--listen", "127.0.0.1:0", "--landing", landing, "--metastore", metastore or folder / "metastore",
                      "--max-requests", "1000000")
    # The index of a long list is built first.
    port = eventually(lambda: re.search(r"ready .*:(\d+)/", process.log()), deadline=600, what="ferry").group(1)
    return process.popen, int(port), "/v1/files/landing/"


def nginx(folder, landing):
    port = free_port()
    (folder / "nginx.conf").write_text(f"""
        daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes auto; user root;
        events {{ }}
        http {{ access_log off; client_body_temp_path {landing}/.body; client_max_body_size 0;
          {" ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))}
          server {{ listen 127.0.0.1:{port}; root {landing}; dav_methods PUT; create_full_put_path on; }} }}""")
    running = subprocess.Popen([NGINX, "-c", folder / "nginx.conf", "-p", folder])
    eventually(lambda: (folder / "pid").exists(), what="nginx")
    return running, port, "/"


def sftpgo(folder, landing):
    """As it comes, but for what it listens on. Its WebDAV makes no directories on the way."""
    port = free_port()
    for number in range(DIRECTORIES):
        (landing / str(number)).mkdir()
    (folder / "users.json").write_text(json.dumps({"version": 16, "users": [
        {"username": USER, "status": 1, "home_dir": str(landing), "password": PASSWORD, "permissions": {"/": ["*"]}}]}))
    (folder / "sftpgo.json").write_text(json.dumps({
        "sftpd": {"bindings": [{"port": 0}]}, "httpd": {"bindings": [{"port": 0}]},
        "webdavd": {"bindings": [{"address": "127.0.0.1", "port": port}]},
        "data_provider": {"driver": "memory", "name": ""},
        "smtp": {"templates_path": str(programs.sftpgo().parent / "templates")}}))
    running = subprocess.Popen([programs.sftpgo(), "serve", "--config-dir", folder, "--config-file",
                                folder / "sftpgo.json", "--log-file-path", folder / "log", "--loaddata-from",
                                folder / "users.json"], stdout=subprocess.DEVNULL)

    def answers():
        connection = http.client.HTTPConnection("127.0.0.1", port)
        with contextlib.suppress(OSError):
            connection.request("OPTIONS", "/", headers=LOGIN)
            return connection.getresponse().status == 200
        return False

    eventually(answers, deadline=60, what="SFTPGo")
    return running, port, "/"


def uploads_a_second(port, prefix, clients, count):
    body = os.urandom(10 * KIB)
    local = threading.local()

    def put(number):
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        local.connection.request("PUT", f"{prefix}{number % DIRECTORIES}/{number}", body, LOGIN)
        answer = local.connection.getresponse()
        answer.read()
        return answer.status in (201, 204)

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        began = time.monotonic()
        assert all(pool.map(put, range(count)))
        return count / (time.monotonic() - began)


def one_large(port, prefix, source):
    began = time.monotonic()
    subprocess.run(["curl", "-fsS", "-o", "/dev/null", "-u", f"{USER}:{PASSWORD}", "-T", source,
                    f"http://127.0.0.1:{port}{prefix}large"], check=True)
    return time.monotonic() - began


def peak_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


def page_times(folder, count):
    """Milliseconds for the first page, for one behind it, and for a search, of COUNT files."""
    landing, store = folder / "landing", folder / "store"
    landing.mkdir()
    store.mkdir()
    metastore_size.write(store, count, 1000)
    running, port, _ = ferry(folder, landing, store)
    questions = {"first page": "/v1/files?limit=50", "one status": "/v1/files?limit=50&status=pending",
                 "a search": f"/v1/files?limit=50&q={count // 2:08}"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    times = {}
    # The index of texts grows with the first searches.
    for _ in range(count // 100_000):
        connection.request("GET", questions["a search"])
        connection.getresponse().read()
    for name, target in questions.items():
        taken = []
        for _ in range(21):
            began = time.monotonic()
            connection.request("GET", target)
            connection.getresponse().read()
            taken.append((time.monotonic() - began) * 1000)
        times[name] = statistics.median(taken)
    running.terminate()
    running.wait()
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--registered", type=int, default=1_000_000)
    parser.add_argument("--with-sftpgo", action="store_true", help="builds it first, which takes Go and minutes")
    given = parser.parse_args()
    folder = temporary_directory()
    with contextlib.ExitStack() as at_end:
        at_end.callback(shutil.rmtree, folder, ignore_errors=True)
        source = folder / "source"
        with open(source, "wb") as out:
            for _ in range(1024):
                out.write(os.urandom(1 << 20))
        print(f"| | 10 KiB files a second, {given.clients} clients | 1 GiB, s | peak MiB |\n| --- | ---: | ---: | ---: |")
        for name, start in {"ferry": ferry, "nginx": nginx, **({"SFTPGo": sftpgo} if given.with_sftpgo else {})}.items():
            place = folder / name
            landing = place / "landing"
            landing.mkdir(parents=True)
            running, port, prefix = start(place, landing)
            try:
                rate = uploads_a_second(port, prefix, given.clients, given.files)
                seconds = one_large(port, prefix, source)
                print(f"| {name} | {rate:.0f} | {seconds:.2f} | {peak_mib(running.pid):.0f} |", flush=True)
            finally:
                running.terminate()
                running.wait()
            shutil.rmtree(place)
        times = page_times(folder, given.registered)
        print(f"\n`GET /v1/files` of {given.registered:,} files, median: "
              + ", ".join(f"{name} {took:.1f} ms" for name, took in times.items()))


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""Measures `ferry serve`: durable uploads of 10 KiB, one of 1 GiB, and pages of a long list.

    FERRY=build/ferry bench/serve.py [--clients N] [--files N] [--registered N]

Beside it nginx's WebDAV (PUT), if nginx is installed: it neither syncs what it wrote, nor hashes, nor
registers it. Prints a Markdown table; everything is on 127.0.0.1.
"""

import argparse
import concurrent.futures
import contextlib
import http.client
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time

BENCH = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(BENCH), str(BENCH.parent / "tests")]

import metastore_size  # noqa: E402
from ferry_harness import Process, eventually, temporary_directory  # noqa: E402

KIB, GIB = 1 << 10, 1 << 30


def ferry(folder, landing, metastore):
    process = Process(folder, "serve", "--listen", "127.0.0.1:0", "--landing", landing, "--metastore", metastore,
                      "--max-requests", "1000000")
    # The index of a long list is built first.
    port = eventually(lambda: re.search(r"ready .*:(\d+)/", process.log()), deadline=600, what="ferry").group(1)
    return process.popen, int(port), "/v1/files/landing/"


def nginx(folder, landing):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "nginx.conf").write_text(f"""
        daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes auto; user root;
        events {{ }}
        http {{ access_log off; client_body_temp_path {landing}/.body; client_max_body_size 0;
          server {{ listen 127.0.0.1:{port}; root {landing}; dav_methods PUT; create_full_put_path on; }} }}""")
    running = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)])
    eventually(lambda: (folder / "pid").exists(), what="nginx")
    return running, port, "/"


def uploads_a_second(port, prefix, clients, count):
    body = os.urandom(10 * KIB)
    local = threading.local()

    def put(number):
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        local.connection.request("PUT", f"{prefix}{number % 16}/{number}", body)
        answer = local.connection.getresponse()
        answer.read()
        return answer.status in (201, 204)

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        began = time.monotonic()
        assert all(pool.map(put, range(count)))
        return count / (time.monotonic() - began)


def one_large(port, prefix, source):
    began = time.monotonic()
    subprocess.run(["curl", "-fsS", "-o", "/dev/null", "-T", source, f"http://127.0.0.1:{port}{prefix}large"], check=True)
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
    given = parser.parse_args()
    folder = temporary_directory()
    with contextlib.ExitStack() as at_end:
        at_end.callback(shutil.rmtree, folder, ignore_errors=True)
        source = folder / "source"
        with open(source, "wb") as out:
            for _ in range(1024):
                out.write(os.urandom(1 << 20))
        print(f"| | 10 KiB files a second, {given.clients} clients | 1 GiB, s | peak MiB |\n| --- | ---: | ---: | ---: |")
        for name in ("ferry", "nginx"):
            if name == "nginx" and not shutil.which("nginx"):
                continue
            place = folder / name
            landing = place / "landing"
            landing.mkdir(parents=True)
            running, port, prefix = (ferry(place, landing, place / "metastore") if name == "ferry"
                                     else nginx(place, landing))
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

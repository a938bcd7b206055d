"""The page in Chromium, and uploads by tus-js-client: make test-page."""

import os
import pathlib
import subprocess
import sys

import pytest

import http_service
from ferry_harness import Configured, environment, eventually, put
from http_service import registered

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parents[1] / "bench"))

import metastore_size  # noqa: E402

PICTURES = pathlib.Path(os.environ.get("FERRY_PICTURES", HERE.parent.parent / "build/page"))


def start(script, *args):
    return subprocess.Popen(["node", HERE / script, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, env=environment(None))


def end(running):
    _, complaints = running.communicate(timeout=300)
    assert running.returncode == 0, complaints


@pytest.fixture
def look():
    PICTURES.mkdir(parents=True, exist_ok=True)

    def run(service, scenario, argument=""):
        return start("page.mjs", scenario, f"http://127.0.0.1:{service.port}/", PICTURES, argument)

    return run


@pytest.fixture
def whole(folder, landing, metastore, server):
    def begin(*options, places=True):
        where = ["--landing", landing, "--metastore", metastore, *server.options()] if places else []
        running.append(http_service.Service(folder, "--watch", "--transfer", *where, *options))
        return running[-1]

    running = []
    yield begin
    for service in running:
        if service.process.popen.poll() is None:
            service.process.kill()


def test_a_file_is_seen_to_arrive_to_move_and_to_be_delivered(whole, look, landing):
    service = whole("--bandwidth-limit", "512KiB")
    page = look(service, "arrives", "orders.csv")
    assert page.stdout.readline() == "ready\n", page.communicate()
    put(landing / "orders.csv", os.urandom(3 << 20))
    end(page)


@pytest.fixture
def failed(serve, ferry, landing, metastore, server):
    """A file whose delivery failed for good, as the source was changed behind everybody's back."""

    def make(name):
        service = serve()
        assert service.put("landing/" + name).status == 201
        (landing / name).write_bytes(b"other")
        ferry("transfer", "--landing", landing, "--metastore", metastore, "--retries", "1", "--retry-delay", "10ms",
              *server.options())
        return service

    return make


def test_a_failure_is_seen_and_retried_by_keyboard(failed, look):
    service = failed("lost.csv")
    end(look(service, "retries", "lost.csv"))
    assert service.get("/v1/files?q=lost").json["files"][0]["deliveries"][0]["status"] == "pending"


def test_what_is_held_is_released_or_deleted_after_a_question(serve, ferry, look, landing, metastore):
    for name in ("good.txt", "bad.txt"):
        put(landing / name, b"x")
    ferry("watch", "--once", "--landing", landing, "--metastore", metastore, "--extension", "csv")
    service = serve()
    end(look(service, "releases", "good.txt,bad.txt"))
    assert (landing / "good.txt").exists() and not (landing / "bad.txt").exists()


def test_one_of_a_million_is_found(serve, ferry, look, metastore):
    metastore.mkdir()
    metastore_size.write(metastore, 1_000_000, 1000)
    assert ferry("status", "--metastore", metastore).code == 0  # makes the index
    end(look(serve(), "finds", "statement-00123456"))


def test_the_token_is_kept_in_the_tab_only(serve, token, look, failed):
    reader = token("reader", "--read")
    end(look(serve(), "token", f"{reader},ferry_wrong"))


def test_it_is_fit_to_be_looked_at(whole, ferry, look, landing, server, other_server, folder, metastore):
    places = Configured(ferry, folder, landing, metastore, {"warehouse": server, "lake": other_server})
    places.write('routing = "first"\n[route.catalogue]\nmatch = ["partner-2/*"]\nto = ["lake"]\n'
                 '[route.all]\nto = ["warehouse"]\n[transfer]\nbandwidth_limit = "1MiB"\n')
    service = whole("--config", places.file, places=False)
    end(look(service, "pictures", "empty"))
    for number in range(60):
        put(landing / f"partner-{number % 4}/orders-2026-11-{number % 27 + 1:02d}-{number:03d}.csv",
            os.urandom(20_000 + number * 1000))
    eventually(lambda: len(service.get("/v1/files?status=successful").json["files"]) == 60, what="deliveries")
    put(landing / "partner-1/prices-full.csv", os.urandom(40 << 20))
    put(landing / "partner-2/catalogue.csv", os.urandom(30 << 20))
    eventually(lambda: any(agent["bytes_done"] > 1 << 20 for agent in service.get("/v1/agents").json["agents"]),
               what="a running transfer")
    end(look(service, "pictures", "busy"))


@pytest.fixture
def troubled(configured, serve, landing, metastore, folder, server, other_server):
    """A service whose orders and stock are late and whose prices came late; b cannot be reached, c minds a name, a file is held.

    Prices cannot be archived, and two rows of the logs are of no use.
    """
    server.stop()
    (other_server.root / "partner-3").touch()
    configured.write('[route.prices]\nmatch = ["prices*"]\nto = ["c"]\n'
                     f'after = "archive"\narchive = "{folder}/archive"\n[route.all]\nto = ["b", "c"]\n'
                     '[expect.orders]\nlanding = ["in"]\nby = "00:00"\nmatch = ["*/orders-*.csv"]\ncount = 3\n'
                     '[expect.stock]\nby = "00:00"\ntimezone = "Europe/Berlin"\nmatch = ["partner-1/stock.csv"]\n'
                     '[expect.prices]\nby = "00:00"\nmatch = ["prices*"]\n')
    configured.file.write_text(configured.file.read_text().replace(
        "[landing.in]\n", '[landing.in]\nextensions = ["csv"]\n'))
    for name in ("partner-1/orders-1.csv", "partner-3/orders-2.csv", "partner-1/stock.csv", "prices.csv", "photo.jpg"):
        put(landing / name, b"content")
    (folder / "archive").touch()
    configured.register()
    configured.transfer()
    with open(metastore / "transfer_logs.jsonl", "a", encoding="utf-8") as logs:
        logs.write('garbage\n{"id": "lost", "transfer_status": "failed", "transfer_date": "2026-11-01T00:00:00.000Z"}\n')
    return serve("--config", configured.file, places=False)


def test_what_is_late_and_what_cannot_be_reached_is_seen_with_what_to_do(troubled, configured, look, landing, server):
    page = look(troubled, "waits")
    assert page.stdout.readline() == "ready\n", page.communicate()
    server.start(server.port)
    put(landing / "partner-1/orders-4.csv", b"content")
    put(landing / "partner-1/orders-5.csv", b"content")
    configured.register()
    configured.transfer("--to", "b")
    configured.transfer("--to", "c")
    end(page)


def test_trouble_is_fit_to_be_looked_at(troubled, look):
    end(look(troubled, "pictures", "trouble"))


# tus-js-client.

@pytest.mark.parametrize("chunk", [0, 1 << 20])
def test_the_client_of_tus_uploads_through_broken_lines_and_a_killed_service(serve, landing, metastore, folder, chunk):
    content = os.urandom(60 << 20)
    put(folder / "source", content)
    service = serve()
    port = service.port
    sending = start("resume.mjs", f"http://127.0.0.1:{port}/v1/uploads/landing", folder / "source", "big/file.bin", chunk)
    while int((sending.stdout.readline().split() or ["", "0"])[-1]) < 20 << 20:
        assert sending.poll() is None, sending.communicate()
    service.process.kill()
    serve("--listen", f"127.0.0.1:{port}")
    end(sending)
    assert (landing / "big/file.bin").read_bytes() == content
    assert registered(metastore) == {"big/file.bin"}


def test_the_description_of_the_api_has_nothing_that_a_linter_minds():
    description = HERE.parents[1] / "src/http/page/openapi.json"
    linted = subprocess.run(["node", HERE / "openapi.mjs", description], capture_output=True, text=True, timeout=100,
                            check=False)
    assert (linted.returncode, linted.stdout) == (0, ""), linted.stderr

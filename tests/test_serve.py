"""ferry serve: questions, management and the page."""

import datetime
import re
import shutil
import urllib.parse

from ferry_harness import REPOSITORY, put, read_table
from http_service import OPENAPI, described


# Questions and management.

def test_files_are_listed_page_by_page_newest_first(service):
    for number in range(5):
        assert service.put(f"landing/{number}.csv").status == 201
    paths, cursor = [], ""
    while cursor is not None:
        page = service.get(f"/v1/files?limit=2&cursor={cursor}").json
        paths += [file["path"] for file in page["files"]]
        cursor = page["next"]
    assert paths == [f"{number}.csv" for number in (4, 3, 2, 1, 0)]


def test_files_are_found_by_what_is_asked(service, ferry, landing, metastore, server):
    service.put("landing/sent.csv")
    ended = ferry("transfer", "--landing", landing, "--metastore", metastore, *server.options())
    assert ended.code == 0, ended.stderr
    service.put("landing/wait.csv")

    def paths(query):
        return [file["path"] for file in service.get("/v1/files?" + query).json["files"]]

    assert paths("status=successful") == ["sent.csv"]
    assert paths("q=wait") == ["wait.csv"]
    assert paths("since=2100-01-01") == []
    destination = urllib.parse.quote(server.url(), safe="")
    assert paths(f"destination={destination}&status=successful") == ["sent.csv"]
    for query in ("status=lost", "limit=0", "limit=1001", "limit=x", "since=never", "cursor=none",
                  "stauts=failed", "q=a&q=b", "destination=nowhere"):
        assert service.get("/v1/files?" + query).status == 400, query
    (sent,) = service.get("/v1/files?q=sent").json["files"]
    (delivery,) = sent["deliveries"]
    assert delivery["status"] == "successful" and delivery["destination"] == server.url()
    history = service.get(f"/v1/files/{sent['id']}/history").json
    assert [row["transfer_status"] for row in history["transfers"]] == ["in_progress", "successful"]
    for path in ("none", "none/history"):
        assert service.get("/v1/files/" + path).status == 404
    (totals,) = [one for one in service.get("/v1/status").json["destinations"]
                 if one["destination"] == server.url()]
    assert totals["files"]["successful"] == 1
    resent = service.ask("POST", f"/v1/files/{sent['id']}/resend")
    assert resent.status == 200 and resent.json["destinations"] == [server.url()]
    assert "sent.csv" in paths("status=pending")
    assert service.ask("POST", f"/v1/files/{sent['id']}/resend").status == 409


def test_failed_files_are_retried(service, ferry, landing, metastore, server):
    ident = service.put("landing/a").json["id"]
    assert service.ask("POST", f"/v1/files/{ident}/retry").status == 409
    (landing / "a").write_bytes(b"other")  # and not registered: what was promised is gone
    ended = ferry("transfer", "--landing", landing, "--metastore", metastore, "--retries", "1",
                  "--retry-delay", "10ms", *server.options())
    assert ended.code == 1, ended.stderr
    file = service.get("/v1/files/" + ident).json
    assert file["deliveries"][0]["status"] == "failed" and file["deliveries"][0]["error"]["message"]
    reply = service.ask("POST", f"/v1/files/{ident}/retry")
    assert reply.status == 200 and reply.json["status"] == "pending"
    assert service.get("/v1/files/" + ident).json["deliveries"][0]["status"] == "pending"
    assert service.ask("POST", "/v1/files/none/retry").status == 404


def test_quarantined_files_are_released_or_dropped(serve, ferry, landing, metastore):
    for name in ("good.txt", "bad.txt"):
        put(landing / name, b"x")
    ended = ferry("watch", "--once", "--landing", landing, "--metastore", metastore, "--extension", "csv")
    assert ended.code == 0, ended.stderr
    service = serve("--extension", "csv")
    held = {file["path"]: file["id"] for file in service.get("/v1/quarantine").json["files"]}
    assert set(held) == {"good.txt", "bad.txt"}
    put(landing / "taken.csv", b"y")
    taken = service.ask("POST", f"/v1/quarantine/{held['good.txt']}/release?as=taken.csv")
    assert taken.status == 409 and "as=NAME" in taken.json["detail"] and "--as" not in taken.json["detail"]
    assert service.ask("POST", f"/v1/quarantine/{held['good.txt']}/release?as=.hidden").status == 400
    released = service.ask("POST", f"/v1/quarantine/{held['good.txt']}/release?as=good.csv")
    assert released.status == 200 and released.json["state"] == "ready"
    assert released.json == next(row for row in read_table(metastore, "file_registry") if row["path"] == "good.csv")
    (landing / "taken.csv").unlink()
    assert service.ask("DELETE", f"/v1/quarantine/{held['bad.txt']}").status == 200
    assert (landing / "good.csv").read_bytes() == b"x"
    assert service.get("/v1/quarantine").json["files"] == []
    assert service.ask("DELETE", f"/v1/quarantine/{held['bad.txt']}").status == 404


def test_monitoring_is_told_the_same_as_by_the_command(service, ferry, metastore):
    service.put("landing/a")
    page = service.get("/metrics").body.decode()
    told = ferry("status", "--prometheus", "--metastore", metastore).stdout
    assert [line for line in page.splitlines() if "age_seconds" not in line] == [
        line for line in told.splitlines() if "age_seconds" not in line]


def test_readiness_is_not_told_without_the_metastore(service, metastore):
    service.put("landing/a")
    metastore.rename(metastore.with_name("away"))
    assert service.get("/readyz").status == 503
    metastore.mkdir()
    assert service.get("/readyz").status == 503
    metastore.rmdir()
    metastore.with_name("away").rename(metastore)
    assert service.get("/readyz").status == 200


def test_readiness_is_not_told_without_a_landing_area(service, landing):
    assert service.get("/readyz").status == 200
    landing.rename(landing.with_name("away"))
    assert service.get("/readyz").status == 503
    assert service.get("/healthz").status == 200


def test_other_methods_and_urls_are_told_so(service):
    reply = service.ask("DELETE", "/v1/files/a", check=False)
    assert reply.status == 405 and reply.fields["Allow"] == "GET"
    assert service.ask("BREW", "/metrics", check=False).status == 405
    assert service.get("/v2", check=False).status == 404
    head = service.ask("HEAD", "/v1/status", check=False)
    assert head.status == 200 and head.body == b"" and int(head.fields["Content-Length"]) > 0


def test_the_description_tells_of_every_route():
    source = (REPOSITORY / "src/http/api/service.cpp").read_text()
    for method, pattern in re.findall(r'{"(\w+)",\s*{("[^}]*)}', source):
        target = "/" + "/".join(re.findall(r'"([^"]*)"', pattern)).replace("*", "x")
        assert method.lower() in described(target), (method, target)


def test_the_description_is_served(service):
    assert service.get("/v1/openapi.json", check=False).json == OPENAPI


# The page.

def test_the_page_needs_nothing_from_elsewhere(service):
    page = service.get("/", check=False)
    assert page.status == 200 and page.fields["Content-Type"] == "text/html; charset=utf-8"
    policy = page.fields["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    text = page.body.decode()
    assert "//" not in re.sub(r"<!--.*?-->", "", text) and "style=" not in text and "onclick" not in text
    parts = re.findall(r'(?:src|href)="(/[^"]*)"', text)
    assert {"/page.css", "/page.js", "/icon.svg"} <= set(parts)
    for part in parts:
        reply = service.get(part, check=False)
        assert reply.status == 200
        parts += {"/" + module for module in re.findall(r'from "\./([^"]+)"', reply.body.decode())} - set(parts)
    assert "/elements.js" in parts


# What was delivered.

def enter(metastore, deliveries):
    """A file for each of the DELIVERIES, which are (time, destination or "")."""
    metastore.mkdir(exist_ok=True)
    (metastore / "metastore.json").write_text('{"format_version":1}\n')
    with open(metastore / "file_registry.jsonl", "w", encoding="ascii") as registry:
        registry.writelines(
            f'{{"id":"0195f5a0-0000-7000-8000-{number:012x}","path":"{number}.csv","checksum":"sha256:{number:064x}",'
            '"updated_date":"2026-01-01T00:00:00.000Z"}\n' for number in range(len(deliveries)))
    with open(metastore / "transfer_logs.jsonl", "w", encoding="ascii") as logs:
        logs.writelines(
            f'{{"id":"0195f5a0-0000-7000-8000-{number:012x}","transfer_status":"successful","transfer_date":"{time}",'
            + (f'"destination":"{destination}",' if destination else "") + '"bytes":7}\n'
            for number, (time, destination) in enumerate(deliveries))


LONG_AGO = "2026-01-01T00:00:00.000Z"


def just_now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_what_was_delivered_lately_is_counted_once_wherever_it_went(serve, metastore):
    enter(metastore, [(LONG_AGO, "b"), (just_now(), "b"), (just_now(), "c"), (just_now(), ""), (LONG_AGO, "")])
    for series in serve().get("/v1/activity").json.values():
        assert (sum(series["files"]), sum(series["bytes"])) == (3, 21)


def test_what_was_delivered_long_ago_costs_nothing(serve, metastore):
    def reads(process):
        text = open(f"/proc/{process.popen.pid}/io", encoding="ascii").read()
        return int(text.split("syscr: ")[1].split()[0])

    def cost(count):
        enter(metastore, [(LONG_AGO, "b")] * count + [(just_now(), "b")])
        service = serve()
        before = reads(service.process)
        assert sum(service.get("/v1/activity").json["hour"]["files"]) == 1
        after = reads(service.process)
        assert service.process.stop().code == 0
        shutil.rmtree(metastore)
        return after - before

    few = cost(10)
    assert cost(30_000) < few + 100

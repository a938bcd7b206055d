"""docs/servers.md, from what a whole run showed."""

import collections

HEAD = """# SFTP servers

<!-- Written by `make test-servers`: change tests/servers/page.py, not this. -->

ferry relies on nothing but SFTP version 3, uses what a server offers beyond it, and finds out by trying what a
server says nothing about. `make test-servers` delivers to the servers below, over both transports: many small files
and large ones, runs and servers that are killed, lines that are cut, wrong keys, limits of logins, landing areas on
the server. Each delivery is compared byte for byte with what lies in the server's directory, and so are the control
files and the tables; while it runs, nothing but whole files may show under a final name.
"""


def write(path, kinds, results):
    """Of the servers that anything is known of."""
    known = [kind for kind in kinds if any(server == kind.name for server, *_ in results.cells)]
    path.write_text("\n".join([HEAD, "## Servers", "", *servers(known, results), "", *quick(results),
                               "## What does not work", "", *limits(known, results)]) + "\n")


def servers(kinds, results):
    yield ("| server | version | cases with libssh2 | with openssh | replaces in one step | syncs "
           "| large files |")
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for kind in kinds:
        shares = [share(results, kind.name, transport) for transport in ("libssh2", "openssh")]
        yield "| " + " | ".join([kind.title, kind.version(), *shares,
                                 *abilities(results.findings.get(kind.name, []))]) + " |"


def share(results, server, transport):
    ok, not_ok, failed = (results.count(server, transport, ended)
                          for ended in ("ok", "unsupported", "failed"))
    if not ok + not_ok + failed:
        return "not run"
    if failed:
        return f"{ok} of {ok + not_ok + failed}, {failed} failed"
    return f"all {ok}" if not not_ok else f"{ok} of {ok + not_ok}"


def quick(results):
    """What was tried with less than the page's first lines lead to expect."""
    count = sum(1 for cell in results.cells.values() if cell.is_quick)
    if count:
        yield f"{count} of {len(results.cells)} cases were tried with a twentieth of the bytes and rounds."
        yield ""


def abilities(findings):
    """Of what doctor found: rename over a file, fsync, and how large files are sent."""
    health = {one["check"]: one["health"] for one in findings}
    for check in ("posix-rename", "fsync"):
        yield {"well": "yes", "note": "no"}.get(health.get(check), "")
    yield {"well": "spread and resumed", "note": "one connection each"}.get(
        health.get("large files"), "")


def limits(kinds, results):
    """One row for all the cells that a limit holds for."""
    titles = {kind.name: kind.title for kind in kinds}
    cells = collections.defaultdict(lambda: collections.defaultdict(set))
    for (server, transport, case), cell in results.cells.items():
        if cell.ended == "unsupported":
            cells[server, case][cell.limit].add(transport)
    yield "| server and case | exit code | what ferry says | why |"
    yield "| --- | --- | --- | --- |"
    rows = collections.defaultdict(list)
    for (server, case), by_said in cells.items():
        for (code, message, why), transports in by_said.items():
            only = "" if len(transports) > 1 else f" ({min(transports)})"
            rows[code, message, why].append(f"{titles[server]}: {case}{only}")
    for (code, message, why), where in rows.items():
        yield f"| {'<br>'.join(where)} | {code} | `{message}` | {why} |"

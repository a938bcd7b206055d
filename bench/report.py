"""The table."""

import datetime
import os
import platform
import statistics

FERRIES = ("ferry-libssh2", "ferry-openssh")


def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{os.cpu_count()} × {model}"


def headline(versions):
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    return "; ".join([machine(), f"Linux {platform.release()}", *versions, today])


def median(runs, tool, value):
    """None where the tool has no run that ended well."""
    values = [getattr(run.measured, value) for run in runs if run.tool == tool and not run.trouble]
    return statistics.median(values) if values else None


def table(results, tools):
    """RESULTS: pairs of a work and its runs."""
    ferries = [name for name in FERRIES if name in tools]
    peers = [name for name in tools if name not in FERRIES]
    header = ["work", *(f"{name} s" for name in tools),
              *(f"{name} / best peer" for name in ferries),
              *(f"{name} CPU s" for name in ferries), *(f"{name} peak MiB" for name in ferries)]
    lines = [row(header), row(["---"] + ["---:"] * (len(header) - 1))]
    for work, runs in results:
        walls = {name: median(runs, name, "wall") for name in tools}
        best = min((walls[name] for name in peers if walls[name]), default=None)
        lines.append(row(
            [work.title, *(cell(runs, name, walls[name]) for name in tools),
             *(number(walls[name] / best if walls[name] and best else None) for name in ferries),
             *(number(median(runs, name, "cpu")) for name in ferries),
             *(number(median(runs, name, "peak_mib"), 1) for name in ferries)]))
    return "\n".join(lines)


def cell(runs, tool, wall):
    if wall is not None:
        return number(wall)
    troubles = [run.trouble for run in runs if run.tool == tool]
    return troubles[0].splitlines()[0] if troubles else "–"


def number(value, digits=2):
    return "–" if value is None else f"{value:.{digits}f}"


def row(cells):
    return "| " + " | ".join(cells) + " |"


def as_json(versions, results):
    return {"machine": headline(versions),
            "works": [{"name": work.name, "title": work.title, "files": work.files,
                       "file_bytes": work.size, "delay_ms": work.delay_ms,
                       "runs": [{"tool": run.tool, "round": run.round,
                                 "wall_s": round(run.measured.wall, 3),
                                 "cpu_s": round(run.measured.cpu, 3),
                                 "peak_mib": round(run.measured.peak_mib, 1),
                                 "trouble": run.trouble} for run in runs]}
                      for work, runs in results]}

"""The DAGs under a real scheduler with the LocalExecutor."""

import os
import pathlib
import re
import signal

from airflow_harness import scheduler
from ferry_harness import eventually, make_big_file, same_tree

GIB = 1 << 30


def ferry_of(delivery):
    """The process id of the ferry that a task of this delivery runs, and of the task."""
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")
            environment = (stat.parent / "environ").read_bytes()
        except OSError:
            continue
        is_ferry = fields[0].endswith("(ferry")
        if is_ferry and str(delivery.config).encode() in environment:
            return int(stat.parent.name), int(fields[2].split()[1])
    return None


def bytes_arrived(server):
    return sum(path.stat().st_blocks * 512 for path in server.leftovers())


def bytes_received(server):
    """By all connections that have ended, as sshd counted them."""
    log = (server.folder / "sshd.log").read_text()
    return sum(int(count) for count in re.findall(r"Transferred: .*received (\d+) bytes", log))


def test_a_task_that_is_killed_in_the_middle_of_a_large_file_resumes(airflow, delivery):
    make_big_file(delivery.landing / "large.bin", GIB)
    delivery.register()
    delivery.configure(bandwidth_limit="100M")
    with scheduler(airflow, delivery.environment) as log:
        airflow.run("dags", "reserialize")
        airflow.run("dags", "unpause", "killed")
        airflow.run("dags", "trigger", "killed")
        eventually(lambda: bytes_arrived(delivery.server) > GIB // 2, deadline=600,
                   what="half of the file")
        ferry, task = ferry_of(delivery)
        os.kill(task, signal.SIGKILL)
        os.kill(ferry, signal.SIGKILL)
        delivery.configure()
        eventually(lambda: airflow.run_state("killed") in ("success", "failed"), deadline=600,
                   what="the end of the DAG run")
        assert airflow.run_state("killed") == "success", log()
    assert airflow.tries("killed", "transfer") >= 2
    assert same_tree(delivery.landing, delivery.server.root)
    assert delivery.server.leftovers() == []
    assert bytes_received(delivery.server) < GIB * 5 // 4

"""A real Airflow with a home of its own: its commands, its DAG runs, its scheduler."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess

from ferry_harness import FERRY, REPOSITORY, environment, eventually, free_port

VENV = pathlib.Path(os.environ.get("AIRFLOW_VENV", "/nonexistent")).resolve()


class Airflow:
    """AIRFLOW_HOME in FOLDER, with SQLite and the DAGs of this repository and of these tests."""

    def __init__(self, folder):
        self.home = folder / "airflow"
        self.dags = self.home / "dags"
        shutil.copytree(REPOSITORY / "dags", self.dags)
        shutil.copytree(pathlib.Path(__file__).parent / "dags", self.dags, dirs_exist_ok=True)
        port = free_port()
        self._environment = {
            "AIRFLOW_HOME": self.home,
            "AIRFLOW__CORE__DAGS_FOLDER": self.dags,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": port,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": "the tests' own",
            "AIRFLOW__API_AUTH__JWT_SECRET": "the tests' own, long enough for a signature of 64 bytes",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            # Airflow 2 refuses SQLite with the LocalExecutor unless it is told to be in a test.
            "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1",
            "PATH": f"{FERRY.parent}:{os.environ['PATH']}",
        }
        self.version = self.run("version").stdout.strip().splitlines()[-1]
        self.run("db", "migrate")

    @property
    def major(self):
        return int(self.version.partition(".")[0])

    def environment(self, extra=None):
        merged = environment({**self._environment, **(extra or {})})
        return {name: str(value) for name, value in merged.items()}

    def run(self, *args, env=None, check=True, timeout=600):
        ended = subprocess.run([VENV / "bin" / "airflow", *map(str, args)], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                               env=self.environment(env), cwd=self.home, timeout=timeout)
        assert not check or ended.returncode == 0, ended.stdout
        return ended

    def python(self, *args):
        return subprocess.run([VENV / "bin" / "python", *map(str, args)], text=True, check=True,
                              stdout=subprocess.PIPE, env=self.environment(), cwd=self.home,
                              timeout=600).stdout

    def rows(self, query, *values):
        with contextlib.closing(sqlite3.connect(f"file:{self.home}/airflow.db?mode=ro", uri=True,
                                                timeout=30)) as database:
            return database.execute(query, values).fetchall()

    def task_states(self, dag_id):
        """Of the DAG's latest run."""
        return dict(self.rows(
            "SELECT task_id, state FROM task_instance WHERE run_id = (SELECT run_id FROM dag_run"
            " WHERE dag_id = ?1 ORDER BY id DESC LIMIT 1) AND dag_id = ?1", dag_id))

    def tries(self, dag_id, task_id):
        ((number,),) = self.rows("SELECT try_number FROM task_instance WHERE dag_id = ? AND"
                                 " task_id = ? ORDER BY start_date DESC LIMIT 1", dag_id, task_id)
        return number

    def run_state(self, dag_id):
        states = self.rows("SELECT state FROM dag_run WHERE dag_id = ? ORDER BY id DESC LIMIT 1",
                           dag_id)
        return states[0][0] if states else None


class Delivery:
    """A metastore, a landing area and a server, as Airflow's DAGs are told of them."""

    def __init__(self, airflow, folder, landing, metastore, server, ferry):
        self.airflow = airflow
        self.landing = landing
        self.metastore = metastore
        self.server = server
        self.config = folder / "ferry.toml"
        self._ferry = ferry
        self.configure()

    def configure(self, **transfer):
        """Writes ferry's configuration; TRANSFER are keys of its section [transfer]."""
        self.config.write_text("\n".join([
            f'metastore = "{self.metastore}"',
            "[landing.partners]", f'path = "{self.landing}"',
            "[destination.warehouse]", f'url = "{self.server.url()}"',
            f'identity = "{self.server.identity}"', f'known_hosts = "{self.server.known_hosts}"',
            "use_agent = false",
            "[transfer]", *(f"{key} = {json.dumps(value)}" for key, value in transfer.items()),
        ]) + "\n")

    @property
    def environment(self):
        """The connection and the variable that dags/README.md asks for."""
        connection = {"conn_type": "fs", "extra": {"path": str(self.metastore)}}
        return {"AIRFLOW_CONN_FERRY_METASTORE": json.dumps(connection),
                "AIRFLOW_VAR_FERRY_CONFIG": str(self.config)}

    def ferry(self, *args):
        ended = self._ferry("--config", self.config, *args)
        assert ended.code == 0, ended.stderr
        return ended

    def register(self, updated=None):
        """Registers what is in the landing area; as if at the time UPDATED."""
        registry = self.metastore / "file_registry.jsonl"
        known = len(registry.read_text().splitlines()) if registry.exists() else 0
        self.ferry("watch", "--once")
        if updated is None:
            return
        rows = [json.loads(line) for line in registry.read_text().splitlines()]
        for row in rows[known:]:
            row["updated_date"] = updated
        registry.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def test_dag(self, dag_id, date="2026-11-22", env=None):
        """`airflow dags test`: one run of the DAG, in the foreground."""
        return self.airflow.run("dags", "test", dag_id, date, env={**self.environment, **(env or {})},
                                check=False)


class Service:
    """One of Airflow's long-running processes, with those that it starts, in a group of its own."""

    def __init__(self, airflow, command, env):
        self._log = airflow.home / f"{command.split()[0]}.log"
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [VENV / "bin" / "airflow", *command.split()], stdout=log, stderr=log,
                env=airflow.environment(env), cwd=airflow.home, start_new_session=True)

    def log(self):
        return self._log.read_text(errors="replace")

    def stop(self):
        for number in (signal.SIGTERM, signal.SIGKILL):  # the second also for what the first left
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=20)


@contextlib.contextmanager
def scheduler(airflow, env):
    """The processes that an installation needs to run its DAGs by itself."""
    commands = [] if airflow.major == 2 else ["api-server", "dag-processor"]
    services = []
    try:
        for command in [*commands, "scheduler --skip-serve-logs"]:
            services.append(Service(airflow, command, env))
        yield lambda: "\n".join(service.log() for service in services)
    finally:
        for service in reversed(services):
            service.stop()

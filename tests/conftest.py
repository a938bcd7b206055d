import functools
import shutil

import pytest

import ferry_harness as harness
import fleet_harness
import http_service
import landing_site
import postgres_harness
import remote_site

# They need a system, an Airflow or servers of their own: make test-systemd, test-airflow, test-servers, test-page, test-container.
collect_ignore = ["systemd", "airflow", "servers", "page", "container"]


@pytest.fixture
def folder():
    path = harness.temporary_directory()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def landing(folder):
    path = folder / "landing"
    path.mkdir()
    return path


@pytest.fixture
def metastore(folder):
    return folder / "metastore"


@pytest.fixture
def ferry():
    return harness.run_ferry


@pytest.fixture
def server(request, folder):
    """Lines of sshd_config may come as the parameter."""
    running = harness.Server(folder / "server", *getattr(request, "param", ()))
    yield running
    running.stop()


@pytest.fixture
def watching(folder, landing, metastore):
    return functools.partial(harness.watching, folder, landing, metastore)


@pytest.fixture
def register(ferry, landing, metastore):
    """Registers what is in the landing area."""

    def run():
        ended = ferry("watch", "--once", "--json", "--landing", landing, "--metastore", metastore)
        assert ended.code == 0, ended.stderr
        return ended.json["registered"]

    return run


@pytest.fixture
def transfer_arguments(landing, metastore, server):
    return ["transfer", "--json", "--landing", landing, "--metastore", metastore,
            *server.options()]


@pytest.fixture
def transfer(ferry, transfer_arguments):
    """Delivers to the server."""

    def run(*options, **keywords):
        return ferry(*transfer_arguments, *options, **keywords)

    return run


@pytest.fixture
def status(ferry, metastore):
    def run():
        ended = ferry("status", "--json", "--metastore", metastore)
        assert ended.code == 0, ended.stderr
        return ended.json

    return run


@pytest.fixture
def other_server(folder):
    running = harness.Server(folder / "other")
    yield running
    running.stop()


@pytest.fixture
def configured(ferry, folder, landing, metastore, server, other_server):
    """A configuration file with two destinations, b and c."""
    return harness.Configured(ferry, folder, landing, metastore, {"b": server, "c": other_server})


@pytest.fixture
def site(folder, server):
    def make(**areas):
        return landing_site.Site(folder, server, **areas)

    return make


@pytest.fixture
def serve(folder, landing, metastore):
    running = []

    def start(*options, places=True):
        where = ["--landing", landing, "--metastore", metastore] if places else []
        running.append(http_service.Service(folder, *where, *options))
        return running[-1]

    yield start
    for service in running:
        if service.process.popen.poll() is None:
            service.process.kill()


@pytest.fixture
def service(serve):
    return serve()


@pytest.fixture
def token(ferry, metastore):
    def make(name, *options):
        ended = ferry("token", "new", name, "--metastore", metastore, *options)
        assert ended.code == 0, ended.stderr
        return ended.stdout.strip()

    return make


@pytest.fixture(scope="module")
def postgres():
    running = postgres_harness.Postgres()
    yield running
    running.remove()


@pytest.fixture
def fleet(postgres, folder, landing, server):
    hosts = fleet_harness.Fleet(postgres, folder, landing, server)
    yield hosts
    hosts.end()


@pytest.fixture
def remote(folder):
    a, b = harness.Server(folder / "a"), harness.Server(folder / "b")
    yield remote_site.Remote(folder, a, b)
    a.stop()
    b.stop()


@pytest.fixture
def watcher(remote):
    running = remote.start("watch")
    harness.eventually(lambda: " ready" in running.log(), what="the watcher")
    yield running
    ended = running.stop()
    assert ended.code == 0, ended.stderr

import os
import pathlib
import shutil
import sys

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent),
                str(pathlib.Path(__file__).resolve().parents[1])]

import ferry_harness  # noqa: E402  (these need the path)
import page  # noqa: E402
import programs  # noqa: E402
from catalogue import BY_NAME, KINDS, TRANSPORTS  # noqa: E402
from cell import Cell  # noqa: E402
from limits import Refused, limit_of  # noqa: E402
from results import Results  # noqa: E402

RESULTS = Results()


def pytest_addoption(parser):
    group = parser.getgroup("servers")
    group.addoption("--servers", default="", help="only these kinds, by name")
    group.addoption("--cases", default="", help="only these cases, by name")
    group.addoption("--transports", default=" ".join(TRANSPORTS), help="only these")
    group.addoption("--quick", action="store_true", help="a twentieth of the bytes and rounds")


def pytest_configure(config):
    RESULTS.is_quick = config.getoption("quick")
    config.addinivalue_line("markers", "kinds(*names): the only servers that a case is for")
    if os.geteuid() != 0:
        pytest.exit("only root may give a server an account and a file system of its own",
                    returncode=1)
    unknown = set(config.getoption("servers").split()) - set(BY_NAME)
    if unknown:
        pytest.exit(f"unknown: {', '.join(unknown)}; there are {' '.join(BY_NAME)}", returncode=1)


def case_of(item):
    """By its name, and with a case's own parameters behind it."""
    own = [str(value) for name, value in item.callspec.params.items()
           if name not in ("server", "transport")]
    return " ".join([item.originalname.removeprefix("test_"), *own])


def pytest_generate_tests(metafunc):
    if "cell" not in metafunc.fixturenames:
        return
    chosen = metafunc.config.getoption("servers").split() or list(BY_NAME)
    kinds = [kind for kind in KINDS if kind.name in chosen]
    for marker in metafunc.definition.iter_markers("kinds"):
        kinds = [kind for kind in kinds if kind.name in marker.args]
    transports = metafunc.config.getoption("transports").split()
    cells = [(kind, transport) for kind in kinds for transport in transports]
    metafunc.parametrize("server,transport", cells, indirect=["server"], scope="session",
                         ids=[f"{kind.name}-{transport}" for kind, transport in cells])


def pytest_collection_modifyitems(config, items):
    """One kind after the other; each kind's cases stay in one process."""
    order = list(BY_NAME)
    items[:] = [item for item in items if isinstance(item.callspec.params["server"], type)]
    wanted = config.getoption("cases").split()
    if wanted:
        items[:] = [item for item in items if case_of(item).split()[0] in wanted]
    items.sort(key=lambda item: order.index(item.callspec.params["server"].name))
    for item in items:
        name = item.callspec.params["server"].name
        item.add_marker(pytest.mark.xdist_group(name))
        item.user_properties.append(("cell", [name, item.callspec.params["transport"], case_of(item)]))


@pytest.fixture(scope="session")
def workplace():
    folder = ferry_harness.temporary_directory()
    folder.chmod(0o755)  # servers' accounts go through it
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(request, workplace):
    """One of each kind; the next case finds it running, whatever became of it."""
    kind = request.param
    kind.fetch()
    running = kind(workplace / kind.name)
    yield running
    running.stop()
    shutil.rmtree(running.folder, ignore_errors=True)


@pytest.fixture
def cell(request, server, transport, folder):
    server.begin()
    scale = 0.05 if request.config.getoption("quick") else 1
    made = Cell(folder, server, transport, scale)
    yield made
    made.finish()


@pytest.hookimpl(hookwrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """Where a limit is known, the case must come to it, and ferry must say so."""
    outcome = yield
    cell = pyfuncitem.funcargs.get("cell")
    limit = cell and limit_of(cell.server.name, cell.transport, case_of(pyfuncitem))
    if limit is None:
        return
    error = outcome.excinfo[1] if outcome.excinfo else None
    if error is None:
        pytest.fail(f"limits.toml expects {limit}; it works")
    if not isinstance(error, Refused):
        return
    if not limit.fits(error):
        pytest.fail(f"limits.toml expects {limit}; but {error}")
    pyfuncitem.user_properties.append(
        ("unsupported", [limit.exit_code, limit.message_of(error), limit.why]))
    outcome.force_result(True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failure shows what the server said last."""
    outcome = yield
    report = outcome.get_result()
    server = item.funcargs.get("server")
    if report.failed and server:
        report.sections.append((f"the log of {server.name}", server.log()[-3000:]))


def pytest_runtest_logreport(report):
    RESULTS.add(report)


def pytest_report_teststatus(report):
    if report.when == "call" and report.passed and dict(report.user_properties).get("unsupported"):
        return "unsupported", "u", "UNSUPPORTED"
    return None


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    terminalreporter.write(RESULTS.summary())
    if RESULTS.cells:
        kept = RESULTS.merged(programs.WORKPLACE / "results.json")
        page.write(ferry_harness.REPOSITORY / "docs" / "servers.md", KINDS, kept)

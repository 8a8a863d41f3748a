"""Fixtures for all tests."""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import shutil
import signal
import sys
import tempfile
import uuid
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import sqlalchemy as sa

from trading_assets.state import connect_state
from trading_assets_tests.leaving_out import leave_out, leave_out_late
from trading_assets_tests.scheduling import SharedSetups, group_of
from trading_assets_tests.templates import share_templates

if TYPE_CHECKING:  # a run of a few tests does without, and so does the process that only hands tests out
    from trading_assets.settings import Settings
    from trading_assets.simulator import Simulator
    from trading_assets_tests.killing.forks import ForkServer

REPOSITORY = Path(__file__).resolve().parent.parent


IN_MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 6 * 2**30
"""What the suite writes at most, with room to spare."""


def pytest_configure(config: pytest.Config) -> None:
    """Temporary folders are in memory where there is room: half of the suite's time would be waiting for a disk.
    Nothing that is imported and collected now is garbage.

    What is tested of a killed process is the same there; no test takes the power away.
    """
    if (
        "TMPDIR" not in os.environ
        and os.access(IN_MEMORY, os.W_OK)
        and shutil.disk_usage(IN_MEMORY).free > ENOUGH_BYTES
    ):
        os.environ["TMPDIR"] = str(IN_MEMORY)  # the processes of tests, too
        tempfile.tempdir = None
    _be_interruptible()
    share_templates()
    hypothesis.settings.register_profile("suite", deadline=None)  # how long an example takes depends on the machine
    hypothesis.settings.load_profile("suite")
    gc.disable()


def _be_interruptible() -> None:
    """A background job of a shell inherits an ignored SIGINT, Dagster then ignores SIGTERM, and so would all processes
    that tests start and end."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def pytest_itemcollected(item: pytest.Item) -> None:
    """What needs a service is slow: `make test` leaves it to `make slow`, and does not ask for one."""
    parameters = getattr(getattr(item, "callspec", None), "params", {}).values()
    if "postgresql" in [*getattr(item, "fixturenames", ()), *(value for value in parameters if isinstance(value, str))]:
        item.add_marker("slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long ones first: with several workers none is left alone with them at the end.

    In a worker the others are in a mixed order, the same in each run: tests that wait for a broker are neighbours in
    their folder, and four workers that wait at once leave both processors idle. Tests that stay together (`scheduling`)
    begin in the first half.
    """
    mixed = hasattr(config, "workerinput")

    def place(item: pytest.Item) -> tuple[bool, float]:
        group = group_of(item.nodeid.partition("::")[0])
        mixture = zlib.crc32((group or item.nodeid).encode()) * (0.5 if group else 1.0)
        return item.get_closest_marker("slow") is None, mixture if mixed else 0.0

    items.sort(key=place)


FORKS: pytest.StashKey[ForkServer] = pytest.StashKey()


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was imported and collected stays, and the memory suffices: to look for garbage often was a twentieth of the
    suite's time. At the interpreter's end it is looked through: extension modules report what was not found then. The
    process that forks others for the tests of kills begins here, where there is no thread."""
    gc.freeze()
    if any("fork_server" in getattr(item, "fixturenames", ()) for item in session.items):
        from trading_assets_tests.killing.forks import ForkServer

        session.config.stash[FORKS] = ForkServer()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()
    atexit.register(gc.unfreeze)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Before any fixture of a test is made."""
    leave_out_late()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """The test left the worker an event loop: `asyncio.run` in its main thread takes it away, and then tests that know
    nothing of it fail (ib_insync asks for the thread's loop)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:
        asyncio.set_event_loop(asyncio.new_event_loop())
        pytest.fail(f"{item.name} left no event loop in the main thread: use coroutines.run_coroutine, or a thread.")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the process that forks others."""
    if FORKS in session.config.stash:
        session.config.stash[FORKS].close()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With several workers (`--dist loadgroup`): tests that share a set-up lake run in one of them."""
    return SharedSetups(config, log) if config.getoption("dist") == "loadgroup" else None


@pytest.fixture(scope="session")
def fork_server(pytestconfig: pytest.Config) -> ForkServer:
    """Forks processes that have everything imported."""
    return pytestconfig.stash[FORKS]


@pytest.fixture
def forks(fork_server: ForkServer) -> Iterator[ForkServer]:
    """The same for one test: those of its processes that wait to be asked something end with it."""
    yield fork_server
    fork_server.end_children()


@pytest.fixture(scope="session")
def tws() -> Iterator[Simulator]:
    """A simulated TWS without limits, from which `lake_to_kill_at` was collected."""
    from trading_assets.simulator import Simulator
    from trading_assets.simulator.generated import GeneratedMarket
    from trading_assets_tests.endurance.conftest import NOW

    with Simulator(GeneratedMarket(), now=NOW, limits=False) as running:
        yield running
        assert not running.counters.internal_errors


@pytest.fixture(scope="session")
def lake_to_kill_at(tws: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a small lake, of which tests of kills work on copies."""
    from trading_assets_tests.killing.lake import fill

    return fill(tmp_path_factory.mktemp("collected") / "lake", tws)


@pytest.fixture(scope="session")
def recorded_market() -> Path:
    """The folder of recorded real market data (`TRADING_ASSETS_RECORDED_MARKET`, else `../shared/market` beside the
    repository)."""
    folder = Path(os.environ.get("TRADING_ASSETS_RECORDED_MARKET", REPOSITORY.parent / "shared" / "market"))
    if not folder.is_dir():
        leave_out(
            f"recorded market data is absent: there is no folder {folder} (set TRADING_ASSETS_RECORDED_MARKET to one)"
        )
    return folder


@pytest.fixture
def without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without the extra `pictures`."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "trading_assets.monitoring.pictures", raising=False)
    monkeypatch.delattr("trading_assets.monitoring.pictures", raising=False)


@pytest.fixture
def postgresql() -> Iterator[str]:
    """The URL of an empty database on the PostgreSQL server that `TRADING_ASSETS_TEST_POSTGRESQL` names; dropped at the
    end."""
    server = os.environ.get("TRADING_ASSETS_TEST_POSTGRESQL")
    if not server:
        leave_out(
            "there is no PostgreSQL server to test on: set TRADING_ASSETS_TEST_POSTGRESQL to a SQLAlchemy URL of one"
        )
    name = f"trading_assets_{uuid.uuid4().hex}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    url = sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    yield url
    connect_state(url).dispose()
    with engine.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def history(postgresql: str) -> str:
    """The URL of an empty database for Dagster's history, as its setting has it."""
    return sa.make_url(postgresql).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty state database of each kind."""
    return f"sqlite:///{tmp_path / 'state.db'}" if request.param == "sqlite" else request.getfixturevalue("postgresql")

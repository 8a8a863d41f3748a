"""Every public function refuses what cannot be meant, before it does anything; whoever only reads writes nothing."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from trading_assets.errors import InvalidRequest, LakeError, NotALake
from trading_assets.repositories.layout import migrate
from trading_assets.state import connect_state
from trading_assets.universe import Universe
from trading_assets_tests.lakes import PLAIN, copy_of
from trading_assets_tests.public_functions import (
    FUNCTIONS,
    NOW,
    ON_A_FOLDER,
    READING,
    PublicFunction,
    read_all,
    settings_of,
)

MODULES = (
    *("", ".client", ".lineage", ".repositories", ".jobs", ".monitoring", ".monitoring.alerts", ".validation"),
    ".trading",
)

CHECKED = frozenset(
    {
        "symbol", "symbols", "start_date", "end_date", "first", "last", "session", "trade_date", "as_of", "bar_size",
        "right", "expiry", "con_id", "strike", "local_symbol", "limit", "lookback_days", "base_path", "data_dir",
        "datasets", "exchange", "primary_exchange", "options", "decision", "until", "remind_after", "alert_type",
        "target", "sec_type",
    }
)  # fmt: skip
"""Names of arguments that a public function must check."""

NOT_CHECKED = {
    "Lake.__init__": "made by `Lake.of`",
    "Lake.expired_contracts": "its symbols may be those of rows that another program wrote; its day is checked",
    "CoverageRepository.recorded": "of symbols and days in the platform's own form",
    "LakeIdentity.__init__": "a part of the store: what is wrong with the folder is its subject",
    "Findings.current": "of symbols in the platform's own form, and rows without one",
    "Findings.replace": "written by the engine",
    "write_catalog": "in ON_A_FOLDER",
    "restore_archive": "it makes the package's lake in an empty folder: archive_packages/test_packages.py",
    **dict.fromkeys(
        ("ParquetStore.__init__", "ParquetStore.files", "ParquetStore.read", "ParquetStore.read_one",
         "ParquetStore.read_revisions", "ParquetStore.relabel", "ParquetStore.withdraw"),
        "the store below the repositories: of `Dataset` objects, symbols and days in the platform's own form",
    ),
    **dict.fromkeys(
        ("ChainSnapshot.__init__", "JobResult.__init__", "QualityReport.__init__", "Alert.__init__", "Issue.__init__",
         "Finding.__init__", "Review.__init__", "PartStatus.__init__",
         "Position.__init__", "PositionGreeks.__init__", "RuleResult.__init__", "DataIntegrityError.__init__"),
        "a value that the platform makes",
    ),
}  # fmt: skip
"""Public functions with an argument of such a name that take it as it is, and why."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of two symbols, with its state database."""
    folder = copy_of(PLAIN, tmp_path_factory.mktemp("functions") / "lake")
    migrate(folder)
    connect_state(settings_of(folder).state_url).dispose()
    return folder


@pytest.fixture
def desk(lake: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same as the data folder of the command."""
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(lake))
    monkeypatch.setenv("TRADING_ASSETS_NOW", NOW.isoformat())
    monkeypatch.setenv("TRADING_ASSETS_IB_PORT", "1")
    return lake


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder below, with size and time of the last change of content (of folders nothing)."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.stat()
        found[str(path.relative_to(folder))] = (status.st_size, status.st_mtime_ns) if path.is_file() else (0, 0)
    return found


def public_functions() -> Iterator[tuple[str, set[str]]]:
    """Each public function or method of the public modules, with the names of its arguments."""
    for name in MODULES:
        module = import_module(f"trading_assets{name}")
        for public in module.__all__:
            found = getattr(module, public)
            if inspect.isclass(found):
                members = inspect.getmembers(found, lambda one: inspect.isfunction(one) or inspect.ismethod(one))
                for member, function in members:
                    if member == "__init__" or not member.startswith("_"):
                        yield f"{found.__name__}.{member}", set(inspect.signature(function).parameters)
            elif inspect.isfunction(found):
                yield public, set(inspect.signature(found).parameters)


def test_every_public_function_with_such_an_argument_is_listed() -> None:
    found = {name: arguments & CHECKED for name, arguments in public_functions() if arguments & CHECKED}
    assert len(found) > 60
    listed = FUNCTIONS.keys() | NOT_CHECKED.keys() | ON_A_FOLDER.keys()
    assert sorted(found.keys() - listed) == [], "list it in public_functions.py, or say in NOT_CHECKED why not"
    folders = {"base_path", "data_dir"}
    lacking = {
        name: sorted(arguments - FUNCTIONS[name].wrong.keys() - folders)
        for name, arguments in found.items()
        if name in FUNCTIONS and name not in NOT_CHECKED
    }
    assert {name: left for name, left in lacking.items() if left} == {}


CASES = [
    pytest.param(function, argument, value, id=f"{name}-{argument}-{value!r}")
    for name, function in FUNCTIONS.items()
    for argument, values in function.wrong.items()
    for value in values
]


@pytest.mark.parametrize(("function", "argument", "value"), CASES)
def test_a_wrong_value_is_refused_and_named(lake: Path, function: PublicFunction, argument: str, value: Any) -> None:
    before = listing(lake)
    with pytest.raises(InvalidRequest) as caught:
        function.call(lake, **{**function.right, argument: value})
    said = str(caught.value)
    assert said.endswith(".") and "trading-assets " not in said
    assert listing(lake) == before


@pytest.mark.parametrize("name", [name for name, function in FUNCTIONS.items() if function.range_of])
def test_a_range_that_ends_before_it_begins_is_refused(lake: Path, name: str) -> None:
    function = FUNCTIONS[name]
    assert function.range_of is not None
    first, last = function.range_of
    said = rf"cannot end \({last} 2023-12-29\) before it begins \({first} 2024-01-02\)"
    with pytest.raises(InvalidRequest, match=said):
        function.call(lake, **{**function.right, first: "2024-01-02", last: "2023-12-29"})


@pytest.mark.parametrize("name", ON_A_FOLDER)
def test_a_folder_without_a_lake_is_refused_and_nothing_is_created(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("a")
    before = listing(tmp_path)
    for folder in (tmp_path / "notes", tmp_path / "typo" / "data"):
        with pytest.raises(NotALake, match=f"{folder} holds no lake: ") as caught:
            ON_A_FOLDER[name](folder)
        assert isinstance(caught.value, ValueError) and isinstance(caught.value, LakeError)
    assert listing(tmp_path) == before


def test_the_lake_that_was_meant_is_named(lake: Path) -> None:
    for folder in (lake / "equity_bars", lake.parent, lake / "contracts" / "x"):
        with pytest.raises(NotALake) as caught:
            ON_A_FOLDER["connect"](folder)
        assert str(caught.value).endswith(f"Did you mean {lake}?")
    for collecting in ("DataPipelineOrchestrator.__init__", "DataValidation.__init__"):
        with pytest.raises(NotALake, match="it is the folder of one dataset"):
            FUNCTIONS[collecting].call(lake, base_path=lake / "equity_bars")
        with pytest.raises(NotALake, match="it is a file"):
            FUNCTIONS[collecting].call(lake, base_path=lake / "lake.json")


@pytest.mark.slow
def test_what_only_reads_writes_nothing(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = listing(desk)
    read_all(desk)
    assert listing(desk) == before
    assert "AAPL" in capsys.readouterr().out


def without_state(folder: Path, lake: Path) -> Path:
    """A copy of the lake whose state database is lost."""
    folder.mkdir(exist_ok=True)
    copy = copy_of(lake, folder / "lake")
    for file in copy.glob("state.db*"):
        file.unlink()
    return copy


@pytest.mark.slow
def test_what_only_reads_makes_no_state_database(
    desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = without_state(tmp_path, desk)
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(lost))
    before = listing(lost)
    read_all(lost)
    assert listing(lost) == before and Universe(settings_of(lost).state_url).active() == []
    assert "The universe is empty." in capsys.readouterr().out


def test_what_only_reads_leaves_an_empty_place_empty(
    tmp_path: Path, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings may name a folder in which nothing was collected yet."""
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(tmp_path / "new"))
    for name in ("DataPipelineOrchestrator.generate_status_report", "get_all_active_symbols", "validate_all_data",
                 "Universe.active", "Alerts.open", "DataQualityMonitor.generate_quality_report"):  # fmt: skip
        READING[name].call(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_state_database_of_an_older_version_is_read_as_it_is(tmp_path: Path) -> None:
    older = copy_of(PLAIN, tmp_path / "lake")
    migrate(older)
    before = listing(older)
    assert Universe(settings_of(older).state_url).active() == ["AAPL", "SPY"]
    for name in ("DataPipelineOrchestrator.generate_status_report", "Alerts.open", "get_all_active_symbols"):
        READING[name].call(older)
    assert listing(older) == before


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_a_lake_that_may_not_be_written_is_read(desk: Path, tmp_path: Path) -> None:
    """With its state database, and without."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        kept = [copy_of(desk, Path(place) / "lake"), without_state(Path(place) / "lost", desk)]
        for folder in kept:
            for path in (folder.parent, folder, *folder.rglob("*")):
                path.chmod(0o555 if path.is_dir() else 0o444)
        before = [listing(folder) for folder in kept]
        other = copy_of(desk, tmp_path / "lake")
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "trading_assets_tests.public_functions",
            *map(str, [other, *kept]),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        assert [listing(folder) for folder in kept] == before

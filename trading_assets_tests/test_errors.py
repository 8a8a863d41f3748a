"""The errors of the platform are one tree with one import, and the package imports nothing before it is used."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import trading_assets
from trading_assets import errors

CLASSES = [found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, Exception)]


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_every_error_is_in_the_tree_and_drawn_once(error: type[Exception]) -> None:
    assert issubclass(error, errors.TradingAssetsError)
    assert error.__doc__
    assert errors.__doc__ is not None
    assert error.__name__ in errors.__doc__


def test_what_callers_caught_before_the_tree_they_still_catch() -> None:
    builtin = {
        ValueError: (
            "NotASession",
            "UnknownBarSize",
            "InvalidFrame",
            "UnreadableFile",
            "StateMismatch",
            "IdentityMismatch",
            "NotOneSelect",
        ),
        TimeoutError: ("LakeBusy",),
        OSError: ("PlaceTaken",),
        RuntimeError: ("BreakerOpen",),
    }
    for base, names in builtin.items():
        for name in names:
            assert issubclass(getattr(errors, name), base), name


def test_the_package_offers_all_it_names() -> None:
    for name in trading_assets.__all__:
        assert getattr(trading_assets, name) is not None
    assert set(trading_assets.__all__) <= set(dir(trading_assets))
    with pytest.raises(AttributeError, match="no attribute 'conect'; it offers Archive, ArchiveResource, ContractRepo"):
        _ = trading_assets.conect


def test_importing_it_imports_nothing_else() -> None:
    """Reading a lake needs neither Dagster nor pandas."""
    script = """import sys, trading_assets
heavy = {"dagster", "pandas", "pyarrow", "duckdb"} & set(sys.modules)
assert not heavy, heavy
trading_assets.connect
assert not {"dagster", "pandas"} & set(sys.modules)"""
    subprocess.run([sys.executable, "-c", script], check=True)

"""When the kernels are loaded and where their compiled copies are kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import trading_assets

PACKAGE = Path(trading_assets.__file__).parent
PRICE = (
    "from trading_assets.pricing import black_scholes as bs; assert 4.7 < bs.price(42, 40, 0.5, 0.2, 'C', 0.1) < 4.8"
)


def run(script: str, root: Path, **environment: str) -> None:
    """A script in a process of its own, with the package under `root`."""
    given = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"} | environment
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=given | {"PYTHONPATH": str(root)},
        cwd=root,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_prices_nothing_loads_no_numba() -> None:
    script = """import sys
import trading_assets.cli, trading_assets.simulator, trading_assets.repositories, trading_assets.collecting
from trading_assets.pricing import american, black_scholes, dividends, exercise, parity, valuation
valuation.middle([1.0], [1.1])
assert "numba" not in sys.modules and "scipy" not in sys.modules
assert round(black_scholes.price(42, 40, 0.5, 0.2, "C", 0.1), 2) == 4.76
assert "numba" in sys.modules"""
    run(script, PACKAGE.parent)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A copy of the pricing package as an installation without compiled copies."""
    root = tmp_path / "installed"
    for part in ("__init__.py", "pricing"):
        source, target = PACKAGE / part, root / "trading_assets" / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    return root


def unwritable(root: Path) -> None:
    """No folder for compiled copies beside the source: a file is in its place, which root cannot write into either."""
    (root / "trading_assets" / "pricing" / "kernels" / "__pycache__").write_text("in the way", "utf-8")


def compiled_copies(folder: Path) -> list[Path]:
    return sorted(folder.rglob("european.values-*.nbc"))


def test_compiled_copies_of_a_package_that_cannot_be_written_are_the_users(installed: Path, tmp_path: Path) -> None:
    unwritable(installed)
    home = tmp_path / "home"
    home.mkdir()
    run(PRICE, installed, HOME=str(home), XDG_CACHE_HOME=str(home / ".cache"))
    (copy,) = compiled_copies(home)
    written = copy.stat().st_mtime_ns
    run(PRICE, installed, HOME=str(home), XDG_CACHE_HOME=str(home / ".cache"))
    assert [(path, path.stat().st_mtime_ns) for path in compiled_copies(home)] == [(copy, written)]


def test_without_any_folder_to_write_prices_are_computed_all_the_same(installed: Path, tmp_path: Path) -> None:
    unwritable(installed)
    nowhere = tmp_path / "nowhere"
    nowhere.write_text("a file, no folder", "utf-8")
    run(PRICE, installed, HOME=str(nowhere), XDG_CACHE_HOME=str(nowhere))
    assert compiled_copies(tmp_path) == []

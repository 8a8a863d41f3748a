"""The other client library: what is read, what cannot be read, and failed handshakes, in the environment that has
ib_async."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from trading_assets_tests.broker import test_handshake, test_positions, test_unreadable
from trading_assets_tests.conftest import REPOSITORY
from trading_assets_tests.leaving_out import leave_out
from trading_assets_tests.streaming import test_recorder

FILES = [
    str(Path(module.__file__ or "").relative_to(REPOSITORY))
    for module in (test_handshake, test_positions, test_unreadable, test_recorder)
]

SOME = " or ".join(
    (
        "missing",
        "word",
        "promised",
        "backslash",
        "name_keeps",
        "histories",
        "newer",
        "refuses",
        "dialog",
        "listens",
        "what_was_sent",
    )
)
"""Of each kind of fault some: what differs between the libraries is decoding and encoding, not what is done about
it."""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_messages_and_handshakes_with_ib_async() -> None:
    python = os.environ.get("TRADING_ASSETS_IB_ASYNC_PYTHON")
    if not python:
        leave_out(
            "ib_async needs an environment of its own: set TRADING_ASSETS_IB_ASYNC_PYTHON to a Python that has it (make"
            " slow does)"
        )
    library = _run(python, "-c", "from trading_assets.broker.library import LIBRARY; print(LIBRARY)")
    assert library.stdout.strip() == "ib_async"
    done = _run(python, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-o", "addopts=", "-k", SOME, *FILES)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def _run(python: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What the other environment does, begun in time: what follows is not left out when the time is over."""
    given = {name: value for name, value in os.environ.items() if name != "TRADING_ASSETS_TESTS_END"}
    return subprocess.run(
        [python, *arguments], cwd=REPOSITORY, env=given, capture_output=True, text=True, timeout=550, check=False
    )

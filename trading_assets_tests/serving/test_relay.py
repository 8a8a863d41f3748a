"""What processes print in colour: without colours in files and pipes, as it is in a terminal."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from trading_assets.serving import relay
from trading_assets_tests.cli.conftest import Output

COLOURED = (
    r"printf '\033[32m2026-11-27\033[0m - \033[1;34mINFO\033[0m - started \351\n'; printf '\033[31mwrong\033[0m\n' >&2"
)
"""A script of the shell: a line as Dagster's commands write them, with a byte that is no UTF-8, and an error."""

PROGRAM = (
    "import sys; from trading_assets.serving import relay;"
    " process, finish = relay.start(sys.argv[2:], colours=sys.argv[1] == 'colours'); process.wait(); finish()"
)


def test_files_and_pipes_get_no_colours(capsys: Output) -> None:
    process, finish = relay.start(["sh", "-c", COLOURED], colours=True)
    assert process.wait(60) == 0
    finish()
    assert capsys.readouterr() == ("2026-11-27 - INFO - started \\xe9\n", "wrong\n")


@pytest.mark.parametrize(("wanted", "codes"), [("colours", 6), ("none", 0)])
def test_a_terminal_shows_colours_where_they_are_wanted(wanted: str, codes: int) -> None:
    here, there = os.openpty()
    with os.fdopen(here, "rb", buffering=0) as terminal:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, wanted, "sh", "-c", COLOURED],
            stdout=there,
            stderr=there,
            timeout=60,
            check=True,
        )
        os.close(there)
        assert done.returncode == 0
        shown = terminal.read(4096)
    assert (shown.count(b"\x1b["), b"INFO" in shown, b"wrong" in shown) == (codes, True, True)

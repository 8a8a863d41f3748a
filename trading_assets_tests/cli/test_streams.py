"""The command's streams: what becomes of the output is not the command's result, and Ctrl-C in a terminal is one
sentence."""

from __future__ import annotations

import os
import pty
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from trading_assets_tests.cli.conftest import environment
from trading_assets_tests.observing import eventually

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "trading_assets.cli"]
MANY = "select range as number, repeat('x', 200) as text from range(20000)"


def piped(script: str, folder: Path, **variables: str) -> tuple[str, str]:
    """What a shell script prints on its two streams; `$C` is the command, `$MANY` a query of some megabytes."""
    given = {**os.environ, **environment(folder), "C": " ".join(COMMAND), "MANY": MANY, **variables}
    done = subprocess.run(
        ["bash", "-c", script], env=given, cwd=folder.parent, capture_output=True, text=True, timeout=300, check=True
    )
    return done.stdout, done.stderr


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            '$C query "$MANY" --limit 20000 | head -1; echo ${PIPESTATUS[0]}',
            "note: The output was not read to its end; ",
        ),
        ('$C query "$MANY" --json | head -1; echo ${PIPESTATUS[0]}', "note: The output was not read to its end; "),
        ('$C query "select 1 a" >&-; echo $?', "note: The output could not be written (it is closed); "),
        (
            '$C query "select 1 a" >/dev/full; echo $?',
            "note: The output could not be written (No space left on device); ",
        ),
        (
            '$C query "$MANY" --json >/dev/full; echo $?',
            "note: The output could not be written (No space left on device); ",
        ),
        *[
            (f"$C {command} >/dev/full; echo $?", "note: The output could not be written (No space left on device); ")
            for command in ("lineage equity_bars --symbol AAPL", "coverage --by-session", "export equity_bars x.csv")
        ],
        ("$C coverage | true; echo ${PIPESTATUS[0]}", "note: The output was not read to its end; "),
    ],
)
def test_an_output_that_cannot_be_written_is_one_sentence_and_the_result_is_the_commands(
    small_lake: Path, script: str, said: str
) -> None:
    out, err = piped(script, small_lake)
    assert out.splitlines()[-1] == "0"
    assert err.startswith(said)
    assert len(err.splitlines()) == 1


def test_help_goes_into_a_pipe(folder: Path) -> None:
    out, err = piped("$C coverage --help | cat; echo ${PIPESTATUS[0]}", folder)
    assert (out.splitlines()[-1], err) == ("0", "")
    assert "--by-session" in out


def test_a_failed_command_fails_whatever_becomes_of_its_output(folder: Path) -> None:
    script = (
        'F="select cast(\'x\' as int)"; $C query "$F" >/dev/full; echo $?; $C query "select 1; select 2" >&-; echo $?;'
        ' $C query "$F" 2>&-; echo $?'
    )
    out, err = piped(script, folder)
    assert out.split() == ["1", "2", "1"]
    assert err.count("error: ") == 2


def test_a_terminal_without_a_letter_shows_its_code(folder: Path) -> None:
    out, err = piped('$C query "select chr(233) y"; echo $?', folder, PYTHONIOENCODING="ascii")
    assert (out.split(), err) == (["y", r"\xe9", "0"], "")


def test_a_closed_stream_is_not_taken_for_a_file(folder: Path) -> None:
    """With descriptors 0 to 2 closed the state database would be opened as one of them."""
    piped("$C universe add AAPL <&- >&- 2>&-; $C universe list | grep AAPL", folder)
    with sqlite3.connect(folder / "state.db") as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_ctrl_c_in_a_terminal_is_one_sentence(folder: Path) -> None:
    """The terminal signals every process of the foreground group, those that a library started as well."""
    given = {**os.environ, **environment(folder), "TERM": "xterm"}
    del given["TRADING_ASSETS_IB_PORT"]  # a simulator of its own
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.execve(sys.executable, [*COMMAND, "setup", "NVDA", "--lookback-days", "30", "--strikes", "6"], given)
    seen = b""

    def asked() -> bool:
        nonlocal seen
        seen += _available(terminal)
        return (folder / "state.db").exists() and _requests(folder / "state.db") > 20

    eventually(asked)
    os.write(terminal, b"\x03")
    while chunk := _available(terminal, block=True):
        seen += chunk
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    words = " ".join(seen.decode(errors="replace").replace("\u2501", "").split())  # without the bar of the progress
    assert "Interrupted. Nothing is lost: what was answered is in the journal, run the same command again." in words
    assert "Traceback" not in words, words


def _available(terminal: int, *, block: bool = False) -> bytes:
    """What the terminal shows; nothing when there is nothing new, with `block` when its programs have ended."""
    os.set_blocking(terminal, block)
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def _requests(database: Path) -> int:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return int(connection.execute("select count(*) from requests").fetchone()[0])
    except sqlite3.Error:
        return 0
    finally:
        connection.close()

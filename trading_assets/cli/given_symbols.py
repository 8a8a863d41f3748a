"""Symbols given to a command: as its arguments, or with `-` on standard input."""

from __future__ import annotations

import sys

from trading_assets.arguments import one_symbol
from trading_assets.errors import InvalidRequest

STANDARD_INPUT = "-"

_COMMENT = "#"


def given_symbols(arguments: list[str]) -> list[str]:
    """The symbols of a command, in order, each once; an argument `-` stands for those on standard input.

    There they stand one a line or separated by commas; blank lines and what follows a `#` are left out. Raises
    `InvalidRequest` for a line with something else, which it names, and where there is no symbol.
    """
    if STANDARD_INPUT not in arguments:
        return arguments
    read = _read()
    if not read:
        raise InvalidRequest(
            "There is no symbol on standard input: write one a line, or several separated by commas (# begins a"
            " comment)."
        )
    found: list[str] = []
    for argument in arguments:
        found += read if argument == STANDARD_INPUT else [argument]
    return list(dict.fromkeys(found))


def _read() -> list[str]:
    if sys.stdin is None:  # closed by whoever started the command
        return []
    # Not the stream's own encoding: a terminal may be of ASCII. What is no UTF-8 is no symbol either.
    text = sys.stdin.buffer.read().decode("utf-8-sig", errors="replace")
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for word in line.partition(_COMMENT)[0].split(","):
            if word.strip():
                try:
                    found.append(one_symbol(word.strip()))
                except InvalidRequest as error:
                    raise InvalidRequest(f"Line {number} of standard input: {error}") from None
    return found

"""Symbols given to a command: as its arguments, or with `-` on standard input."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import typer

from trading_assets.arguments import one_symbol, stored_symbol
from trading_assets.cli.output import note_to
from trading_assets.errors import InvalidRequest

STANDARD_INPUT = "-"

_COMMENT = "#"

_TWO_WORDS = re.compile(r"\S+\s+(?![A-Z]$|PR[A-Z]?$|W[SIT]$|RT$|UN?$|CL$)\S+", re.IGNORECASE)
"""What is no class or kind of share after a blank (BRK B, BAC PRL, ABC WS): two symbols, or a company's name."""


def given_symbols(arguments: list[str] | None) -> list[str] | None:
    """The symbols of a command, in order, each once; an argument `-` stands for those on standard input.

    There they stand one a line or separated by commas; blank lines and what follows a `#` are left out. Raises
    `typer.BadParameter` for a line with something else, which it names, and where there is no symbol.
    """
    return _given(arguments, one_symbol)


def given_stored_symbols(arguments: list[str] | None) -> list[str] | None:
    """The same for symbols that rows of the lake have (`META@8314` too)."""
    return _given(arguments, stored_symbol)


def _given(arguments: list[str] | None, checked: Callable[[Any], str]) -> list[str] | None:
    try:
        for argument in arguments or ():
            if argument != STANDARD_INPUT:
                checked(argument)
        return _read_in(arguments, checked) if arguments and STANDARD_INPUT in arguments else arguments
    except InvalidRequest as error:
        raise typer.BadParameter(str(error)) from None


def _read_in(arguments: list[str], checked: Callable[[Any], str]) -> list[str]:
    """The arguments with the symbols of standard input in the place of `-`."""
    read = _read(checked)
    if not read:
        raise InvalidRequest(
            "There is no symbol on standard input: write one a line, or several separated by commas (# begins a"
            " comment)."
        )
    found: list[str] = []
    for argument in arguments:
        found += read if argument == STANDARD_INPUT else [argument]
    return list(dict.fromkeys(found))


def _read(checked: Callable[[Any], str]) -> list[str]:
    if sys.stdin is None:  # closed by whoever started the command
        return []
    if sys.stdin.isatty():
        note_to("Type symbols, one a line or separated by commas, and end with Ctrl-D.")
    # Not the stream's own encoding: a terminal may be of ASCII. What is no UTF-8 is no symbol either.
    text = sys.stdin.buffer.read().decode("utf-8-sig", errors="replace")
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for word in line.partition(_COMMENT)[0].split(","):
            if word.strip():
                try:
                    found.append(_symbol(word.strip(), checked))
                except InvalidRequest as error:
                    raise InvalidRequest(f"Line {number} of standard input: {error}") from None
    return found


def _symbol(word: str, checked: Callable[[Any], str]) -> str:
    if _TWO_WORDS.fullmatch(word):
        raise InvalidRequest(f"{word!r} is more than one symbol: write one a line, or a comma between them.")
    return checked(word)

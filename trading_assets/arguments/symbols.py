"""Symbols as users write them, and lists of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from trading_assets.arguments.columns import plain, several
from trading_assets.errors import InvalidRequest

_SYMBOL = re.compile(r"(?=.*[A-Z])[A-Z0-9]+([ -][A-Z0-9]+)?")
"""No symbol is a mere number: `123` is the rest of a spreadsheet, or a contract id."""
_LONGEST = 12
_CLOSED = re.compile(r"@[0-9]{1,18}")
"""How the symbol of a closed series ends (`META@8314`): the `con_id` of its company's contract."""

Symbols = str | Iterable[str] | None
"""What is accepted where several symbols are: None for all, a text for one."""


def one_symbol(value: Any, name: str = "symbol") -> str:
    """A symbol as the broker writes it: capitals, a blank for the class separator (`BRK.B` is `BRK B`).

    Raises `InvalidRequest` for what cannot be a symbol.
    """
    value = plain(value)
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} is {value!r}, and a text is wanted, for example 'AAPL', 'BRK B' or 'SPX'.")
    text = " ".join(value.upper().replace(".", " ").split())
    # Case folding turns some letters of other alphabets into ASCII ones, another symbol's: the text as given decides.
    if not value.isascii() or not _SYMBOL.fullmatch(text) or len(text) > _LONGEST:
        several = " To name several symbols, give a list of texts." if any(mark in value for mark in ",;|") else ""
        raise InvalidRequest(
            f"{value!r} is not a US stock, ETF or index symbol. Write it as the exchange does, for example AAPL, BRK B"
            f" or SPX.{several}"
        )
    return text


def stored_symbol(value: Any, name: str = "symbol") -> str:
    """The symbol that rows of the lake have: as `one_symbol`, or that of a closed series (`META@8314`)."""
    value = plain(value)
    if isinstance(value, str) and "@" in value:
        before, mark, number = value.strip().partition("@")
        if _CLOSED.fullmatch(mark + number):
            return f"{one_symbol(before, name)}@{int(number)}"
        raise InvalidRequest(
            f"{value!r} is not the symbol of a closed series: it ends in @ and the con_id of the company's contract,"
            " for example META@8314."
        )
    return one_symbol(value, name)


def some_symbols(value: Any, name: str = "symbols") -> list[str] | None:
    """Several symbols in the order given, each once; None stays None and means all. A text is one symbol.

    Raises `InvalidRequest` for an empty collection and for what cannot be a symbol.
    """
    return _several(value, name, one_symbol)


def stored_symbols(value: Any, name: str = "symbol") -> list[str] | None:
    """The same for symbols that rows of the lake have (`stored_symbol`)."""
    return _several(value, name, stored_symbol)


def _several(value: Any, name: str, checked: Callable[[Any, str], str]) -> list[str] | None:
    value = plain(value)
    if value is None:
        return None
    if isinstance(value, str):
        return [checked(value, name)]
    if isinstance(value, bytes | Mapping) or not isinstance(value, Iterable):
        raise InvalidRequest(
            f"{name} is {value!r}, and a symbol or a list of symbols is wanted, for example ['AAPL', 'SPX']."
        )
    # a set has no order of its own: the same one each time
    given = sorted(value, key=str) if isinstance(value, set | frozenset) else several(value)
    found = list(dict.fromkeys(checked(one, name) for one in given))
    if not found:
        raise InvalidRequest(f"{name} is empty: name at least one symbol, or give None (leave it out) for all of them.")
    return found


__all__ = ["Symbols", "one_symbol", "some_symbols", "stored_symbol", "stored_symbols"]

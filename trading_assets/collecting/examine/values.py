"""Single values of an answer: each function gives the reason why a value cannot be stored, empty when it can."""

from __future__ import annotations

import math
import re
from datetime import date
from typing import Any

LARGEST_CON_ID = 2**32 - 1
"""The broker's contract ids are 32-bit integers; the upper half is not refused, for nothing says that they are signed."""

LARGEST_PRICE = 1e12
"""Dollars. Split-adjusted prices of old histories reach some 1e9; what is larger is no price."""

LARGEST_COUNT = 1e15
"""Shares, contracts or trades. Split-adjusted volumes of a session stay below."""

NAME_LENGTH = 256
"""Characters of a name, a class or a code at most."""

TEXT_LENGTH = 65_536
"""Characters of any text at most: the longest of the broker (trading hours of some weeks) has a few thousand."""

SHOWN = 60
"""Characters of a value that are shown."""

_CODE = re.compile(r"[!-~]([ -~]*[!-~])?")
"""Printable ASCII that neither begins nor ends with a space: symbols, exchanges, classes."""


def shown(value: Any) -> str:
    """A value as short, printable text."""
    text = ascii(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text):,} characters)"


def wrong_con_id(value: Any) -> str:
    """Of a contract id: a whole number from 1 on."""
    if type(value) is not int:
        return "is no contract id"
    return "" if 0 < value <= LARGEST_CON_ID else "is no contract id (1 to 4294967295)"


def wrong_number(value: Any, least: float, most: float, *, above: bool = False, optional: bool = True) -> str:
    """Of a number from `least` (or, with `above`, more than that) to `most`; null only if `optional`."""
    if value is None:
        return "" if optional else "is missing"
    if type(value) not in (int, float):
        return "is no number"
    if isinstance(value, float) and not math.isfinite(value):
        return "is no finite number"
    if value < least or (above and value == least):
        return f"is not above {least:g}" if above else f"is below {least:g}"
    return "" if value <= most else f"is more than {most:g}, which is impossible"


def wrong_text(value: Any, most: int = TEXT_LENGTH) -> str:
    """Of free text; may be empty."""
    if type(value) is not str:
        return "is no text"
    if len(value) > most:
        return f"is longer than {most:,} characters"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "is no valid text"
    return ""


def wrong_code(value: Any, *, optional: bool = False) -> str:
    """Of a symbol, an exchange, a class: short printable ASCII; empty only if `optional`."""
    if type(value) is not str:
        return "is no text"
    if not value:
        return "" if optional else "is empty"
    if len(value) > NAME_LENGTH:
        return f"is longer than {NAME_LENGTH} characters"
    return "" if _CODE.fullmatch(value) else "is no plain text"


def wrong_multiplier(value: Any) -> str:
    """Of a multiplier in the broker's words: a positive number."""
    if type(value) is not str:
        return "is no text"
    try:
        number = float(value) if value.isascii() and "_" not in value else math.nan
    except ValueError:
        return "is no number"
    return "" if 0 < number <= LARGEST_COUNT else "is no positive number"


def day(value: Any) -> date | None:
    """The date that `YYYYMMDD` names; None when it names none."""
    if type(value) is not str or len(value) != 8 or not (value.isascii() and value.isdigit()):
        return None
    try:
        return date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        return None

"""Arguments that are one of a few words: bar sizes, rights, datasets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from trading_assets.bar_sizes import BAR_SECONDS, bar_seconds
from trading_assets.errors import InvalidRequest

COLLECTED = ("contracts", "option_chains", "equity_bars", "option_bars")
"""The datasets that are collected, in their order."""

RULED = (*COLLECTED, "option_greeks")
"""The datasets that validation rules speak of, in dependency order."""

STORED = (
    *(*RULED, "coverage", "quality_metrics", "position_snapshots", "position_changes"),
    *("live_quotes", "live_bars", "live_gaps"),
)
"""All datasets of a lake, in the order of `repositories.schemas.DATASETS`."""

_RIGHTS = {"C": "C", "CALL": "C", "CALLS": "C", "P": "P", "PUT": "P", "PUTS": "P"}


def bar_size(value: Any) -> str:
    """A bar size that is collected, in the broker's words; case and blanks do not matter. Raises `UnknownBarSize`."""
    text = " ".join(value.lower().split()) if isinstance(value, str) else value
    if text not in BAR_SECONDS if isinstance(text, str) else True:
        bar_seconds(value)
    return str(text)


def bar_sizes(value: Any, name: str = "bar_sizes") -> list[str] | None:
    """Several bar sizes in the order given, each once; None stays None. A text is one size. Raises `InvalidRequest`."""
    if value is None or isinstance(value, str):
        return None if value is None else [bar_size(value)]
    if not isinstance(value, Iterable):
        raise InvalidRequest(f"{name} is {value!r}, and a list is wanted of: {', '.join(BAR_SECONDS)}.")
    found = list(dict.fromkeys(bar_size(one) for one in value))
    if not found:
        raise InvalidRequest(f"{name} is empty: name at least one of {', '.join(BAR_SECONDS)}, or leave it out.")
    return found


def right(value: Any) -> str:
    """The right of an option: C or P. Raises `InvalidRequest`."""
    found = _RIGHTS.get(value.strip().upper()) if isinstance(value, str) else None
    if found is None:
        raise InvalidRequest(f"right is {value!r}: give C (call) or P (put).")
    return found


def local_symbol(value: Any) -> str:
    """The OSI symbol of an option (`AAPL  151224C00100000`), as it is. Raises `InvalidRequest` for no text."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(
            f"local_symbol is {value!r}: give the contract's OSI symbol, for example 'AAPL  151224C00100000'."
        )
    return value


def one_of(value: Any, allowed: Collection[str], name: str) -> str:
    """One of some words. Raises `InvalidRequest` that names them."""
    if not isinstance(value, str) or value not in allowed:
        raise InvalidRequest(f"{name} is {value!r}: give one of {', '.join(allowed)}.")
    return value


def dataset(value: Any, name: str = "dataset", allowed: Sequence[str] = COLLECTED) -> str:
    """The name of one of the `allowed` datasets. Raises `InvalidRequest`."""
    return one_of(value, allowed, name)


def datasets(value: Any, name: str = "datasets", allowed: Sequence[str] = COLLECTED) -> list[str] | None:
    """Several of the `allowed` datasets, each once; None stays None and means all. A text is one. Raises
    `InvalidRequest`."""
    if value is None or isinstance(value, str):
        return None if value is None else [dataset(value, name, allowed)]
    if not isinstance(value, Iterable):
        raise InvalidRequest(f"{name} is {value!r}: give some of {', '.join(allowed)}.")
    found = list(dict.fromkeys(dataset(one, name, allowed) for one in value))
    if not found:
        raise InvalidRequest(f"{name} is empty: name some of {', '.join(allowed)}, or give None for all of them.")
    return found


def ruled_dataset(value: Any) -> str:
    """The name of a dataset that rules speak of. Raises `InvalidRequest`."""
    return dataset(value, allowed=RULED)


def any_of(words: Sequence[str]) -> str:
    """`a, b or c`, for the help of an option."""
    return f"{', '.join(words[:-1])} or {words[-1]}"

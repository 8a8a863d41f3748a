"""Option contracts as users name them: a chain frame, contract ids or local symbols, looked up in the chains of the
lake."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
import pyarrow as pa

from trading_assets import arguments
from trading_assets.errors import InvalidRequest, PrerequisiteError
from trading_assets.repositories.catalog import query
from trading_assets.repositories.option_chains import ChainSnapshot

Contracts: TypeAlias = (
    pd.DataFrame | pd.Series | pa.Table | ChainSnapshot | Mapping[str, Any] | int | str | Iterable[int | str]
)
"""What names option contracts: a frame with a column `con_id` or `local_symbol` (a chain, or a part of one), a row of
it, one contract id or local symbol, or several of them."""

NAMES = ("con_id", "local_symbol")
"""Columns that name a contract; the first of them that is there counts."""

_OSI = re.compile(r"([A-Z0-9]{1,6}) *([0-9]{6}[CP][0-9]{8})")
_NAMED = 5
"""Contracts that a message names."""


@dataclass(frozen=True, slots=True)
class NamedContracts:
    """Contracts of the lake's chains: their ids, and the symbols of their underlyings, both in order and each once."""

    con_ids: tuple[int, ...]
    symbols: tuple[str, ...]


def named_contracts(data_dir: Path, contracts: Contracts) -> NamedContracts:
    """The contracts that are meant. Raises `InvalidRequest` for what names no contract, and `PrerequisiteError` for
    contracts that no chain of the lake lists."""
    con_ids, words = _given(contracts)
    sql = """select distinct con_id, local_symbol, symbol from option_chains
             where con_id in (select unnest($con_ids::bigint[]))
                or local_symbol in (select unnest($words::varchar[])) order by con_id"""
    rows = query(data_dir, sql, {"con_ids": con_ids, "words": words}).to_pylist()
    known: set[int | str] = {row[name] for row in rows for name in ("con_id", "local_symbol")}
    unknown = [repr(name) for name in (*con_ids, *words) if name not in known]
    if unknown:
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        raise PrerequisiteError(
            f"No option chain in the lake lists contract {', '.join(unknown[:_NAMED])}{more}, so nothing was requested."
            " See that it is an option's con_id or local_symbol, and run refresh_option_chain(SYMBOL) for its"
            " underlying first."
        )
    closed = sorted({row["symbol"] for row in rows if "@" in row["symbol"]})
    if closed:
        raise InvalidRequest(
            f"Contracts of the closed series {', '.join(closed)} can no longer be requested; read their bars with"
            " OptionBarRepository.load(con_id=...)."
        )
    return NamedContracts(
        tuple(dict.fromkeys(row["con_id"] for row in rows)), tuple(sorted({row["symbol"] for row in rows}))
    )


def _given(contracts: Contracts) -> tuple[list[int], list[str]]:
    """The contract ids and the local symbols of the argument, each once."""
    values = _values(contracts)
    if not values:
        raise InvalidRequest("contracts is empty: name at least one option contract by con_id or local_symbol.")
    numbers = [value for value in values if isinstance(value, Real)]
    words = [_local_symbol(value) for value in values if not isinstance(value, Real)]
    return arguments.con_ids(numbers, "contracts"), list(dict.fromkeys(words))


def _values(contracts: Any) -> Sequence[Any]:
    contracts = contracts.frame if isinstance(contracts, ChainSnapshot) else arguments.plain(contracts)
    if isinstance(contracts, pd.DataFrame | pa.Table) or hasattr(contracts, "columns"):
        columns = list(contracts.column_names if isinstance(contracts, pa.Table) else contracts.columns)
        name = next((name for name in NAMES if name in columns), None)
        if name is None:
            raise InvalidRequest(
                f"The frame of contracts has the columns {', '.join(map(str, columns)) or '(none)'}: give one with"
                " con_id or local_symbol, for example of load_chain_snapshot."
            )
        return arguments.several(contracts[name])
    if _is_row(contracts):
        return arguments.several(next(contracts[name] for name in NAMES if name in contracts))
    if isinstance(contracts, bytes | Mapping) or not isinstance(contracts, Iterable | Real):
        raise InvalidRequest(
            f"contracts is {contracts!r}: give a chain frame, contract ids or local symbols, for example"
            " ['AAPL  151224C00100000']."
        )
    return arguments.several(contracts)


def _is_row(contracts: Any) -> bool:
    """Whether it is one row of a chain frame, as `iterrows` and `to_dict` give them."""
    names = contracts.index if isinstance(contracts, pd.Series) else contracts if isinstance(contracts, Mapping) else ()
    return any(name in names for name in NAMES)


def _local_symbol(value: Any) -> str:
    """The OSI symbol with its root padded to six characters. Raises `InvalidRequest`."""
    found = _OSI.fullmatch(arguments.local_symbol(value).strip().upper())
    if found is None:
        raise InvalidRequest(
            f"{value!r} is no local symbol of an option: write root, expiry, right and strike as in"
            " 'AAPL  151224C00100000', or give the con_id."
        )
    return f"{found[1]:<6}{found[2]}"

"""Option contracts as users name them: a chain frame, contract ids or local symbols, looked up in the chains of the
lake."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
import pyarrow as pa

from trading_assets import arguments
from trading_assets.errors import InvalidRequest, PrerequisiteError
from trading_assets.repositories.catalog import query
from trading_assets.repositories.option_chains import ChainSnapshot

Contracts: TypeAlias = pd.DataFrame | pa.Table | ChainSnapshot | int | str | Iterable[int | str]
"""What names option contracts: a frame with a column `con_id` or `local_symbol` (a chain, or a part of one), one
contract id or local symbol, or several of them."""

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
    con_ids = [arguments.CON_ID.whole(value, "contracts") for value in values if _is_number(value)]
    words = [_local_symbol(value) for value in values if not _is_number(value)]
    if not values:
        raise InvalidRequest("contracts is empty: name at least one option contract by con_id or local_symbol.")
    return list(dict.fromkeys(con_ids)), list(dict.fromkeys(words))


def _values(contracts: Any) -> Sequence[Any]:
    if isinstance(contracts, ChainSnapshot):
        contracts = contracts.frame
    if isinstance(contracts, pd.DataFrame | pa.Table) or hasattr(contracts, "columns"):
        columns = list(contracts.column_names if isinstance(contracts, pa.Table) else contracts.columns)
        name = next((name for name in ("con_id", "local_symbol") if name in columns), None)
        if name is None:
            raise InvalidRequest(
                f"The frame of contracts has the columns {', '.join(map(str, columns)) or '(none)'}: give one with"
                " con_id or local_symbol, for example of load_chain_snapshot."
            )
        column = contracts[name]
        return list(column.to_pylist() if isinstance(contracts, pa.Table) else column)
    if isinstance(contracts, str) or _is_number(contracts):
        return [contracts]
    if isinstance(contracts, bytes) or not isinstance(contracts, Iterable):
        raise InvalidRequest(
            f"contracts is {contracts!r}: give a chain frame, contract ids or local symbols, for example"
            " ['AAPL  151224C00100000']."
        )
    return list(contracts)


def _is_number(value: Any) -> bool:
    return isinstance(value, Integral)


def _local_symbol(value: Any) -> str:
    """The OSI symbol with its root padded to six characters. Raises `InvalidRequest`."""
    found = _OSI.fullmatch(arguments.local_symbol(value).strip().upper())
    if found is None:
        raise InvalidRequest(
            f"{value!r} is no local symbol of an option: write root, expiry, right and strike as in"
            " 'AAPL  151224C00100000', or give the con_id."
        )
    return f"{found[1]:<6}{found[2]}"

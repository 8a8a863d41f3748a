"""Whether a text is one SELECT, or the EXPLAIN of one, that writes nothing.

The kind of the statement is not enough. DuckDB calls `WITH x AS (COPY ... TO 'file') SELECT ...` a SELECT, `EXPLAIN
ANALYZE` runs what it explains, and `json_execute_serialized_sql` runs a statement that is hidden in its argument. So a
text that can contain such a part is planned first, which executes nothing, and the operators of the plan decide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import duckdb

from trading_assets.errors import NotOneSelect

_EXPLAIN = re.compile(r"\s*explain\b", re.IGNORECASE)
_EXPLAIN_OPTIONS = (re.compile(r"\s*analy[sz]e\b", re.IGNORECASE), re.compile(r"\s*\([^()]*\)"))
"""What may stand between EXPLAIN and the statement that it explains."""

_MAY_WRITE = re.compile(r"copy|insert|update|delete|merge|serialized|external_resource|\bquery\b", re.IGNORECASE)
"""Words outside of strings without which no SELECT of DuckDB 2 writes or runs another statement; texts without them
need no plan."""

_WRITES = re.compile(r"COPY|INSERT|UPDATE|DELETE|MERGE|CREATE|SERIALIZED|EXTERNAL_RESOURCE")
"""Operators of a plan that write, or that run what the plan does not show."""


def check_select(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None
) -> None:
    """Raise `NotOneSelect` unless `sql` is one SELECT, or the EXPLAIN of one, that writes nothing. Executes nothing.

    Raises `duckdb.Error` for a text that DuckDB cannot parse or, where it must be planned, bind.
    """
    selected, may_write = _selected(sql)
    if may_write and any(_WRITES.search(name) for name in _operators(connection, selected, parameters)):
        raise NotOneSelect("A query only reads: this SELECT would write, or run another statement.")


@lru_cache(maxsize=200)
def _selected(sql: str) -> tuple[str, bool]:
    """The one SELECT that the text is, or explains, and whether it could write. Raises `NotOneSelect` where there is
    none.

    A text that is asked often is parsed once.
    """
    statements = duckdb.extract_statements(sql)
    if len(statements) != 1:
        raise NotOneSelect(f"A query is exactly one SELECT; this text has {len(statements) or 'no'} statements.")
    kind, text = statements[0].type, statements[0].query
    selected = _explained(text) if kind == duckdb.StatementType.EXPLAIN else text
    if selected is None or kind not in (duckdb.StatementType.EXPLAIN, duckdb.StatementType.SELECT):
        raise NotOneSelect(f"A query is one SELECT, or EXPLAIN of one: it only reads. This is {_article(kind.name)}.")
    return selected, _MAY_WRITE.search(_without(selected, duckdb.token_type.string_const)) is not None


def _article(kind: str) -> str:
    return "an EXPLAIN of another statement" if kind == "EXPLAIN" else f"a statement of the kind {kind}"


def _explained(text: str) -> str | None:
    """The SELECT that an EXPLAIN is about; None when it is about something else."""
    bare = _without(text, duckdb.token_type.comment)
    begin = _EXPLAIN.match(bare)
    if begin is None:
        return None
    rest = [bare[begin.end() :]]
    for option in _EXPLAIN_OPTIONS:  # each is optional, and `EXPLAIN (SELECT 1)` has none: every reading is tried
        rest += [found[match.end() :] for found in rest if (match := option.match(found))]
    return next((found for found in rest if _is_select(found)), None)


def _without(text: str, left_out: duckdb.token_type) -> str:
    """The text with a blank for each token of that kind. DuckDB's own tokenizer says where one begins, in bytes; it
    ends before the next."""
    tokens, encoded = duckdb.tokenize(text), text.encode()
    ends = [*(position for position, _ in tokens[1:]), len(encoded)]
    parts = (b" " if kind == left_out else encoded[begin:end] for (begin, kind), end in zip(tokens, ends, strict=True))
    return b"".join(parts).decode()


def _is_select(text: str) -> bool:
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.ParserException:
        return False
    return len(statements) == 1 and statements[0].type == duckdb.StatementType.SELECT


def _operators(
    connection: duckdb.DuckDBPyConnection, select: str, parameters: Sequence[Any] | Mapping[str, Any] | None
) -> Iterator[str]:
    """The names of the operators in the plan of a SELECT."""
    ((_, plan),) = connection.execute(f"EXPLAIN (FORMAT json) {select}", parameters).fetchall()
    return _names(json.loads(plan))


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("name"), str):
            yield node["name"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _names(child)

"""The page on the data is what the schemas and views say.

It is written anew by `TRADING_ASSETS_TESTS_REWRITE=1 pytest trading_assets_tests/repositories/test_data_dictionary.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest

from trading_assets.repositories.catalog import connect
from trading_assets.repositories.column_descriptions import column_rows
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.research_views import descriptions, research_views
from trading_assets.repositories.schemas import DATASETS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data-dictionary.md"

HEAD = """# Data dictionary

Every dataset is a folder of Parquet files and a view of the same name in DuckDB. Instants are UTC, `session` and
`expiry` are exchange dates. A column that may be null says so; all others always hold a value.
"""


def dictionary(connection: duckdb.DuckDBPyConnection) -> str:
    """The page: the datasets with their columns, the revisions, the views for research."""
    parts = [HEAD]
    for dataset in DATASETS.values():
        files = f"One file a {dataset.period}" + (f" and `{dataset.variant}`" if dataset.variant else "")
        parts.append(f"## {dataset.name}\n\n{dataset.description} {files}. Key: {', '.join(dataset.key)}.\n")
        lines = ["| column | type | unit | meaning |", "| --- | --- | --- | --- |"]
        for row in column_rows(dataset):
            null = "; may be null" if row.nullable else ""
            lines.append(f"| `{row.name}` | {row.type} | {row.unit} | {row.description}{null} |")
        parts.append("\n".join(lines) + "\n")
    added = [c for c in column_rows(revisions_of(DATASETS["equity_bars"])) if c.name.startswith("superseded")]
    named = " and ".join(f"`{row.name}` ({row.type}: {row.description})" for row in added)
    parts.append(
        "## revisions_*\n\nFor each dataset a view `revisions_<dataset>` of the rows that later answers took the place"
        f" of: its columns, and {named}.\n"
    )
    parts.append("## Views for research\n\nIn the connections of `trading_assets.connect` and in `lake.duckdb`.\n")
    for name, description in descriptions().items():
        columns = connection.execute(f"describe {name}").fetchall()
        parts.append(
            f"### {name}\n\n{description}\n\n{', '.join(f'`{column[0]}` {column[1]}' for column in columns)}\n"
        )
    return "\n".join(parts)


def test_the_page_has_the_present_columns(tmp_path: Path) -> None:
    with connect(tmp_path) as connection:
        connection.execute(research_views(temporary=True))
        page = dictionary(connection)
    if os.environ.get("TRADING_ASSETS_TESTS_REWRITE"):
        PAGE.write_text(page, encoding="utf-8")
    assert page == PAGE.read_text(encoding="utf-8"), "If this is meant: TRADING_ASSETS_TESTS_REWRITE=1."


@pytest.mark.parametrize("name", descriptions())
def test_each_view_has_a_description(name: str) -> None:
    assert descriptions()[name].endswith(".")


def test_every_view_of_the_file_is_described() -> None:
    assert research_views(temporary=False).count("create or replace view") == len(descriptions()) == 4

"""What the modules share that keep records of their own in the state database."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from trading_assets.state import connect_state, read_state, write_transaction

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""The type of a key that counts up by itself: in SQLite only INTEGER PRIMARY KEY does."""


def instant(epoch: float | None) -> datetime | None:
    """The UTC instant of epoch seconds; None stays None."""
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC)


class StateRecords:
    """Records in the state database at `url`. Reading makes no database; the first write does."""

    def __init__(self, url: str) -> None:
        self._url = url

    def _rows(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with read_state(self._url) as connection:
            return connection.execute(query).all()

    def _writing(self) -> AbstractContextManager[sa.Connection]:
        return write_transaction(connect_state(self._url))

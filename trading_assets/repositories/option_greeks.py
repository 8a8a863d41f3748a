"""Implied volatilities and greeks of options, as the platform computed them."""

from __future__ import annotations

from collections.abc import Collection

from trading_assets import arguments
from trading_assets.arguments.symbols import Symbols
from trading_assets.repositories.base import Day, SessionRepository, one_day_or_range
from trading_assets.repositories.frames import As, Frame
from trading_assets.repositories.restrictions import restricted
from trading_assets.repositories.schemas import OPTION_GREEKS

SOURCES = ("chain", "bar")
"""What a row is computed from: the quotes of a chain, or `1 day` bars."""


class OptionGreeksRepository(SessionRepository):
    """Reads computed volatilities and greeks. Frames have the columns of `schemas.OPTION_GREEKS`, dtypes of
    `frames.to_pandas`, or are of Arrow or Polars (`as_`).

    Prices in dollars (index points), implied volatility per 1.00, vega per volatility point, theta per day, rho per
    rate point; times in UTC, `session` and `expiry` are exchange dates. The rows are made by the asset `option_greeks`.
    """

    DATASET = OPTION_GREEKS

    def load(
        self,
        symbol: Symbols = None,
        trade_date: Day | None = None,
        source: str | None = None,
        *,
        con_id: int | Collection[int] | None = None,
        expiry: Day | None = None,
        right: str | None = None,
        start_date: Day | None = None,
        end_date: Day | None = None,
        as_: As = "pandas",
    ) -> Frame:
        """Rows by underlying, contract, expiry or right, and by `source` (`chain` or `bar`); of one session
        (`trade_date`), or from `start_date` to `end_date` (both included).

        None does not restrict. Ordered by symbol, session, source, expiry, strike and right. Raises `InvalidRequest`,
        `NotALake`.
        """
        bounds = one_day_or_range(trade_date, start_date, end_date)
        where = restricted(
            symbol=arguments.stored_symbols(symbol),
            source=None if source is None else arguments.one_of(source, SOURCES, "source"),
            con_id=None if con_id is None else arguments.con_ids(con_id),
            expiry=arguments.optional_day(expiry, "expiry"),
            right=None if right is None else arguments.right(right),
        )
        return self._load(where, as_, **bounds)

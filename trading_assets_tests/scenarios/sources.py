"""What the recorded files say, worked out with pandas alone: the answers a scenario compares the lake with.

Independent of the simulator and of the platform on purpose: only pandas, and the rules stated in the README of the
recorded data (which file is to be trusted, units, time stamps).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path

import pandas as pd

PRICES = ["open", "high", "low", "close"]


class Sources:
    """The Parquet files of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.read = cache(self._read)

    def _read(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self._folder / f"{name}.parquet")

    def equity_days(self, symbol: str, first: date, last: date) -> pd.DataFrame:
        """Unadjusted daily bars, by date."""
        daily = self.read("equity_bars_daily")
        return daily[(daily["symbol"] == symbol) & daily["date"].between(first, last)].set_index("date")[
            [*PRICES, "volume"]
        ]

    def options_on(self, name: str, symbol: str, day: date) -> pd.DataFrame:
        """Rows of an option file of one underlying and date."""
        rows = self.read(name)
        return rows[(rows["underlying"] == symbol) & (rows["date"] == day)]

    def chain(self, symbol: str, day: date, days_to_expiry: int) -> pd.DataFrame:
        """The contracts recorded with a quote or trade on a date and not farther than `days_to_expiry`: osi, expiry,
        strike, right."""
        terms = ["osi", "trading_class", "expiry", "strike", "right"]
        files = [
            self.options_on(name, symbol, day)
            for name in ("option_bars_minute", "option_bars_hour", "option_bars_daily")
        ]
        seen = pd.concat([rows[[*terms, "close", "bid_close", "ask_close"]] for rows in files])
        seen = seen[seen[["close", "bid_close", "ask_close"]].notna().any(axis=1)]
        return seen[(seen["expiry"] >= day) & (seen["expiry"] <= day + timedelta(days=days_to_expiry))][
            terms
        ].drop_duplicates("osi")

    def option_days(self, symbol: str, osis: set[str], first: date, last: date) -> pd.DataFrame:
        """Recorded hours summed by contract and date: first open, highest high, lowest low, last close, volume; trades
        only."""
        hours = self.read("option_bars_hour")
        hours = hours[
            (hours["underlying"] == symbol)
            & hours["osi"].isin(osis)
            & hours["date"].between(first, last)
            & (hours["volume"] > 0)
        ]
        days = hours.sort_values("ts_utc").groupby(["osi", "date"])
        summed = days.agg(
            open=("open", "first"),
            high=("high", "max"),
            low=("low", "min"),
            close=("close", "last"),
            volume=("volume", "sum"),
        )
        return summed.sort_index()

    def recorded_option_days(self, symbol: str, osis: set[str], first: date, last: date) -> pd.DataFrame:
        """Recorded daily option bars with trades, by contract and date."""
        daily = self.read("option_bars_daily")
        daily = daily[
            (daily["underlying"] == symbol)
            & daily["osi"].isin(osis)
            & daily["date"].between(first, last)
            & (daily["volume"] > 0)
        ]
        return daily.set_index(["osi", "date"])[[*PRICES, "volume"]].sort_index()

    def spot(self, symbol: str, day: date, now: datetime) -> float:
        """The middle of the underlying's last recorded quote that was complete at `now`."""
        minutes = self.read("equity_bars_minute")
        minutes = minutes[
            (minutes["symbol"] == symbol) & (minutes["date"] == day) & (minutes["ts_utc"] + timedelta(minutes=1) <= now)
        ]
        last = minutes[minutes["bid_close"].notna() | minutes["ask_close"].notna()].sort_values("ts_utc").iloc[-1]
        return float(last["bid_close"] + last["ask_close"]) / 2

    def selection(self, symbol: str, day: date, now: datetime, days_to_expiry: int = 45, strikes: int = 10) -> set[str]:
        """For each expiry the contracts of the `strikes` strikes below the spot and of as many from it on."""
        chain, spot = self.chain(symbol, day, days_to_expiry), self.spot(symbol, day, now)
        chosen: set[str] = set()
        for _, listed in chain.groupby(["trading_class", "expiry"]):
            levels = sorted(set(listed["strike"]))
            below, above = [k for k in levels if k < spot], [k for k in levels if k >= spot]
            near = {*below[-strikes:], *above[:strikes]}
            chosen |= set(listed[listed["strike"].isin(near)]["osi"])
        return chosen

    def quotes(self, symbol: str, day: date, now: datetime, osis: set[str]) -> pd.DataFrame:
        """Last bid and ask of each contract at `now`, by osi: of the minutes where they have quotes, else of the hours.
        No bid is null."""
        found: list[pd.DataFrame] = []
        for name, length in (("option_bars_minute", timedelta(minutes=1)), ("option_bars_hour", timedelta(hours=1))):
            rows = self.options_on(name, symbol, day)
            sides = ["bid_close", "ask_close", "bid_size", "ask_size"]
            known = rows["osi"].isin(osis) & rows[sides].notna().any(axis=1) & (rows["ts_utc"] + length <= now)
            last = rows[known].sort_values("ts_utc").groupby("osi").tail(1).set_index("osi")
            found.append(last[["bid_close", "ask_close"]].rename(columns={"bid_close": "bid", "ask_close": "ask"}))
        minutes, hours = found
        quotes = pd.concat([minutes, hours[~hours.index.isin(minutes.index)]])
        return quotes.where(quotes > 0).sort_index()

    def open_interest(self, symbol: str, day: date, previous: date) -> pd.Series:
        """The morning's open interest by osi: of the open-interest file, else of the daily bars, else what the universe
        file of the session before holds for the next morning."""
        published = self.options_on("option_open_interest", symbol, day)
        daily = self.options_on("option_bars_daily", symbol, day)
        universe = self.options_on("option_universe_lean", symbol, previous)
        found = pd.concat(
            [rows.set_index("osi")["open_interest"].dropna().astype(float) for rows in (published, daily, universe)]
        )
        return found[~found.index.duplicated()]

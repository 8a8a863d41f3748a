"""Upstream and downstream of an asset, of a partition, and of a symbol in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from trading_assets.lineage.graph import Asset
from trading_assets.lineage.snapshots import SNAPSHOTS, dependent_sessions, sessions_by_symbol, used_snapshots
from trading_assets.lineage.tracker import LineageTracker
from trading_assets.plain import Plain

Sessions = dict[str, list[date]]


@dataclass(frozen=True, slots=True)
class Dependency(Plain):
    """A partition (None: the asset as a whole) that another one depends on, or that depends on it, for these
    symbols. `materialized`: Dagster has a record of it (None: not known)."""

    asset: str
    partition: date | None
    symbols: tuple[str, ...]
    materialized: bool | None


class Dependencies:
    """Follows the asset graph between the partitions of one lake: between those that are made from each other's
    rows."""

    def __init__(self, tracker: LineageTracker, symbols: Sequence[str] | None) -> None:
        self._tracker = tracker
        self._symbols = symbols
        self._stored: dict[str, Sessions] = {}
        self._recorded: dict[str, dict[str, int]] = {}

    def of_asset(self, assets: Iterable[Asset]) -> list[Dependency]:
        """The assets as a whole; with symbols the sessions that each of them has rows of."""
        found = []
        for asset in assets:
            if self._symbols is None or not asset.partitioned:
                found.append(Dependency(asset.name, None, (), self._materialized(asset, None)))
            else:
                found += self._partitions(asset, self._sessions(asset.name))
        return found

    def upstream(self, asset: Asset, session: date) -> list[Dependency]:
        """The partitions that one of `asset` was made from, upstream ones first."""
        wanted: dict[str, Sessions] = {asset.name: self._only(asset.name, session)}
        order = [*self._tracker.graph.upstream(asset.name), asset]
        for later in reversed(order):
            for name in later.made_from:
                _add(wanted.setdefault(name, {}), self._used(name, later.name, wanted.get(later.name, {})))
        return [each for one in order[:-1] for each in self._partitions(one, wanted.get(one.name, {}))]

    def downstream(self, asset: Asset, session: date) -> list[Dependency]:
        """The partitions that a change of one of `asset` touches, upstream ones first."""
        touched: dict[str, Sessions] = {asset.name: self._only(asset.name, session)}
        order = self._tracker.graph.downstream(asset.name)
        for later in order:
            for name in later.made_from:
                _add(touched.setdefault(later.name, {}), self._dependent(name, later.name, touched.get(name, {})))
        found = []
        for one in order:
            if one.partitioned:
                found += self._partitions(one, touched.get(one.name, {}))
            elif any(touched.get(name) for name in one.made_from):
                found.append(Dependency(one.name, None, (), self._materialized(one, None)))
        return found

    def _used(self, upstream: str, downstream: str, wanted: Sessions) -> Sessions:
        """The sessions of `upstream` that those of `downstream` were made from, by symbol."""
        if upstream not in SNAPSHOTS:
            return wanted
        stored = self._sessions(upstream)
        return {
            symbol: sorted(
                {day for s in days for day in used_snapshots(upstream, downstream, stored.get(symbol, []), s)}
            )
            for symbol, days in wanted.items()
        }

    def _dependent(self, upstream: str, downstream: str, changed: Sessions) -> Sessions:
        if not self._tracker.graph.asset(downstream).partitioned:
            return {}
        there = self._sessions(downstream)
        if upstream not in SNAPSHOTS:
            return {symbol: sorted(set(days) & set(there.get(symbol, []))) for symbol, days in changed.items()}
        stored = self._sessions(upstream)
        return {
            symbol: sorted(
                {
                    session
                    for snapshot in days
                    for session in dependent_sessions(
                        upstream, downstream, stored.get(symbol, []), snapshot, there.get(symbol, [])
                    )
                }
            )
            for symbol, days in changed.items()
        }

    def _sessions(self, name: str) -> Sessions:
        if name not in self._stored:
            self._stored[name] = sessions_by_symbol(self._tracker, name, self._symbols)
        return self._stored[name]

    def _only(self, name: str, session: date) -> Sessions:
        """The symbols of one partition. A partition without rows is of the symbols that are asked for."""
        have = {symbol: [session] for symbol, days in self._sessions(name).items() if session in days}
        return have or {symbol: [session] for symbol in self._symbols or ()}

    def _partitions(self, asset: Asset, sessions: Sessions) -> list[Dependency]:
        by_day: dict[date, list[str]] = {}
        for symbol, days in sorted(sessions.items()):
            for day in days:
                by_day.setdefault(day, []).append(symbol)
        return [
            Dependency(asset.name, day, tuple(symbols), self._materialized(asset, day))
            for day, symbols in sorted(by_day.items())
        ]

    def _materialized(self, asset: Asset, session: date | None) -> bool | None:
        if self._tracker.history.missing:
            return None
        if session is None:
            return self._tracker.history.newest(asset.name) is not None
        if asset.name not in self._recorded:
            self._recorded[asset.name] = self._tracker.history.recorded(asset.name)
        return session.isoformat() in self._recorded[asset.name]


def _add(to: Sessions, more: Sessions) -> None:
    for symbol, days in more.items():
        to[symbol] = sorted({*to.get(symbol, []), *days})

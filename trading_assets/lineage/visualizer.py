"""`LineageVisualizer`: the lineage of the archive as a summary and as a Mermaid graph, with counts and freshness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from trading_assets.lineage.query import LineageQueryEngine
from trading_assets.lineage.sources import REQUEST_KINDS, DataSource, SourceType
from trading_assets.lineage.tracker import LineageTracker
from trading_assets.plain import Plain
from trading_assets.repositories import LakeIdentity

_CLASSES = {
    "fresh": "fill:#e3f4e3,stroke:#2e7d32,color:#1b1b1b",
    "behind": "fill:#fff3d6,stroke:#b26a00,color:#1b1b1b",
    "outdated": "fill:#fde3e1,stroke:#b3261e,color:#1b1b1b",
    "empty": "fill:#eeeeee,stroke:#777777,color:#1b1b1b",
    "broker": "fill:#e3ecf9,stroke:#2b5797,color:#1b1b1b",
}


@dataclass(frozen=True, slots=True)
class AssetState(Plain):
    """An asset at one instant. `rows` are those in the lake, `partitions` those that Dagster has recorded.

    `last_session` is the newest session with rows, `behind` how many closed sessions have come since (None: no rows),
    `out_of_date` how many partitions are, by reason.
    """

    name: str
    rows: int
    partitions: int
    last_session: date | None
    behind: int | None
    materialized_at: datetime | None
    code_version: str
    out_of_date: Mapping[str, int]

    @property
    def state(self) -> str:
        """One word: empty, outdated, behind or fresh."""
        if not self.rows:
            return "empty"
        if self.out_of_date:
            return "outdated"
        return "behind" if self.behind else "fresh"


@dataclass(frozen=True, slots=True)
class SummaryReport(Plain):
    """The lineage of an archive at one instant: printed it is text, `as_dict()` gives plain values.

    `missing` are sentences about sources that are not there, so that what the report lacks is known.
    """

    data_dir: str
    identity: str
    now: datetime
    assets: list[AssetState]
    requests: Mapping[str, int]
    missing: list[str]

    def __str__(self) -> str:
        lines = [
            f"Lineage of {self.data_dir} ({self.identity or 'no broker yet'}) at {self.now:%Y-%m-%d %H:%M} UTC",
            "",
        ]
        width = max(len(asset.name) for asset in self.assets)
        for asset in self.assets:
            lines.append(f"{asset.name:<{width}}  {', '.join(_facts(asset))}")
        lines += ["", "Requests to the broker by kind:"]
        width = max(map(len, self.requests))
        lines += [f"  {kind:<{width}}  {count:>10,}" for kind, count in self.requests.items()]
        return "\n".join([*lines, *(f"\nmissing: {sentence}" for sentence in self.missing)])


class LineageVisualizer:
    """Sums up and draws the lineage of one lake."""

    def __init__(self, tracker: LineageTracker) -> None:
        self.tracker = tracker
        self._engine = LineageQueryEngine(tracker)

    def generate_summary_report(self) -> SummaryReport:
        """What feeds what, how much there is of it, how fresh it is, and what is out of date."""
        settings = self.tracker.settings
        requests = {source.name: source.count for source in self._engine.find_data_sources(SourceType.BROKER)}
        identity = LakeIdentity(settings.data_dir).read() or ""
        return SummaryReport(
            str(settings.data_dir), identity, settings.clock(), self._assets(), requests, self.tracker.missing
        )

    def mermaid(self) -> str:
        """The graph of request kinds and assets as Mermaid text, with counts and freshness.

        A whole line: made from the rows of the other; a dotted one: only later in a run.
        """
        report = self.generate_summary_report()
        graph = self.tracker.graph
        lines = ["graph LR"]
        for kind, (_, feeds) in REQUEST_KINDS.items():
            lines.append(f'  request_{kind}(["{kind}<br/>{report.requests[kind]:,} requests"]):::broker')
            lines += [f"  request_{kind} --> {name}" for name in feeds]
        for state in report.assets:
            lines.append(f'  {state.name}["<b>{state.name}</b><br/>{"<br/>".join(_facts(state))}"]:::{state.state}')
            asset = graph.asset(state.name)
            lines += [
                f"  {name} {'-->' if name in asset.made_from else '-.->'} {state.name}" for name in asset.upstream
            ]
        lines += [f"  classDef {name} {style}" for name, style in _CLASSES.items()]
        return "\n".join([*lines, *(f"  %% {sentence}" for sentence in report.missing)]) + "\n"

    def _assets(self) -> list[AssetState]:
        stored = {source.name: source for source in self._engine.find_data_sources(SourceType.REPOSITORY)}
        outdated: dict[str, Counter[str]] = {}
        for one in self._engine.out_of_date():
            outdated.setdefault(one.asset, Counter())[one.reason] += 1
        return [
            self._state(source, stored.get(source.name), outdated.get(source.name, Counter()))
            for source in self._engine.find_data_sources(SourceType.ASSET)
        ]

    def _state(self, asset: DataSource, stored: DataSource | None, outdated: Mapping[str, int]) -> AssetState:
        lake, last = self.tracker.lake, stored.details["last"] if stored is not None else None
        closed = lake.calendar.last_closed(lake.now)
        behind = None if last is None else len(lake.calendar.sessions(last, closed)) - 1 if last < closed else 0
        details: Mapping[str, Any] = asset.details
        return AssetState(
            asset.name,
            stored.count if stored is not None else 0,
            asset.count,
            last,
            behind,
            details["materialized_at"],
            details["code_version"],
            dict(outdated),
        )


def _facts(asset: AssetState) -> list[str]:
    """What is known of an asset, in a few words each."""
    if not asset.rows:
        return ["no rows"]
    facts = [f"{asset.rows:,} rows", f"{asset.partitions:,} materialized", f"last session {asset.last_session}"]
    facts.append("up to date" if not asset.behind else f"{asset.behind} session(s) behind")
    if asset.materialized_at is not None:
        facts.append(f"recorded {asset.materialized_at:%Y-%m-%d %H:%M} UTC")
    words = {
        "code_version": "of another code version",
        "data_version": "of older data",
        "unrecorded": "without a version",
    }
    return facts + [f"{count:,} partition(s) {words[reason]}" for reason, count in asset.out_of_date.items()]

"""The data sources of the archive: its datasets, the requests that fill them, the assets that make them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from trading_assets.arguments import one_of
from trading_assets.broker.requests import (
    BarsRequest,
    ContractDetailsRequest,
    OptionListingRequest,
    OptionParametersRequest,
    QuoteRequest,
    Request,
)
from trading_assets.lineage.tracker import LineageTracker
from trading_assets.plain import Plain
from trading_assets.repositories.schemas import DATASETS


class SourceType(StrEnum):
    """What kind of source is looked for."""

    REPOSITORY = "repository"
    BROKER = "broker"
    ASSET = "asset"

    @classmethod
    def of(cls, given: str) -> SourceType:
        """The type of that name. Raises `InvalidRequest` that names the types there are."""
        return cls(one_of(given, [each.value for each in cls], "source_type"))


@dataclass(frozen=True, slots=True)
class DataSource(Plain):
    """One source. `count` is what it holds, in `unit`: rows of a dataset, requests of a kind, partitions of an asset.

    `feeds` are the datasets or assets that it fills directly; `details` what else is known of it.
    """

    name: str
    source_type: str
    description: str
    count: int
    unit: str
    feeds: tuple[str, ...]
    details: Mapping[str, Any]


REQUEST_KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    ContractDetailsRequest.kind: ("Contract details of an underlying", ("contracts",)),
    OptionParametersRequest.kind: ("Expiries and strikes of an underlying", ("option_chains",)),
    OptionListingRequest.kind: ("All option contracts of one expiry", ("option_chains",)),
    QuoteRequest.kind: ("Prices, greeks and open interest of a contract at one moment", ("option_chains",)),
    BarsRequest.kind: ("Bars of a contract", ("equity_bars", "option_bars")),
}
"""The kinds of requests to the broker, in the order in which a set-up sends them: what each asks, which datasets it
fills."""


def find_sources(tracker: LineageTracker, wanted: SourceType) -> list[DataSource]:
    """The sources of one type, upstream ones first."""
    return {
        SourceType.REPOSITORY: _repositories,
        SourceType.BROKER: _broker,
        SourceType.ASSET: _assets,
    }[wanted](tracker)


def _repositories(tracker: LineageTracker) -> list[DataSource]:
    found = []
    for name, dataset in DATASETS.items():
        sql = f"""select count(*) as rows, count(distinct symbol) as symbols, min(session) as first,
                         max(session) as last
                  from "{name}" """
        (row,) = tracker.lake.query(sql).to_pylist()
        taken = tuple(sorted(other.name for other in DATASETS.values() if name in _taken_from(other.name)))
        details = {
            "uri": (tracker.settings.data_dir / name).as_uri(),
            **{k: row[k] for k in ("symbols", "first", "last")},
        }
        found.append(
            DataSource(name, SourceType.REPOSITORY.value, dataset.description, row["rows"], "rows", taken, details)
        )
    return found


def _broker(tracker: LineageTracker) -> list[DataSource]:
    counts = tracker.requests.counts(REQUEST_KINDS)
    return [
        DataSource(
            kind,
            SourceType.BROKER.value,
            description,
            counts[kind],
            "requests",
            feeds,
            {"pacing_class": _pacing(kind), "journal": tracker.requests.missing or "recorded"},
        )
        for kind, (description, feeds) in REQUEST_KINDS.items()
    ]


def _assets(tracker: LineageTracker) -> list[DataSource]:
    found = []
    for asset in tracker.graph.assets.values():
        partitions = sorted(tracker.history.recorded(asset.name)) if asset.partitioned else []
        newest = tracker.history.newest(asset.name)
        details: dict[str, Any] = {
            "code_version": asset.code_version,
            "upstream": list(asset.upstream),
            "first": date.fromisoformat(partitions[0]) if partitions else None,
            "last": date.fromisoformat(partitions[-1]) if partitions else None,
            "materialized_at": newest.at if newest is not None else None,
        }
        count = len(partitions) if asset.partitioned else int(newest is not None)
        unit = "partitions" if asset.partitioned else "materializations"
        found.append(
            DataSource(asset.name, SourceType.ASSET.value, asset.description, count, unit, asset.downstream, details)
        )
    return found


def _taken_from(name: str) -> set[str]:
    return {source for source, _ in DATASETS[name].taken_from.values()}


def _pacing(kind: str) -> str:
    kinds: dict[str, type[Request]] = {
        cls.kind: cls
        for cls in (
            ContractDetailsRequest,
            OptionParametersRequest,
            OptionListingRequest,
            QuoteRequest,
            BarsRequest,
        )
    }
    return kinds[kind].pacing_class.value

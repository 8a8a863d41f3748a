"""What is out of date: partitions that another code version made, or that were made with other data than there is now.

Read from the index of versions that Dagster keeps of the newest materialization of each partition. Whether rows are
missing is another question, and is answered by the conditions of the lake.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trading_assets.lineage.graph import Asset
from trading_assets.lineage.tracker import LineageTracker
from trading_assets.plain import Plain


@dataclass(frozen=True, slots=True)
class OutOfDate(Plain):
    """A partition (None: of an asset without) whose newest materialization does not agree with the present.

    `reason`: `code_version`, `data_version` (of the upstream asset `upstream`), or `unrecorded` where the
    materialization has no version. `recorded` is the version it has, `current` the one there is now.
    """

    asset: str
    partition: str | None
    reason: str
    recorded: str
    current: str
    upstream: str = ""

    @property
    def sentence(self) -> str:
        """What is out of date and why."""
        what = f"{self.asset} {self.partition}" if self.partition else self.asset
        if self.reason == "unrecorded":
            return f"{what}: its materialization does not say which code version made it."
        if self.reason == "code_version":
            return f"{what} was made by code version {self.recorded}; the present one is {self.current}."
        return (
            f"{what} was made with version {self.recorded or '(none)'} of {self.upstream}; the present one is"
            f" {self.current}."
        )


def out_of_date(tracker: LineageTracker) -> Iterator[OutOfDate]:
    """The partitions that are out of date, by asset, upstream ones first, and partition."""
    recorded = {asset.name: tracker.history.recorded(asset.name) for asset in _partitioned(tracker)}
    versions = {name: tracker.history.data_versions(name) for name in recorded}
    for asset in tracker.graph.assets.values():
        if not asset.partitioned:
            yield from _unpartitioned(tracker, asset)
            continue
        mine = recorded[asset.name]
        for partition in sorted(mine):
            # the platform's assets have their code version as data version (`dagster_private.record_partitions`)
            version = versions[asset.name].get(partition, "")
            if version != asset.code_version:
                reason = "code_version" if version else "unrecorded"
                yield OutOfDate(asset.name, partition, reason, version, asset.code_version)
        yield from _by_inputs(tracker, asset, recorded, versions)


def _partitioned(tracker: LineageTracker) -> list[Asset]:
    return [asset for asset in tracker.graph.assets.values() if asset.partitioned]


def _unpartitioned(tracker: LineageTracker, asset: Asset) -> Iterator[OutOfDate]:
    newest = tracker.history.newest(asset.name)
    if newest is not None and newest.code_version != asset.code_version:
        reason = "code_version" if newest.code_version else "unrecorded"
        yield OutOfDate(asset.name, None, reason, newest.code_version, asset.code_version)


def _by_inputs(
    tracker: LineageTracker, asset: Asset, recorded: dict[str, dict[str, int]], versions: dict[str, dict[str, str]]
) -> Iterator[OutOfDate]:
    """Partitions whose upstream partition was recorded again later, with another data version than they were made
    with."""
    mine = recorded[asset.name]
    upstream = [name for name in asset.upstream if name in recorded]
    later = {p: id_ for p, id_ in mine.items() if any(recorded[name].get(p, 0) > id_ for name in upstream)}
    for event in sorted(tracker.history.events(asset.name, later.values()), key=lambda event: event.partition):
        for name in upstream:
            now, then = versions[name].get(event.partition, ""), event.input_versions.get(name, "")
            if recorded[name].get(event.partition, 0) > event.storage_id and then and now != then:
                yield OutOfDate(asset.name, event.partition, "data_version", then, now, name)

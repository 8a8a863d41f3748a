"""The asset graph of the definitions: assets, what they depend on, and the code version of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import dagster as dg

from trading_assets.arguments import one_of
from trading_assets.repositories.schemas import DATASETS


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset by the name of its dataset. `partitioned`: by session.

    `made_from` are the upstream assets whose rows it is made from; the others are upstream for the order of a run only.
    """

    name: str
    description: str
    code_version: str
    partitioned: bool
    upstream: tuple[str, ...]
    downstream: tuple[str, ...]
    made_from: tuple[str, ...]


class AssetGraph:
    """The platform's assets by name, upstream ones first."""

    def __init__(self) -> None:
        self.assets = _assets()

    def asset(self, name: str) -> Asset:
        """The asset of that name. Raises `InvalidRequest` that names the assets there are."""
        return self.assets[one_of(name, self.assets, "asset")]

    def upstream(self, name: str) -> list[Asset]:
        """All assets that it depends on, directly or not, upstream ones first."""
        return self._reached(name, "upstream")

    def downstream(self, name: str) -> list[Asset]:
        """All assets that depend on it, directly or not, upstream ones first."""
        return self._reached(name, "downstream")

    def _reached(self, name: str, direction: str) -> list[Asset]:
        reached: set[str] = set()
        left = list(getattr(self.asset(name), direction))
        while left:
            if (next_one := left.pop()) not in reached:
                reached.add(next_one)
                left += getattr(self.assets[next_one], direction)
        return [asset for asset in self.assets.values() if asset.name in reached]


@lru_cache(maxsize=1)
def _assets() -> dict[str, Asset]:
    # loading the definitions takes a second, and only graph questions need them
    from trading_assets.definitions import defs

    graph = defs.resolve_asset_graph()
    found = {}
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        found[_name(key)] = Asset(
            _name(key),
            (node.description or "").strip().partition("\n")[0],
            node.code_version or "",
            node.partitions_def is not None,
            tuple(sorted(map(_name, node.parent_keys))),
            tuple(sorted(map(_name, node.child_keys))),
            _made_from(_name(key), sorted(map(_name, node.parent_keys))),
        )
    return found


def _made_from(name: str, upstream: list[str]) -> tuple[str, ...]:
    """The upstream assets that the column lineage of the dataset names; all of them where it names none."""
    taken = {source for source, _ in DATASETS[name].taken_from.values()} if name in DATASETS else set()
    return tuple(one for one in upstream if one in taken or not taken)


def _name(key: dg.AssetKey) -> str:
    return key.path[-1]

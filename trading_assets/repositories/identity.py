"""What a lake is: its id, the broker identity that filled it, the periods of its files and its version, pinned in
`lake.json`.

Live, delayed, paper and simulated data never mix: the first collector pins its identity and every other one is refused.
The id is random and made once; the state database is pinned to it (`state.pin`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trading_assets.errors import DamagedIdentity, IdentityMismatch, LayoutMismatch
from trading_assets.repositories.files import IDENTITY_FILE, locked, remove_leftovers, replacing
from trading_assets.repositories.schemas import DATASETS, QUALITY_METRICS, Period
from trading_assets.repositories.storage import storage_of

LAKE_VERSION = 2
"""Written as `schema_version`. Programs refuse a lake of a version they do not know, those of version 1 too. It is not
the version of the columns, which stands in each file. Version 2: folders of variants are named `1_day`, not
`bar_size=1_day`."""


@dataclass(frozen=True, slots=True)
class LakeFile:
    """What `lake.json` says: the lake's id (empty: no state database was opened since there are ids), the broker
    identity (empty: not pinned yet), the period of each dataset that was written, the version, and whether a migration
    to it has begun and not ended."""

    lake_id: str = ""
    identity: str = ""
    periods: Mapping[str, str] = field(default_factory=dict)
    version: int = LAKE_VERSION
    migrating: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of a lake: the bar sizes of underlyings, and for how many days contract details answer (the
    settings of these names)."""

    equity_bar_sizes: tuple[str, ...] = ("1 day",)
    contract_verify_days: int = 7

    def as_dict(self) -> dict[str, Any]:
        """As it stands in `lake.json`."""
        return {"equity_bar_sizes": list(self.equity_bar_sizes), "contract_verify_days": self.contract_verify_days}


class LakeIdentity:
    """Reads and pins `lake.json` of one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = Path(data_dir)

    @property
    def path(self) -> Path:
        """The file itself."""
        return self._data_dir / IDENTITY_FILE

    def read(self) -> str | None:
        """The pinned identity; None while there is none."""
        return self._document().get("identity")

    def pin(self, identity: str) -> None:
        """Make the lake belong to `identity` (for instance `simulated generated seed 42`). Safe to repeat, and among
        processes.

        Raises `IdentityMismatch` when it belongs to another one.
        """
        if not identity.strip():
            raise ValueError(
                "A lake's identity cannot be empty: name the broker, the kind of account and of market data."
            )
        if self.read() == identity:
            return

        def change() -> None:
            document = self._document()
            held = document.get("identity")
            if held is None and self.has_data():
                raise IdentityMismatch(
                    f"{self._data_dir} holds data, but {IDENTITY_FILE} does not say whose. Put it back from a backup,"
                    " rebuild it with trading-assets rebuild-identity, or set TRADING_ASSETS_DATA_DIR to another"
                    f" folder for `{identity}`."
                )
            if held is None:
                self._write({**_with_id(document), "identity": identity})
            elif held != identity:
                raise IdentityMismatch(
                    f"The lake in {self._data_dir} holds data of `{held}`, and data of `{identity}` was offered: they"
                    f" are not mixed. Set TRADING_ASSETS_DATA_DIR to another folder for `{identity}`."
                )

        with self.changing():
            self._rewritten(change)

    def has_data(self) -> bool:
        """Whether any dataset of the broker's data has a file; measures of quality belong to nobody."""
        storage = storage_of(self._data_dir)
        return any(file for name in DATASETS.keys() - {QUALITY_METRICS.name} for file in storage.names(name))

    def periods(self) -> dict[str, Period]:
        """The pinned period of each dataset that was written so far."""
        return {name: Period(value) for name, value in self._document().get("periods", {}).items()}

    def pin_period(self, dataset: str, period: Period) -> None:
        """Make `period` the period of the dataset's files. Raises `LayoutMismatch` when they have another one."""
        if self.periods().get(dataset) == period:
            return

        def change() -> None:
            document = self._document()
            pinned: Mapping[str, str] = document.get("periods", {})
            held = pinned.get(dataset)
            if held is None:
                self._write({**document, "periods": {**pinned, dataset: period.value}})
            elif held != period.value:
                raise LayoutMismatch(
                    f"{dataset} in {self._data_dir} has one file a {held}, and one file a {period.value} was asked for:"
                    f" keep `{held}`, or collect into another TRADING_ASSETS_DATA_DIR."
                )

        with self.changing():
            self._rewritten(change)

    def repartitioning(self) -> dict[str, Period]:
        """Datasets whose files are being given another period, with that period (`repositories.repartition`)."""
        return {name: Period(value) for name, value in self._document().get("repartitioning", {}).items()}

    def mark_repartition(self, dataset: str, period: Period, *, begun: bool) -> None:
        """Say that the dataset's files are being given that period, or that they have it."""

        def change() -> None:
            document = self._document()
            marked = {name: value for name, value in document.get("repartitioning", {}).items() if name != dataset}
            if begun:
                marked[dataset] = period.value
            else:
                document = {**document, "periods": {**document.get("periods", {}), dataset: period.value}}
            rest = {name: value for name, value in document.items() if name != "repartitioning"}
            self._write({**rest, **({"repartitioning": marked} if marked else {})})

        with self.changing():
            self._rewritten(change)

    def wanted(self) -> Wanted:
        """What the last collection wanted of the lake; what the settings are by default where the file does not say
        it."""
        said = self._document().get("wanted")
        return Wanted(tuple(said["equity_bar_sizes"]), said["contract_verify_days"]) if said else Wanted()

    def keep_wanted(self, wanted: Wanted) -> None:
        """Write down what a collection wants of the lake, for readers that do not know its settings."""
        document = self._document()
        if not document or document.get("wanted") == wanted.as_dict():
            return  # a file is made by those who know whose the lake is

        def change() -> None:
            if held := self._document():
                self._write({**held, "wanted": wanted.as_dict()})

        with self.changing():
            self._rewritten(change)

    def held(self) -> LakeFile | None:
        """What the file says; None where there is none. Raises `DamagedIdentity`, `LayoutMismatch`."""
        document = self._document()
        if not document:
            return None
        lake_id, identity, periods = (
            document.get("lake_id", ""),
            document.get("identity") or "",
            document.get("periods", {}),
        )
        return LakeFile(lake_id, identity, periods, _version(document), bool(document.get("migrating")))

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the file's lock, for `ensure` and `rewrite` together with what belongs to them. Raises `LakeBusy`."""
        with locked(self._data_dir, IDENTITY_FILE):
            yield

    def ensure(self) -> LakeFile:
        """What the file says, with an id; both are made where they are missing. Within `changing`."""

        def change() -> None:
            document = self._document()
            if not document.get("lake_id"):
                self._write(_with_id(document))

        self._rewritten(change)
        held = self.held()
        assert held is not None
        return held

    def rewrite(self, lake: LakeFile) -> None:
        """Put a file with that id, identity and periods in place of what is there, damaged or not. Within
        `changing`."""
        document: dict[str, Any] = {
            "lake_id": lake.lake_id,
            "identity": lake.identity,
            "periods": dict(lake.periods),
            "schema_version": lake.version,
        }

        def change() -> None:
            kept: dict[str, Any] = {}
            with suppress(DamagedIdentity):
                kept = {name: value for name, value in self._document().items() if name == "wanted"}
            self._write({**document, **kept, **({"migrating": True} if lake.migrating else {})})

        self._rewritten(change)

    def mark_migration(self, *, begun: bool) -> None:
        """Say that the lake is of this version, and whether its files are still being moved: older programs keep out
        from then on."""

        def change() -> None:
            document = {name: value for name, value in self._document().items() if name != "migrating"}
            self._write({**document, "schema_version": LAKE_VERSION, **({"migrating": True} if begun else {})})

        with self.changing():
            self._rewritten(change)

    def _rewritten(self, change: Callable[[], None]) -> None:
        """Do what reads the file and writes it anew; again, where another machine wrote it meanwhile."""
        storage_of(self._data_dir).rewritten(IDENTITY_FILE, change)

    def _document(self) -> dict[str, Any]:
        """What the file says; nothing where there is none. Raises `DamagedIdentity` where it does not say it as this
        class writes it."""
        storage_of(self._data_dir).fresh(IDENTITY_FILE)
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise DamagedIdentity(self.path, str(error)) from error
        if not isinstance(document, dict):
            raise DamagedIdentity(self.path, "it is no JSON object")
        if not document:
            raise DamagedIdentity(self.path, "it is empty")
        identity, lake_id, periods = document.get("identity"), document.get("lake_id", ""), document.get("periods", {})
        texts = isinstance(identity, str | None) and isinstance(lake_id, str)
        known = document.get("wanted", Wanted().as_dict())
        sizes, days = (
            (known.get("equity_bar_sizes"), known.get("contract_verify_days"))
            if isinstance(known, dict)
            else (None, None)
        )
        texts = (
            texts and isinstance(sizes, list) and all(isinstance(size, str) for size in sizes) and isinstance(days, int)
        )
        if not isinstance(_version(document), int) or not texts or not isinstance(periods, dict):
            raise DamagedIdentity(self.path, "a value in it has the wrong type")
        if not all(period in tuple(Period) for period in periods.values()):
            raise DamagedIdentity(self.path, "it names a period that there is not")
        if _version(document) > LAKE_VERSION:
            raise LayoutMismatch(
                f"The lake in {self._data_dir} has schema version {_version(document)}, and this program knows versions"
                f" up to {LAKE_VERSION}: use a newer version of the program."
            )
        return document

    def _write(self, document: dict[str, Any]) -> None:
        remove_leftovers(self.path)
        # A new lake has the present layout; whether an older one has it is for the migration to say.
        version = {"schema_version": 1 if self.path.exists() else LAKE_VERSION}
        text = json.dumps(
            {**version, **{name: value for name, value in document.items() if value != ""}}, indent=2, sort_keys=True
        )
        storage = storage_of(self._data_dir)
        with replacing(self.path, storage.replace, durable=storage.durable) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")


def _with_id(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "lake_id": document.get("lake_id") or uuid.uuid4().hex}


def _version(document: Mapping[str, Any]) -> int:
    return document.get("schema_version", 1)

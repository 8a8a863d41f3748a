"""What a lake is: the broker identity that filled it and the periods its files have, pinned in `lake.json`.

Live, delayed, paper and simulated data never mix: the first collector pins its identity and every other one is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trading_assets.repositories.files import IDENTITY_FILE, leftovers, locked, replacing
from trading_assets.repositories.schemas import DATASETS, QUALITY_METRICS, SCHEMA_VERSION, Period


class IdentityMismatch(ValueError):
    """The lake was filled by another broker identity."""


class LayoutMismatch(ValueError):
    """The lake's files have other periods than asked for, or another version of the schema."""


class DamagedIdentity(ValueError):
    """`lake.json` is no document of a lake: cut off by a full disk, or written by something else. The message names it."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} is damaged ({why}): it does not say whose data the lake holds. Put it back from a backup, or collect into another "
            "TRADING_ASSETS_DATA_DIR; the data files beside it are not touched."
        )


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
        """Make the lake belong to `identity` (for instance `simulated generated seed 42`). Safe to repeat, and among processes.

        Raises `IdentityMismatch` when it belongs to another one.
        """
        if not identity.strip():
            raise ValueError("A lake's identity cannot be empty: name the broker, the kind of account and of market data.")
        if self.read() == identity:
            return
        with locked(self._data_dir, IDENTITY_FILE):
            document = self._document()
            held = document.get("identity")
            if held is None and self._has_data():
                raise IdentityMismatch(
                    f"{self._data_dir} holds data, but {IDENTITY_FILE} does not say whose: it was deleted. Restore it, "
                    f"or set TRADING_ASSETS_DATA_DIR to another folder for `{identity}`."
                )
            if held is None:
                self._write({**document, "identity": identity})
            elif held != identity:
                raise IdentityMismatch(
                    f"The lake in {self._data_dir} holds data of `{held}`, and data of `{identity}` was offered: they are not mixed. "
                    f"Set TRADING_ASSETS_DATA_DIR to another folder for `{identity}`."
                )

    def _has_data(self) -> bool:
        """Whether any dataset of the broker's data has a file; measures of quality belong to nobody."""
        return any(file for name in DATASETS.keys() - {QUALITY_METRICS.name} for file in (self._data_dir / name).rglob("*.parquet"))

    def periods(self) -> dict[str, Period]:
        """The pinned period of each dataset that was written so far."""
        return {name: Period(value) for name, value in self._document().get("periods", {}).items()}

    def pin_period(self, dataset: str, period: Period) -> None:
        """Make `period` the period of the dataset's files. Raises `LayoutMismatch` when they have another one."""
        if self.periods().get(dataset) == period:
            return
        with locked(self._data_dir, IDENTITY_FILE):
            document = self._document()
            pinned: Mapping[str, str] = document.get("periods", {})
            held = pinned.get(dataset)
            if held is None:
                self._write({**document, "periods": {**pinned, dataset: period.value}})
            elif held != period.value:
                raise LayoutMismatch(
                    f"{dataset} in {self._data_dir} has one file a {held}, and one file a {period.value} was asked for: "
                    f"keep `{held}`, or collect into another TRADING_ASSETS_DATA_DIR."
                )

    def _document(self) -> dict[str, Any]:
        """What the file says; nothing where there is none. Raises `DamagedIdentity` where it does not say it as this class writes it."""
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise DamagedIdentity(self.path, str(error)) from error
        if not isinstance(document, dict):
            raise DamagedIdentity(self.path, "it is no JSON object")
        version, identity, periods = document.get("schema_version", SCHEMA_VERSION), document.get("identity"), document.get("periods", {})
        if not isinstance(version, int) or not isinstance(identity, str | None) or not isinstance(periods, dict):
            raise DamagedIdentity(self.path, "a value in it has the wrong type")
        if not all(period in tuple(Period) for period in periods.values()):
            raise DamagedIdentity(self.path, "it names a period that there is not")
        if version > SCHEMA_VERSION:
            raise LayoutMismatch(
                f"The lake in {self._data_dir} has schema version {version}, and this program knows versions up to {SCHEMA_VERSION}: "
                "use a newer version of the program."
            )
        return document

    def _write(self, document: dict[str, Any]) -> None:
        for leftover in leftovers(self.path):
            leftover.unlink(missing_ok=True)
        with replacing(self.path) as temporary:
            temporary.write_text(json.dumps({"schema_version": SCHEMA_VERSION, **document}, indent=2, sort_keys=True) + "\n", encoding="utf-8")

"""The settings of where the lake is: in the data folder, or in an object store."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from trading_assets.folders import OBJECT_STORE, LakeLocation, set_lake_location

_URL = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[A-Za-z0-9!_.*'()-]+)*/?")
"""A bucket by Amazon's rules, and a prefix of its safe characters."""


class LakeSettings(BaseSettings):
    """The part of `Settings` about the place of the lake."""

    lake: str | None = Field(
        default=None,
        description=(
            "Where the lake is: a folder (the data folder, which is the default), or an object store"
            " (`s3://bucket/prefix`, with a state database on a PostgreSQL server). Keys, region and endpoint of the"
            " store are those of Amazon's tools: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`,"
            " `AWS_ENDPOINT_URL`. Needs the extra `s3`."
        ),
    )
    lake_copy_gib: float = Field(
        default=100.0,
        gt=0,
        le=100_000,
        description="How much of a lake in an object store the data folder may hold as copies, to read from (GiB).",
    )

    @field_validator("lake")
    @classmethod
    def _is_a_place(cls, value: str | None) -> str | None:
        if value is None or "://" not in value:
            return value or None
        if not value.startswith(OBJECT_STORE):
            raise ValueError(
                "TRADING_ASSETS_LAKE is a folder or s3://bucket/prefix: object stores of another kind cannot hold the"
                " lake."
            )
        if not _URL.fullmatch(value):
            raise ValueError(
                f"TRADING_ASSETS_LAKE is {value!r}, and no s3://bucket/prefix: a bucket has 3 to 63 small letters,"
                " digits, dots and hyphens, the prefix letters, digits and !_.*'()-."
            )
        return value.rstrip("/")

    @property
    def lake_folder(self) -> Path | None:
        """The folder that `lake` names; None where it is not set, or names an object store."""
        return None if self.lake is None or self.lake.startswith(OBJECT_STORE) else Path(self.lake)


def place_lake(data_dir: Path, lake: str | None, database_url: str | None, copy_gib: float) -> None:
    """Note where the lake of a data folder is (see `folders.lake_location`). Raises `ValueError` for settings that do
    not belong together."""
    if lake is None or not lake.startswith(OBJECT_STORE):
        if lake is not None and data_dir != Path(lake).expanduser().absolute():
            raise ValueError(
                f"TRADING_ASSETS_LAKE names the folder {lake}, and TRADING_ASSETS_DATA_DIR {data_dir}: a lake in a"
                " folder is in the data folder. Leave one of them out."
            )
        set_lake_location(data_dir, None)
        return
    if database_url is None or database_url.startswith("sqlite"):
        raise ValueError(
            f"TRADING_ASSETS_LAKE names an object store ({lake}), and the state database is SQLite, a file of one"
            " machine: set TRADING_ASSETS_DATABASE_URL to a PostgreSQL server, or leave TRADING_ASSETS_LAKE out."
        )
    set_lake_location(data_dir, LakeLocation(lake, int(copy_gib * 2**30)))

"""One typed `Settings`: the only module that reads the environment.

Sources, strongest first: arguments, environment (`TRADING_ASSETS_*`), `trading_assets.toml` in the working directory
(or the file named by `TRADING_ASSETS_CONFIG`), defaults. Every field's description says what it is and in which unit.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from pydantic import AliasChoices, Field, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from trading_assets import setting_names
from trading_assets.arguments import ALERT_HOURS, LOOKBACK_DAYS, MINUTES, REQUESTS, SESSIONS, bar_sizes
from trading_assets.broker_settings import BrokerKind, BrokerSettings, Gateway
from trading_assets.database_clock import ahead
from trading_assets.folders import StateUrl, usable_folder
from trading_assets.lake_settings import LakeSettings, place_lake
from trading_assets.launcher_settings import LauncherKind, LauncherSettings, see_that_runs_are_known_elsewhere
from trading_assets.live_settings import LiveSettings
from trading_assets.maintenance_settings import MaintenanceSettings
from trading_assets.pricing_settings import PricingSettings
from trading_assets.selection_rules import SelectionRules
from trading_assets.sessions import Clock
from trading_assets.setting_names import SECRETS, wrong_value
from trading_assets.setting_sources import OwnEnvironment

CONFIG = "TRADING_ASSETS_CONFIG"
"""Environment variable that names the settings file, when it is not `trading_assets.toml` in the working directory."""


DATA_DIR = "TRADING_ASSETS_DATA_DIR"
"""Environment variable that names the data folder."""


class Settings(LakeSettings, LauncherSettings, LiveSettings, MaintenanceSettings, PricingSettings, BrokerSettings):
    """Everything an operator can set. Durations are seconds unless the name says otherwise."""

    # Without `hide_input_in_errors` an error's own text, which Dagster keeps of a failed tick, repeats a wrong value: a
    # password, maybe.
    model_config = SettingsConfigDict(
        env_prefix="TRADING_ASSETS_", extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True
    )

    data_dir_setting: Path | None = Field(
        default=None,
        validation_alias=AliasChoices(DATA_DIR, "data_dir"),
        description=(
            "Folder of the lake and its state; default `data/simulated` with the simulated broker, `data` with a TWS."
        ),
    )
    now: datetime | None = Field(default=None, description="Pins the clock (ISO 8601 with a zone) for replays.")
    market: str = Field(
        default="generated", description="Market of the in-process simulator: `generated` or a folder of recorded data."
    )
    market_seed: int = Field(default=42, description="Seed of the generated market.")
    recorded_market: Path = Field(
        default=Path("../shared/market"), description="Folder of recorded real market data, read by tests and the demo."
    )
    database_url: str | None = Field(
        default=None,
        repr=False,
        description="SQLAlchemy URL of the state database; default SQLite `state.db` in the data folder.",
    )

    contract_verify_days: int = Field(
        default=7,
        ge=LOOKBACK_DAYS.least,
        le=LOOKBACK_DAYS.most,
        description="A stored contract is requested again when verified longer ago (days).",
    )
    relist_days: int = Field(
        default=7,
        ge=1,
        le=LOOKBACK_DAYS.most,
        description="The whole option listing is read again when older (days).",
    )
    no_data_retry_days: int = Field(
        default=30,
        ge=LOOKBACK_DAYS.least,
        le=LOOKBACK_DAYS.most,
        description=(
            "A `not_permitted`, `no_contract` or `error` that a second session has confirmed is requested again after"
            " this many days; the first one is requested again in the next session."
        ),
    )
    equity_bar_sizes: tuple[str, ...] = Field(default=("1 day",), description="Bar sizes collected for underlyings.")
    stock_volume_unit: str = Field(
        default="shares",
        pattern="^(shares|round_lots)$",
        description="Unit of stock volume in the broker's bars (a TWS setting for API clients).",
    )

    selection: SelectionRules = Field(
        default=SelectionRules(),
        examples=[{"max_days_to_expiry": 30, "strikes_around_spot": 5}],
        description=(
            "Which option contracts are quoted and have their bars collected, where a run says nothing else. JSON in"
            " the environment."
        ),
    )
    setup_lookback_days: int = Field(
        default=365,
        ge=LOOKBACK_DAYS.least,
        le=LOOKBACK_DAYS.most,
        description=(
            "Calendar days of history that a symbol new in the universe is set up with; options reach no further back."
        ),
    )
    snapshot_lead_minutes: int = Field(
        default=15,
        ge=1,
        le=180,
        description="Minutes before the close at which the day's snapshot (contracts, chains) is scheduled.",
    )
    positions_lead_minutes: int = Field(
        default=5,
        ge=1,
        le=180,
        description="Minutes before the close at which the day's look at the positions is scheduled.",
    )
    bars_delay_minutes: int = Field(
        default=30, ge=1, le=300, description="Minutes after the close at which the day's bars are scheduled."
    )
    last_chance_lead_minutes: int = Field(
        default=60,
        ge=1,
        le=360,
        description=(
            "Minutes before the close of a session in which selected contracts expire: what they lack is collected."
        ),
    )
    requote_after_minutes: int = Field(
        default=60,
        ge=MINUTES.least,
        le=MINUTES.most,
        description=(
            "The scheduled snapshot quotes a chain again whose quotes of the same session are older than this"
            " (minutes)."
        ),
    )
    stale_chain_hours: float = Field(
        default=24.0,
        ge=ALERT_HOURS.least,
        le=ALERT_HOURS.most,
        description="A chain snapshot older than this is stale once a session has begun since (hours).",
    )
    gap_request_budget: int = Field(
        default=500,
        ge=1,
        le=REQUESTS.most,
        description="Requests one evaluation of the gap sensor may set off at most.",
    )
    check_window_sessions: int = Field(
        default=30,
        ge=SESSIONS.least,
        le=SESSIONS.most,
        description="Sessions that the hourly quality check looks at.",
    )

    alert_channels: dict[str, str] = Field(
        default_factory=dict,
        examples=[{"desk": "slack://..."}],
        repr=False,
        description=(
            "Notification channels by name, each an Apprise URL (mailto://, slack://, json://, ...). JSON in the"
            " environment."
        ),
    )
    alert_remind_hours: float = Field(
        default=24.0,
        ge=ALERT_HOURS.least,
        le=ALERT_HOURS.most,
        description="An alert that stays open is sent again after this (hours).",
    )
    metrics: bool = Field(default=False, description="Whether `up` serves metrics for Prometheus, at /metrics.")

    @field_validator("now")
    @classmethod
    def _now_has_a_zone(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("TRADING_ASSETS_NOW needs a time zone, for example 2015-12-24T13:30-05:00.")
        return value

    @field_validator("equity_bar_sizes")
    @classmethod
    def _are_bar_sizes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(bar_sizes(value, "TRADING_ASSETS_EQUITY_BAR_SIZES") or ())

    @field_validator("alert_channels", mode="before")
    @classmethod
    def _are_channels(cls, value: Any) -> Any:
        return setting_names.channels(value)

    @field_validator("database_url")
    @classmethod
    def _is_a_database_url(cls, value: str | None) -> str | None:
        return value if value is None else setting_names.database_url(value)

    @model_validator(mode="after")
    def _folder_can_be_used(self) -> Self:
        if usable_folder(self.data_dir).exists() and not self.data_dir.is_dir():
            raise ValueError(f"The data folder {self.data_dir} is a file: set TRADING_ASSETS_DATA_DIR to a folder.")
        return self

    @model_validator(mode="after")
    def _lake_can_be_there(self) -> Self:
        place_lake(self.data_dir, self.lake, self.database_url, self.lake_copy_gib)
        see_that_runs_are_known_elsewhere(self.launcher, self.database_url, self.dagster_database_url)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, OwnEnvironment(settings_cls), _file(settings_cls)

    @property
    def data_dir(self) -> Path:
        """The data folder: as set, else by the broker. Raises `ValueError` for a name that cannot be used (see
        `folders`)."""
        default = Path("data/simulated") if self.broker is BrokerKind.SIMULATED else Path("data")
        return usable_folder((self.data_dir_setting or self.lake_folder or default).expanduser().absolute())

    @property
    def state_url(self) -> StateUrl:
        """SQLAlchemy URL of the state database."""
        if self.database_url is not None:
            return StateUrl(self.database_url, self.data_dir)
        from sqlalchemy import URL  # late: commands that only read the lake do without it

        return StateUrl(
            URL.create("sqlite", database=str(self.data_dir / "state.db")).render_as_string(), self.data_dir
        )

    def clock(self) -> datetime:
        """The present instant in UTC: the pinned one when `now` is set; with a database server, by its clock, which is
        the same for all machines."""
        return self.now.astimezone(UTC) if self.now else datetime.now(UTC) + ahead(self.database_url)

    def environment(self) -> dict[str, str]:
        """Environment variables from which a child process builds the same settings, in whatever folder it works."""
        given: dict[str, Any] = self.model_dump(
            mode="json", exclude_none=True, exclude={"data_dir_setting", "selection"}
        )
        if self.lake_folder is not None:
            del given["lake"]  # it is the data folder
        pairs = {f"TRADING_ASSETS_{name.upper()}": _text(value) for name, value in given.items()}
        pairs["TRADING_ASSETS_SELECTION"] = self.selection.model_dump_json()
        pairs[DATA_DIR] = str(self.data_dir)
        pairs["TRADING_ASSETS_RECORDED_MARKET"] = str(self.recorded_market.expanduser().absolute())
        if self.market != "generated":
            pairs["TRADING_ASSETS_MARKET"] = str(Path(self.market).expanduser().absolute())
        if CONFIG in os.environ:
            pairs[CONFIG] = str(Path(os.environ[CONFIG]).expanduser().absolute())
        return pairs

    def child_environment(self) -> dict[str, str]:
        """This process's environment with these settings in it, for a process that is started."""
        return {**os.environ, **self.environment()}


@contextmanager
def data_folder(folder: Path) -> Iterator[None]:
    """Within it, settings are those of this data folder, in this process and in those that it starts."""
    before = os.environ.get(DATA_DIR)
    os.environ[DATA_DIR] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[DATA_DIR]
        else:
            os.environ[DATA_DIR] = before


def folder_of(data_dir: Path | str | None) -> Path | str:
    """The data folder given, or that of the settings."""
    return Settings().data_dir if data_dir is None else data_dir


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _file(settings_cls: type[BaseSettings]) -> TomlConfigSettingsSource:
    """The settings file. A file that was named must be there; every file must be TOML."""
    named = os.environ.get(CONFIG)
    file = Path(named or "trading_assets.toml").expanduser()
    if named and not file.is_file():
        raise ValueError(f"{CONFIG} names {file}, and there is no such file.")
    try:
        return TomlConfigSettingsSource(settings_cls, toml_file=file)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file} is no valid TOML: {error}.") from error


TRACEBACK = "TRADING_ASSETS_TRACEBACK"
"""Environment variable with which the command shows tracebacks."""


_BY_NAME = frozenset(f"TRADING_ASSETS_{name.upper()}" for name in Settings.model_fields if name != "data_dir_setting")
"""The variables of settings that have the setting's name."""


def unknown_variables() -> list[str]:
    """A sentence for each variable of the environment that begins as ours do and is none."""
    return setting_names.unknown_variables(os.environ, {CONFIG, TRACEBACK, DATA_DIR, *_BY_NAME})


def traceback_wanted() -> bool:
    """Whether the command line shows where an unforeseen error came from (TRADING_ASSETS_TRACEBACK)."""
    return bool(os.environ.get(TRACEBACK))


def system_clock() -> datetime:
    """The machine's clock, UTC."""
    return datetime.now(UTC)


__all__ = [
    "SECRETS",
    "BrokerKind",
    "Clock",
    "Gateway",
    "LauncherKind",
    "Settings",
    "system_clock",
    "traceback_wanted",
    "unknown_variables",
    "wrong_value",
]

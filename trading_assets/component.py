"""`trading_assets.Archive`: the platform as a component for users of Dagster's `dg` command.

# defs/archive/defs.yaml
type: trading_assets.Archive
attributes:
  symbols: [AAPL, SPX]
  settings:
    data_dir: /data/archive
    selection: {max_days_to_expiry: 30, strikes_around_spot: 5}
"""

from collections.abc import Mapping
from typing import Annotated, Any, Union, get_args, get_origin

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator

from trading_assets.arguments import some_symbols
from trading_assets.automation.declared_symbols import declared_symbols_sensor
from trading_assets.definitions import build_defs
from trading_assets.setting_names import SECRETS
from trading_assets.settings import Settings

_NAMES: Mapping[str, str] = {"data_dir_setting": "data_dir"}


def _written(annotation: Any) -> Any:
    """A field's type as YAML has it: lists in place of tuples. Dagster makes a sample of the schema, and fails where
    each place of a list has a type of its own."""
    kind, parts = get_origin(annotation), [part for part in get_args(annotation) if part is not Ellipsis]
    if kind is tuple:
        return list[Union[tuple(_written(part) for part in parts)]]  # type: ignore[misc]  # noqa: UP007
    if kind is dict:
        return dict[parts[0], _written(parts[1])]  # type: ignore[valid-type, misc]
    return annotation


_FIELDS: dict[str, Any] = {
    _NAMES.get(name, name): (
        (Annotated[field.annotation, *field.metadata] if field.metadata else _written(field.annotation)) | None,
        Field(default=None, description=field.description),
    )
    for name, field in Settings.model_fields.items()
    if name not in SECRETS
}
_GivenSettings: Any = create_model(
    "_GivenSettings", __config__=ConfigDict(extra="forbid", hide_input_in_errors=True), **_FIELDS
)
"""Settings by name, as an editor completes and `dg check yaml` checks them. Those that carry passwords are not here:
what a component is given may be shown by Dagster."""


def _resolved(context: dg.ResolutionContext, given: BaseModel | None) -> dict[str, Any]:
    """The settings that were written, templates (`{{ env.NAME }}`) replaced."""
    written = given.model_dump(mode="json", exclude_unset=True) if given else {}
    return {name: context.at_path(name).resolve_value(value, as_type=object) for name, value in written.items()}


class Archive(dg.Component, dg.Model, dg.Resolvable):
    """Your own archive of US equity and option data from Interactive Brokers: assets, checks, jobs, schedules and
    sensors.

    Loading it reads no environment, opens no file and connects to nothing.
    """

    model_config = ConfigDict(extra="forbid")

    symbols: list[str] = Field(
        default=[],
        description=(
            "Symbols to keep the archive for, for example [AAPL, SPX]. The daemon adds those that the universe has"
            " never had, and sets them up; one that was removed by hand stays removed."
        ),
        examples=[["AAPL", "SPX"]],
    )
    settings: Annotated[dict[str, Any], dg.Resolver(_resolved, model_field_type=_GivenSettings)] = Field(
        default={},
        description=(
            "Settings by name (docs/settings.md) that win over the environment and trading_assets.toml inside of"
            " Dagster. The command line and Python read those two only: a data folder that all three share"
            " belongs there. So do those that carry passwords (alert_channels, database_url)."
        ),
    )

    @field_validator("symbols")
    @classmethod
    def _are_symbols(cls, value: list[str]) -> list[str]:
        return (some_symbols(value) or []) if value else []

    @classmethod
    def model(cls) -> type[BaseModel]:
        """What `defs.yaml` may hold; a wrong value is not repeated, it may be a password in the wrong place."""
        hiding = ConfigDict(hide_input_in_errors=True)
        return type("ArchiveModel", (super().model(),), {"model_config": hiding, "__module__": __name__})

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What `dg` shows of the component."""
        return dg.ComponentTypeSpec(
            description="Archive of US equity and option data from Interactive Brokers.", tags=["trading-assets"]
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The platform's definitions with these settings, and the sensor of the declared symbols."""
        own = dg.Definitions(sensors=[declared_symbols_sensor(self.symbols)] if self.symbols else [])
        return dg.Definitions.merge(build_defs(**self.settings), own)


__all__ = ["Archive"]

"""How settings are read from environment variables."""

from __future__ import annotations

import json
from typing import Any

from pydantic_settings import EnvSettingsSource, SettingsError


class OwnEnvironment(EnvSettingsSource):
    """The variables that are ours: an alias is looked up as it stands, and a `DATA_DIR` of somebody else's is no
    setting."""

    def _load_env_vars(self) -> dict[str, str | None]:
        return {
            name: value
            for name, value in super()._load_env_vars().items()
            if name.upper().startswith("TRADING_ASSETS_")
        }

    def __call__(self) -> dict[str, Any]:
        try:
            return super().__call__()
        except SettingsError as error:
            raise ValueError(str(error.__cause__ or error)) from error

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
        """Lists and tables are written as JSON."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except json.JSONDecodeError:
            example = field.examples[0] if field.examples else field.default
            kind = "table" if isinstance(example, dict) else "list"
            raise ValueError(
                f"TRADING_ASSETS_{field_name.upper()} is a {kind}, written as JSON, for example {json.dumps(example)}."
            ) from None

"""Example files of all settings, written from their descriptions: `.env.example` and `trading_assets.toml.example`.

`python -m trading_assets.setting_examples` writes both into the working directory. Every line is a comment that shows
the default, or an example where there is none; to change a setting, remove the `#`.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from trading_assets.settings import DATA_DIR, Settings

WIDTH = 116

HEADS = {
    ".env.example": "Settings as environment variables, for a shell, systemd or compose. Lists and tables are JSON.",
    "trading_assets.toml.example": "Settings as a file: copy it to trading_assets.toml in the working directory, or"
    " name it in TRADING_ASSETS_CONFIG.",
}


def examples() -> dict[str, str]:
    """The text of each example file by name."""
    return {
        ".env.example": _file(".env.example", lambda name, value: f"{_variable(name)}={_json(value)}"),
        "trading_assets.toml.example": _file(
            "trading_assets.toml.example", lambda name, value: f"{_toml_name(name)} = {_toml(value)}"
        ),
    }


def _file(name: str, line: Callable[[str, Any], str]) -> str:
    parts = [_comment(HEADS[name] + " Every line shows a default, or an example; a line without a value has none.")]
    for setting, field in Settings.model_fields.items():
        value = _plain(field.get_default(call_default_factory=True))
        if value is None and field.examples:
            value = field.examples[0]
        parts.append(f"{_comment(field.description or '')}\n#{line(setting, value).rstrip()}")
    return "\n\n".join(parts) + "\n"


def _comment(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), WIDTH, initial_indent="# ", subsequent_indent="# ")


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {name: _plain(part) for name, part in value.model_dump(mode="json").items() if part is not None}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def _variable(name: str) -> str:
    return DATA_DIR if name == "data_dir_setting" else f"TRADING_ASSETS_{name.upper()}"


def _toml_name(name: str) -> str:
    return "data_dir" if name == "data_dir_setting" else name


def _json(value: Any) -> str:
    """As the environment has it: text as it stands, everything else as JSON, nothing for None."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return "" if value is None else json.dumps(value)


if __name__ == "__main__":
    for file, text in examples().items():
        Path(file).write_text(text, encoding="utf-8")

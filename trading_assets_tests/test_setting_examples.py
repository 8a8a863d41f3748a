"""The example files of settings are those of the present settings, and can be read."""

from __future__ import annotations

import json
import os
import re
import tomllib

import pytest

from trading_assets.setting_examples import examples
from trading_assets.settings import Settings
from trading_assets_tests.conftest import REPOSITORY


@pytest.mark.parametrize("name", list(examples()))
def test_the_file_is_what_the_settings_say(name: str) -> None:
    """Rewritten by `python -m trading_assets.setting_examples`."""
    assert (REPOSITORY / name).read_text("utf-8") == examples()[name]


def test_without_the_comment_signs_the_settings_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("TRADING_ASSETS_")]:
        monkeypatch.delenv(variable)
    text = examples()["trading_assets.toml.example"]
    lines = re.findall(r"^#(\w+ = .+)$", text, re.MULTILINE)
    given = tomllib.loads("\n".join(lines))
    assert len(lines) > 50
    unset = {"alert_channels", "dividends", "archives", "file_periods"}
    assert Settings(**{name: value for name, value in given.items() if name not in unset}) == Settings()


def test_every_setting_is_in_both_files() -> None:
    for name, prefix in ((".env.example", "TRADING_ASSETS_"), ("trading_assets.toml.example", "")):
        found = re.findall(rf"^#{prefix}(\w+) ?=", examples()[name], re.MULTILINE)
        assert [one.lower().replace("data_dir", "data_dir_setting") for one in found] == list(Settings.model_fields)


def test_tables_and_lists_of_the_environment_are_json() -> None:
    for line in re.findall(r"^#\w+=([\[{].*)$", examples()[".env.example"], re.MULTILINE):
        json.loads(line)

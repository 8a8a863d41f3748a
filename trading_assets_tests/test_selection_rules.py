"""The rules of option selection: settings, run config and command take the same values and refuse the same ones with
the same words."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from trading_assets.assets.config import SelectionConfig
from trading_assets.cli.app import run
from trading_assets.selection_rules import SelectionRules
from trading_assets.settings import Settings, wrong_value


@pytest.fixture(autouse=True)
def empty_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of ours but the folder, no settings file."""
    for name in [name for name in os.environ if name.startswith("TRADING_ASSETS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(tmp_path / "lake"))
    monkeypatch.chdir(tmp_path)


AT_LEAST = "input should be greater than or equal to "

OPTIONS = {
    "max_days_to_expiry": "--max-days-to-expiry",
    "strikes_around_spot": "--strikes",
    "min_moneyness": "--min-moneyness",
    "max_moneyness": "--max-moneyness",
    "max_contracts": "--max-contracts",
}
"""Rules that the command has an option for."""


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("min_days_to_expiry", -1, AT_LEAST + "0"),
        ("max_days_to_expiry", -1, AT_LEAST + "0"),
        ("max_days_to_expiry", None, "input should be a valid integer"),
        ("strikes_around_spot", 0, AT_LEAST + "1"),
        ("min_moneyness", 0.0, "input should be greater than 0"),
        ("max_moneyness", -0.5, "input should be greater than 0"),
        ("min_open_interest", -1, AT_LEAST + "0"),
        ("max_contracts", 0, AT_LEAST + "1"),
        ("rights", ["C", "X"], "rights can hold C and P only, at least one of them, not ['C', 'X']."),
        ("rights", [], "rights can hold C and P only, at least one of them, not []."),
        ("trading_classes", [], "tuple should have at least 1 item after validation, not 0"),
        (
            "min_days_to_expiry",
            60,
            "max_days_to_expiry (45) is smaller than min_days_to_expiry (60): no contract could be selected.",
        ),
    ],
)
def test_a_wrong_value_is_refused_alike_everywhere(
    name: str, value: Any, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValidationError) as of_run:
        SelectionConfig(**{name: value}).rules(Settings().selection)
    own = words.endswith(".")
    assert wrong_value(of_run.value) == (words if own else f"The setting {name} is wrong ({value!r}): {words}.")
    if name in OPTIONS and value is not None:
        assert run(["plan", "AAPL", f"{OPTIONS[name]}={value}"]) == 2
        assert (
            capsys.readouterr().err.strip()
            == f"error: Invalid value for '{OPTIONS[name]}': {words[0].upper()}{words[1:]}"
        )
    monkeypatch.setenv("TRADING_ASSETS_SELECTION", json.dumps({name: value}))
    with pytest.raises(ValidationError) as of_settings:
        Settings()
    assert wrong_value(of_settings.value) == (
        words if own else f"The setting selection.{name} is wrong ({value!r}): {words}."
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            "{'rights'}",
            (
                'TRADING_ASSETS_SELECTION is a table, written as JSON, for example {"max_days_to_expiry": 30,'
                ' "strikes_around_spot": 5}.'
            ),
        ),
        ("5", f"The selection of options is a table of {', '.join(SelectionRules.model_fields)}, not 5."),
        (
            '{"strikes": 5}',
            f"The selection of options has no strikes; it has {', '.join(SelectionRules.model_fields)}.",
        ),
    ],
)
def test_what_is_no_selection_is_told_in_one_sentence(
    given: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_SELECTION", given)
    with pytest.raises(ValueError) as caught:
        Settings()
    assert (wrong_value(caught.value) if isinstance(caught.value, ValidationError) else str(caught.value)) == sentence


def test_options_that_together_select_nothing_are_refused_before_anything_is_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for command in ("plan", "setup"):
        assert run([command, "AAPL", "--min-moneyness", "1.2", "--max-moneyness", "0.8"]) == 2
        assert (
            "max_moneyness (0.8) is smaller than min_moneyness (1.2): no contract could be selected."
            in capsys.readouterr().err
        )


def test_every_field_of_a_run_config_comes_from_the_settings_unless_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "min_days_to_expiry": 1,
        "max_days_to_expiry": 9,
        "strikes_around_spot": 3,
        "min_moneyness": 0.8,
        "max_moneyness": 1.2,
        "rights": ["P"],
        "trading_classes": ["SPXW"],
        "min_open_interest": 5,
        "max_contracts": 7,
    }
    assert list(given) == list(SelectionRules.model_fields)
    monkeypatch.setenv("TRADING_ASSETS_SELECTION", json.dumps(given))
    settings = Settings().selection
    assert (
        settings.model_dump(mode="json")
        == given
        == SelectionConfig(**given).rules(SelectionRules()).model_dump(mode="json")
    )
    assert SelectionConfig().rules(settings) == settings
    for name, default in SelectionRules().model_dump(mode="json").items():
        changed = SelectionConfig(**{name: default}).rules(settings).model_dump(mode="json")
        assert changed == {**given, name: default}, name


def test_a_plan_is_of_the_selection_in_the_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def planned(*words: str) -> int:
        assert run(["plan", "AAPL", *words, "--json"]) == 0
        return int(json.loads(capsys.readouterr().out)["requests"])

    monkeypatch.setenv("TRADING_ASSETS_NOW", "2024-06-03T16:30-04:00")
    everything = planned()
    by_the_command = planned("--max-days-to-expiry", "8", "--strikes", "1")
    monkeypatch.setenv("TRADING_ASSETS_SELECTION", '{"max_days_to_expiry": 8, "strikes_around_spot": 1}')
    assert planned() == by_the_command < everything
    assert by_the_command < planned("--strikes", "4") < everything


def test_the_settings_of_a_child_hold_the_whole_selection(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Settings(selection={"strikes_around_spot": None, "max_moneyness": 1.5})
    monkeypatch.setenv("TRADING_ASSETS_SELECTION", given.environment()["TRADING_ASSETS_SELECTION"])
    assert Settings().selection == given.selection

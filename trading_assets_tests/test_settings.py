"""Settings: where they come from, which source wins, what is said of a wrong value."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from trading_assets.settings import BrokerKind, Settings, unknown_variables, wrong_value


@pytest.fixture(autouse=True)
def empty_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No variable of ours, no settings file."""
    for name in [name for name in os.environ if name.upper().startswith("TRADING_ASSETS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_anything_set_a_simulated_broker_fills_a_folder_of_its_own(empty_desk: Path) -> None:
    settings = Settings()
    assert settings.broker is BrokerKind.SIMULATED
    assert settings.data_dir == empty_desk / "data" / "simulated"
    assert settings.state_url == f"sqlite:///{empty_desk}/data/simulated/state.db"
    assert Settings(broker=BrokerKind.TWS).data_dir == empty_desk / "data"
    assert settings.contract_verify_days == 7


def test_the_endpoint_is_the_one_that_was_set_else_that_of_a_tws_with_a_paper_account(empty_desk: Path) -> None:
    assert Settings().endpoint is None
    assert Settings(ib_host="desk", ib_port=4002).endpoint == ("desk", 4002)
    assert Settings(broker=BrokerKind.TWS).endpoint == ("127.0.0.1", 7497)
    assert Settings(broker=BrokerKind.TWS, ib_host="desk", ib_port=4001).endpoint == ("desk", 4001)


def test_the_clock_runs_unless_it_is_pinned() -> None:
    before = datetime.now(UTC)
    assert before <= Settings().clock() <= datetime.now(UTC)
    pinned = Settings(now="2015-12-24T13:30-05:00")
    assert pinned.clock() == datetime(2015, 12, 24, 18, 30, tzinfo=UTC)
    assert pinned.clock().tzinfo is UTC


def test_arguments_win_over_the_environment_and_that_over_the_file(
    empty_desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_desk / "trading_assets.toml").write_text(
        'data_dir = "/file"\nib_port = 1\nib_host = "file"\nequity_bar_sizes = ["1 hour"]\n'
    )
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", "/environment")
    monkeypatch.setenv("TRADING_ASSETS_IB_PORT", "2")
    settings = Settings(ib_port=3)
    assert (settings.ib_port, settings.data_dir, settings.ib_host) == (3, Path("/environment"), "file")
    assert settings.equity_bar_sizes == ("1 hour",)
    assert Settings(data_dir="/argument").data_dir == Path("/argument")
    monkeypatch.delenv("TRADING_ASSETS_DATA_DIR")
    assert Settings().data_dir == Path("/file")


def test_the_file_may_be_named(empty_desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_desk / "mine.toml").write_text('broker = "tws"\nib_port = 4002\n')
    monkeypatch.setenv("TRADING_ASSETS_CONFIG", "mine.toml")
    assert (Settings().broker, Settings().ib_port) == (BrokerKind.TWS, 4002)
    monkeypatch.setenv("TRADING_ASSETS_CONFIG", "yours.toml")
    with pytest.raises(ValueError, match=r"^TRADING_ASSETS_CONFIG names yours.toml, and there is no such file\.$"):
        Settings()


def test_a_broken_file_is_named(empty_desk: Path) -> None:
    (empty_desk / "trading_assets.toml").write_text("ib_port 7497\n")
    with pytest.raises(ValueError, match=r"^trading_assets\.toml is no valid TOML: Expected '=' after a key"):
        Settings()


def test_variables_of_other_programs_are_no_settings(empty_desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA_DIR", "data_dir", "BROKER", "IB_PORT", "NOW"):
        monkeypatch.setenv(name, "9")
    assert Settings() == Settings(_env_prefix="NOTHING_")
    assert Settings().data_dir == empty_desk / "data" / "simulated"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "ib_port",
            "abc",
            (
                "The setting ib_port is wrong ('abc'): input should be a valid integer, unable to parse string as an"
                " integer."
            ),
        ),
        ("broker", "other", "The setting broker is wrong ('other'): input should be 'simulated' or 'tws'."),
        ("now", "2015-12-24T13:30", "TRADING_ASSETS_NOW needs a time zone, for example 2015-12-24T13:30-05:00."),
        ("history_timeout", "0", "The setting history_timeout is wrong ('0'): input should be greater than 0."),
        (
            "market_data",
            "later",
            "The setting market_data is wrong ('later'): string should match pattern '^(live|delayed)$'.",
        ),
        (
            "ib_client_ids",
            "[79, 50]",
            "TRADING_ASSETS_IB_CLIENT_IDS is the first and the last id to lease, for example [50, 79], not [79, 50].",
        ),
    ],
)
def test_a_wrong_value_is_told_in_one_sentence(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"TRADING_ASSETS_{name.upper()}", value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert wrong_value(caught.value) == sentence


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("IB_CLIENT_IDS", "50-79", "TRADING_ASSETS_IB_CLIENT_IDS is a list, written as JSON, for example [50, 79]."),
        (
            "EQUITY_BAR_SIZES",
            "1 day",
            'TRADING_ASSETS_EQUITY_BAR_SIZES is a list, written as JSON, for example ["1 day"].',
        ),
        (
            "GATEWAYS",
            "east:4001",
            (
                'TRADING_ASSETS_GATEWAYS is a list, written as JSON, for example [{"name": "east", "port": 4001},'
                ' {"name": "west", "host": "10.0.0.7", "port": 4001}].'
            ),
        ),
    ],
)
def test_a_list_that_is_no_json_is_told_in_one_sentence(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"TRADING_ASSETS_{name}", value)
    with pytest.raises(ValueError) as caught:
        Settings()
    assert str(caught.value) == sentence


def test_gateways_are_tables_of_the_file_or_json_of_the_environment(
    empty_desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_desk / "trading_assets.toml").write_text(
        'market_data_lines = 90\n[[gateways]]\nname = "east"\nport = 4001\n'
        '[[gateways]]\nname = "west"\nhost = "desk"\nport = 4002\nmarket_data_lines = 190\n'
    )
    settings = Settings()
    assert (settings.endpoint, settings.gateway_name) == (("127.0.0.1", 4001), "east")
    east, west = settings.each_gateway()
    assert (east.endpoint, east.gateway_name, east.market_data_lines) == (("127.0.0.1", 4001), "east", 90)
    assert (west.endpoint, west.gateway_name, west.market_data_lines) == (("desk", 4002), "west", 190)
    assert west.each_gateway() == (west,)
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    (empty_desk / "trading_assets.toml").unlink()
    assert Settings().gateways == settings.gateways
    monkeypatch.setenv("TRADING_ASSETS_GATEWAYS", "[]")
    alone = Settings()
    assert (alone.endpoint, alone.gateway_name, alone.each_gateway()) == (None, None, (alone,))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"name": "EAST", "port": 4002}, "has two gateways of the name east"),
        ({"name": "west", "port": 4001}, "has two gateways of the address 127.0.0.1:4001"),
        ({"name": "west:1", "port": 4002}, "string should match pattern"),
        (
            {"name": "west", "port": 4002, "lines": 3},
            "setting gateways.1.lines is wrong: there is no such",
        ),
    ],
)
def test_gateways_that_cannot_be_told_apart_are_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(gateways=[{"name": "east", "port": 4001}, given])
    assert sentence in wrong_value(caught.value)


def test_gateways_take_the_place_of_the_port() -> None:
    with pytest.raises(ValidationError, match="GATEWAYS and TRADING_ASSETS_IB_PORT are both set"):
        Settings(ib_port=4001, gateways=[{"name": "east", "port": 4001}])


def test_an_unknown_setting_is_refused(empty_desk: Path) -> None:
    (empty_desk / "trading_assets.toml").write_text("ib_prot = 7497\n")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert wrong_value(caught.value) == "The setting ib_prot is wrong: there is no such setting."


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"broker": "tws", "ib_port": 7497, "data_dir": "lake", "ib_client_ids": (3, 9), "enforce_pacing": False},
        {
            "now": "2015-12-24T13:30-05:00",
            "market": "recorded",
            "market_seed": 7,
            "equity_bar_sizes": ("1 day", "1 hour"),
            "relist_days": 3,
        },
    ],
)
def test_a_child_in_another_folder_has_the_same_settings(
    changes: dict[str, object],
    empty_desk: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (empty_desk / "trading_assets.toml").write_text("max_attempts = 2\n")
    given = Settings(**changes)
    absolute = {"data_dir": given.data_dir, "recorded_market": given.recorded_market.absolute()}
    if given.market != "generated":
        absolute["market"] = empty_desk / "recorded"
    environment = given.environment()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    child = Settings()
    expected = {
        **given.model_dump(),
        **{("data_dir_setting" if name == "data_dir" else name): path for name, path in absolute.items()},
    }
    assert {name: str(value) for name, value in child.model_dump().items()} == {
        name: str(value) for name, value in expected.items()
    }
    assert child.environment() == environment


def test_a_child_finds_the_named_file(empty_desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_desk / "mine.toml").write_text("relist_days = 5\n")
    (empty_desk / "elsewhere").mkdir()
    monkeypatch.setenv("TRADING_ASSETS_CONFIG", "mine.toml")
    ask = "from trading_assets.settings import Settings; import sys; sys.stdout.write(str(Settings().relist_days))"
    done = subprocess.run(
        [sys.executable, "-c", ask],
        env={**os.environ, **Settings().environment()},
        cwd=empty_desk / "elsewhere",
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout == "5"


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("variable", "toml"),
    [
        ("DATABASE_URL=hunter2", 'database_url = "hunter2"'),
        (
            "DATABASE_URL=postgresql://desk:pass@hunter2@host/archive",
            'database_url = "postgresql://desk:pass@hunter2@host/archive"',
        ),
        (
            "DATABASE_URL=postgresql://desk:p@hunter2/s@host/archive",
            'database_url = "postgresql://desk:p@hunter2/s@host/archive"',
        ),
        (
            "DATABASE_URL=postgresql://desk:p@hunter2?s@host/archive",
            'database_url = "postgresql://desk:p@hunter2?s@host/archive"',
        ),
        (
            "DATABASE_URL=postgresql://desk:pass@host:hunter2/archive",
            'database_url = "postgresql://desk:pass@host:hunter2/archive"',
        ),
        ("DATABASE_URL=postgresql://desk:a hunter2@host name/archive", 'database_url = ["hunter2"]'),
        ("DATABASE_URL=hunter2://desk@host/archive", 'database_url = "postgresql+hunter2://desk@host/archive"'),
        ("ALERT_CHANNELS=slack://hunter2", 'alert_channels = "slack://hunter2"'),
        ('ALERT_CHANNELS={"desk": "slack://hunter2"', '[alert_channels]\ndesk = "slack://hunter2'),
        ('ALERT_CHANNELS={"desk": {"url": "slack://hunter2"}}', '[alert_channels.desk]\nurl = "slack://hunter2"'),
        ('ALERT_CHANNELS={"slack://hunter2": 5}', '[alert_channels]\n"slack://hunter2" = 5'),
        ('ALERT_CHANNELS=["slack://hunter2"]', 'alert_channels = ["slack://hunter2"]'),
        ("ALERT_CHANNELS=5", '[alert_chanels]\ndesk = "slack://hunter2"'),
        ("ALERT_CHANNELS=hunter2", 'alert_chanels = "slack://hunter2"'),
    ],
)
@pytest.mark.parametrize("source", ["variable", "toml"])
def test_a_malformed_secret_is_never_shown(
    variable: str, toml: str, source: str, empty_desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if source == "variable":
        name, _, value = variable.partition("=")
        monkeypatch.setenv(f"TRADING_ASSETS_{name}", value)
    else:
        (empty_desk / "trading_assets.toml").write_text(toml)
    with pytest.raises(ValueError) as caught:
        Settings()
    sentence = wrong_value(caught.value) if isinstance(caught.value, ValidationError) else str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence
    told = [sentence, "".join(traceback.format_exception(caught.value)), repr(caught.value)]
    assert not [text for text in told if SECRET in text]


def test_secrets_are_used_and_not_shown() -> None:
    given = Settings(
        database_url=f"postgresql+psycopg2://desk:{SECRET}%40@[::1]:5432/archive",
        alert_channels={"desk": f"slack://{SECRET}"},
    )
    assert SECRET in given.state_url
    assert SECRET not in repr(given) + str(given)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "TRADING_ASSETS_DATA_DIRECTORY",
            "TRADING_ASSETS_DATA_DIRECTORY is no setting and is ignored: did you mean TRADING_ASSETS_DATA_DIR?",
        ),
        (
            "TRADING_ASSETS_ALERT_CHANELS",
            "TRADING_ASSETS_ALERT_CHANELS is no setting and is ignored: did you mean TRADING_ASSETS_ALERT_CHANNELS?",
        ),
        (
            "trading_assets_ib_prot",
            "trading_assets_ib_prot is no setting and is ignored: did you mean TRADING_ASSETS_IB_PORT?",
        ),
        (
            "TRADING_ASSETS_DATA_DIR_SETTING",
            "TRADING_ASSETS_DATA_DIR_SETTING is no setting and is ignored: did you mean TRADING_ASSETS_DATA_DIR?",
        ),
        (
            "TRADING_ASSETS_COLOUR",
            (
                "TRADING_ASSETS_COLOUR is no setting and is ignored: docs/settings.md and trading_assets/settings.py"
                " name all there are."
            ),
        ),
    ],
)
def test_a_variable_that_is_no_setting_is_named_without_its_value(
    name: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for known in (
        *Settings(ib_port=7497, database_url="sqlite:///x.db").environment(),
        "TRADING_ASSETS_TRACEBACK",
        "TRADING_ASSETS_CONFIG",
    ):
        monkeypatch.setenv(known, "1")
    monkeypatch.setenv("trading_assets_ib_host", "1")
    assert unknown_variables() == []
    monkeypatch.setenv(name, SECRET)
    assert unknown_variables() == [sentence]


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().ib_port = 7496  # type: ignore[misc]


def test_every_setting_is_described() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql+mysqldb://desk@host/archive", "names a database of another kind"),
        ("postgresql+asyncpg://desk@host/archive", "a driver that is not installed"),
        ("postgresql+nosuch://host/archive", "a driver that is not installed"),
        ("sqlite+aiosqlite:///state.db", "a driver that is not installed"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_with_what_can(url: str, reason: str) -> None:
    with pytest.raises(ValidationError) as failed:
        Settings(database_url=url)  # type: ignore[call-arg]
    sentence = wrong_value(failed.value)
    assert reason in sentence
    assert "postgresql+psycopg2://" in sentence and "pip install 'trading-assets[postgres]'" in sentence


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg2://host/archive", "postgresql+psycopg2://host:5432/archive", "sqlite:///state.db"]
)
def test_a_database_without_a_user_is_a_database(url: str) -> None:
    assert Settings(database_url=url).state_url == url  # type: ignore[call-arg]

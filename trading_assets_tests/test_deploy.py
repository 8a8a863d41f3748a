"""The files in `deploy/` agree with the platform: names of settings and commands, loopback only, no secret in them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from trading_assets.cli.app import app
from trading_assets.cli.root import GROUPS
from trading_assets.setting_names import unknown_variables
from trading_assets.settings import DATA_DIR, Settings
from trading_assets_tests.conftest import REPOSITORY
from trading_assets_tests.leaving_out import leave_out

DEPLOY = REPOSITORY / "deploy"
FILES = [path for path in sorted(DEPLOY.rglob("*")) if path.is_file()]
UNITS = sorted((DEPLOY / "systemd").iterdir())


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_settings_are_settings(path: Path) -> None:
    named = re.findall(r"TRADING_ASSETS_\w+", path.read_text("utf-8"))
    assert unknown_variables(named, [DATA_DIR, *(f"TRADING_ASSETS_{name}" for name in Settings.model_fields)]) == []


def test_what_compose_names_is_there(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"gateway", "database", "platform"}
    assert {service["restart"] for service in services.values()} == {"unless-stopped"}
    assert set(services["platform"]["depends_on"]) <= set(services)
    used = {volume.partition(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    assert used == set(compose["volumes"])
    assert (REPOSITORY / services["platform"]["build"]["dockerfile"]).is_file()


def test_only_this_machine_reaches_the_ui_and_nobody_the_gateway(compose: dict[str, Any]) -> None:
    ports = {name: service.get("ports", []) for name, service in compose["services"].items()}
    assert ports == {"gateway": [], "database": [], "platform": ["127.0.0.1:3000:3000"]}


def test_every_variable_of_compose_is_in_its_example() -> None:
    used = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text("utf-8")))
    example = (DEPLOY / ".env.example").read_text("utf-8")
    assert used == set(re.findall(r"^(\w+)=", example, re.MULTILINE))
    assert re.findall(r"^\w*(?:PASSWORD|USER)\w*=(.+)$", example, re.MULTILINE) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_commands_are_commands(path: Path) -> None:
    text = path.read_text("utf-8")
    known = {name for names in GROUPS.values() for name in names}
    assert set(re.findall(r"bin/trading-assets (\S+)", text)) <= known
    for arguments in re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE):
        options = set(re.findall(r'"(--[\w-]+)"', arguments))
        up = next(entry for entry in app.registered_commands if entry.callback.__name__ == "up")
        assert {option[2:].replace("-", "_") for option in options} <= set(up.callback.__annotations__)


def test_the_units_are_what_systemd_reads(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        leave_out("systemd-analyze is not installed")
    for unit in UNITS:
        text = unit.read_text("utf-8").replace("/opt/trading-assets/bin/trading-assets", "/bin/true")
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / unit.name) for unit in UNITS)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")

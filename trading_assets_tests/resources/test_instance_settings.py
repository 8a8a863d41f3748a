"""`dagster.yaml` of a data folder: ours is brought up to date, what somebody else wrote is never overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from trading_assets.doctor.history import find_history_faults
from trading_assets.errors import ForbiddenFile, UnreadableFile
from trading_assets.resources.instance import LakeInstance, dagster_instance, dagster_yaml
from trading_assets.resources.instance_settings import instance_settings, is_own, kept_differences
from trading_assets.settings import Settings

EARLIER = Path(__file__).parent / "earlier"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "lake" / "dagster").mkdir(parents=True)
    return tmp_path / "lake" / "dagster"


def earlier(name: str, home: Path) -> str:
    """The file as that version wrote it into the folder of a history."""
    text = (EARLIER / name).read_text("utf-8").replace("data/dagster", str(home))
    return text.replace("config: {}", "config: " + json.dumps({"base_dir": str(home)}))


def test_a_missing_file_is_written(home: Path) -> None:
    assert instance_settings(home)["storage"]["custom"]["config"] == {"base_dir": str(home)}
    assert (home / "dagster.yaml").read_text("utf-8") == dagster_yaml(home)
    assert kept_differences(home) == []


@pytest.mark.parametrize("name", ["dagster_first.yaml", "dagster_without_checksum.yaml"])
@pytest.mark.parametrize("moved", [False, True])
def test_the_file_of_an_earlier_version_is_written_anew(home: Path, name: str, moved: bool) -> None:
    """Also where the data folder has moved since."""
    (home / "dagster.yaml").write_text(earlier(name, Path("/elsewhere/dagster") if moved else home), "utf-8")
    assert instance_settings(home)["storage"]["custom"]["class"] == "LakeStorage"
    assert (home / "dagster.yaml").read_text("utf-8") == dagster_yaml(home)


@pytest.mark.parametrize("name", ["dagster_first.yaml", "dagster_without_checksum.yaml", None])
def test_an_edited_file_is_kept_and_used(home: Path, name: str | None) -> None:
    """Here for a folder of before that was moved: what is ours in it takes the present one."""
    before = Path("/elsewhere/dagster")
    text = (earlier(name, before) if name else dagster_yaml(before)).replace("max_retries: 0", "max_retries: 7")
    text = text.replace("telemetry:\n  enabled: false", "")
    if name == "dagster_first.yaml":
        text = text.replace("max_concurrent_runs: 10", "max_concurrent_runs: 3") + "\nrun_retries:\n  max_retries: 7\n"
    (home / "dagster.yaml").write_text(text, "utf-8")
    assert not is_own(text)
    found = instance_settings(home)
    kept = (home / "dagster.yaml").read_text("utf-8")
    same = zip(text.splitlines(), kept.splitlines(), strict=True)
    changed = [line for before_it, line in same if before_it != line]
    assert changed and all(str(home) in line for line in changed) and "/elsewhere" not in kept
    assert instance_settings(home) == found and (home / "dagster.yaml").read_text("utf-8") == kept
    assert found["run_retries"]["max_retries"] == 7
    assert found["telemetry"] == {"enabled": False}, "what the file does not say"
    if name != "dagster_first.yaml":
        assert found["storage"]["custom"]["config"] == {"base_dir": str(home)}
        assert kept_differences(home) == []


def test_another_place_of_the_logs_is_somebodys_choice(home: Path) -> None:
    edited = earlier("dagster_without_checksum.yaml", home).splitlines()
    (last,) = [number for number, line in enumerate(edited) if "LakeComputeLogManager" in line]
    edited[last + 1] = '  config: {"base_dir": "/var/log/runs"}'
    (home / "dagster.yaml").write_text("\n".join(edited), "utf-8")
    found = instance_settings(home)
    assert found["compute_logs"]["config"] == {"base_dir": "/var/log/runs"}
    assert found["storage"]["custom"]["class"] == "LakeStorage"
    assert (home / "dagster.yaml").read_text("utf-8") == "\n".join(edited)


def test_another_folder_for_all_of_it_is_somebodys_choice(home: Path) -> None:
    text = dagster_yaml(home).replace(f'"base_dir": "{home}"', '"base_dir": "/fast/dagster"')
    (home / "dagster.yaml").write_text(text, "utf-8")
    assert instance_settings(home)["storage"]["custom"]["config"] == {"base_dir": "/fast/dagster"}
    assert (home / "dagster.yaml").read_text("utf-8") == text
    (said,) = kept_differences(home)
    assert "keeps the history in another folder" in said


def test_a_foreign_file_is_kept_and_what_it_changes_is_said(home: Path) -> None:
    text = (
        "storage:\n  sqlite:\n    base_dir: /elsewhere\n"
        "run_launcher:\n  module: dagster\n  class: DefaultRunLauncher\n"
        "run_monitoring:\n  enabled: false\n"
    )
    (home / "dagster.yaml").write_text(text, "utf-8")
    found = instance_settings(home)
    assert found["storage"] == {"sqlite": {"base_dir": "/elsewhere"}}
    assert found["concurrency"]["pools"]["default_limit"] == 2
    assert [said.partition("is kept: ")[2].split(",")[0] for said in kept_differences(home)] == [
        "it names a storage of its own",
        "it names a run launcher of its own",
        "it switches run monitoring off",
    ]
    assert (home / "dagster.yaml").read_text("utf-8") == text


def test_dagsters_older_names_of_storages_are_taken_as_they_are(home: Path) -> None:
    (home / "dagster.yaml").write_text("run_storage:\n  module: m\n  class: C\n", "utf-8")
    assert "storage" not in instance_settings(home)


def test_a_part_that_says_less_than_ours_is_completed(home: Path) -> None:
    (home / "dagster.yaml").write_text("concurrency:\n  pools:\n    default_limit: 5\n", "utf-8")
    found = instance_settings(home)["concurrency"]
    assert found["pools"] == {"granularity": "op", "default_limit": 5}
    assert found["runs"]["tag_concurrency_limits"]
    (said,) = kept_differences(home)
    assert "it does not say storage and run_launcher" in said, "Dagster's own commands read the file alone"


def test_dagsters_own_commands_find_the_same_instance(home: Path) -> None:
    instance_settings(home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert type(instance) is LakeInstance
        assert instance.get_concurrency_config().pool_config.default_pool_limit == 2


def test_the_older_limit_of_pools_is_used(home: Path) -> None:
    """Dagster refuses it beside ours."""
    (home / "dagster.yaml").write_text("concurrency:\n  default_op_concurrency_limit: 3\n", "utf-8")
    with dagster_instance(Settings(data_dir=home.parent)) as instance:
        found = instance.get_concurrency_config()
        assert found.pool_config.default_pool_limit == 3
        assert found.run_queue_config.tag_concurrency_limits, "what the file does not say"
    (said,) = kept_differences(home)
    assert "it does not say" in said


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("storage: sqlite", "storage"),
        ("run_monitoring: true", "run_monitoring"),
        ("concurrency:\n  pools: 5", "concurrency: pools"),
        ("compute_logs:\n  module: trading_assets.m\n  class: C\n  config: /logs", "compute_logs: config"),
    ],
)
def test_a_value_in_place_of_names_is_named(home: Path, text: str, part: str) -> None:
    settings = Settings(data_dir=home.parent)
    (home / "dagster.yaml").write_text(text, "utf-8")
    (unusable, _lost) = find_history_faults(settings, compare=False)
    assert unusable.kind == "unusable_dagster_settings" and f"({part} is no mapping of names)" in unusable.remedy
    with pytest.raises(UnreadableFile, match=f"{part} is no mapping of names"):
        dagster_instance(settings)


def test_limits_of_runs_in_dagsters_older_way_are_used(home: Path) -> None:
    """Dagster refuses them beside ours."""
    (home / "dagster.yaml").write_text("run_queue:\n  max_concurrent_runs: 3\n", "utf-8")
    with dagster_instance(Settings(data_dir=home.parent)) as instance:
        assert instance.get_concurrency_config().run_queue_config.max_concurrent_runs == 3
    said, left_out = kept_differences(home)
    assert "any number of steps may talk to the broker" in said and "it does not say storage" in left_out


def test_an_empty_file_says_nothing(home: Path) -> None:
    (home / "dagster.yaml").write_text("", "utf-8")
    assert instance_settings(home)["run_monitoring"]["enabled"]
    assert (home / "dagster.yaml").read_text("utf-8") == ""


@pytest.mark.parametrize("content", [b"storage: [", b"- a\n- b\n", b"\xff\xfe\x00", b"no_such_setting: 1\n"])
def test_an_unreadable_file_is_kept_and_named(home: Path, content: bytes) -> None:
    (home / "dagster.yaml").write_bytes(content)
    with pytest.raises(
        UnreadableFile, match=r"dagster\.yaml cannot be used as Dagster's settings \(.+\)\. It is not over"
    ):
        dagster_instance(Settings(data_dir=home.parent))
    assert (home / "dagster.yaml").read_bytes() == content


def test_a_forbidden_file_is_kept_and_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: true\n", "utf-8")

    def forbidden(self: Path, *_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", forbidden)  # root may read everything
    with pytest.raises(ForbiddenFile):
        kept_differences(home)


def test_the_doctor_says_what_is_out_of_use(home: Path) -> None:
    settings = Settings(data_dir=home.parent)
    (home / "dagster.yaml").write_text("run_monitoring:\n  enabled: false\n", "utf-8")
    (edited, left_out, _lost) = find_history_faults(settings, compare=False)
    assert edited.kind == left_out.kind == "edited_dagster_settings"
    assert "switches run monitoring off" in edited.lost and "read the file alone" in left_out.lost
    (home / "dagster.yaml").write_text("- nothing", "utf-8")
    (unusable, _lost) = find_history_faults(settings, compare=False)
    assert unusable.kind == "unusable_dagster_settings" and "It is not overwritten" in unusable.remedy

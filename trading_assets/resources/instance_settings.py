"""`dagster.yaml` of a data folder: written by the platform, and never over what somebody else has written.

| the file | what becomes of it |
| --- | --- |
| is missing, or as this or an earlier version of the platform wrote it | it is written anew where that is due |
| was edited, or was there before | it is kept and used; what it does not say is as the platform has it |
| is no YAML mapping, or may not be read | it is kept, and nothing is opened: an error says so |

One thing is changed in an edited file: the paths that the platform wrote, when the data folder was moved or copied.
With the earlier ones Dagster's commands would write into the history of the other folder.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from trading_assets.errors import ForbiddenFile, UnreadableFile
from trading_assets.repositories.files import remove_leftovers, replacing

FILE = "dagster.yaml"
"""Dagster's name of the file, in the folder of the history."""

_NOT_GIVEN = "config: {}"
"""What the packaged `dagster.yaml` says of a class whose folder is that of the settings."""

_HEAD = (
    "# Written by trading_assets for %s. An edited file is kept as it is and used; delete it to have it written anew."
)

_WRITTEN = re.compile(
    r"# Written by trading[-_]assets(?: for (\".*\"))?\. .*\n# sha256 of what follows: ([0-9a-f]{64})\n((?s:.*))"
)
"""What `dagster_yaml` gives for a folder: the folder, the checksum, and what follows."""

_FOLDER = re.compile(r'(?m)(?<=base_dir)("?: )(.*?)(?=\}?$)')
"""The value of a `base_dir`, with what stands before it."""

_EARLIER = frozenset(
    {
        "dc924f518d794e7b1bf62b4e9ba76b36a4502aae9c7f0605fd6088bc298eda65",
        "0bbea0d19881306fcccdc12c92fcf547383c78d4ac76d9ff61a877e40f4f2c9e",
        "1b53566dfe52064700d98cd1ba3ee0a288487cd4c68d00de0510edd4d49723d6",
        "3b82d2358a6a129a722e83336cc8c18c40093e671926a9ad337ddc058f0cfeb9",
        "906c03223aeb3ac757dd63162310efbd83f0d202d0a797ec877bde797c1a03b7",
        "a2932f5d6f82a4cfecec9af61d1e04895bd59d93d929bb4f0c9dd6c19faf662c",
        "1408832f58455b2b9f50f4d24241029608ea078f825eb3f3082c2a6b3d326832",
        "fa7348abb3bd14b22de594030e0b658229939cd8c6bd08973bcb31796a45b731",
    }
)
"""SHA-256 of the files that earlier versions wrote, without their folders: they had no checksum in them."""

_BELOW = "/compute_logs"
"""What a `base_dir` names below the folder of the history."""

_EXCLUDING = {
    "storage": {"run_storage", "event_log_storage", "schedule_storage"},
    "concurrency": {"run_queue", "run_coordinator"},
}
"""What Dagster takes together with none of the others, older ways to say the same."""

_OLDER_LIMIT = "default_op_concurrency_limit"
"""Below `concurrency`, the older way to say the limit of pools: Dagster takes it together with no `pools`."""

_NAMED = ("storage", "local_artifact_storage", "compute_logs", "concurrency", "run_launcher", "run_monitoring")
"""Parts whose names are looked at."""

_NEEDED = ("storage", "run_launcher")
"""Parts without which Dagster's own commands, which read the file alone, work on another history or in another way."""


def dagster_yaml(base_dir: Path | None = None) -> str:
    """The packaged text of `dagster.yaml`, which is that at the top of the project; with a folder, what the platform
    writes there: the text with that folder for storage and logs, its path quoted for YAML, and a checksum."""
    text = files("trading_assets.resources").joinpath(FILE).read_text("utf-8")
    if base_dir is None:
        return text
    # A JSON text is a YAML text; of characters beyond 16 bits YAML takes the escapes of JSON for two characters.
    given = json.dumps({"base_dir": str(base_dir)}, ensure_ascii=False)
    text = text.replace(_NOT_GIVEN, f"config: {given}")
    return f"{_HEAD % json.dumps(str(base_dir), ensure_ascii=False)}\n# sha256 of what follows: {_digest(text)}\n{text}"


def instance_settings(home: Path) -> Mapping[str, Any]:
    """The settings of the instance whose history is in a folder; its file is written where that is due.

    Raises `UnreadableFile` for a file of somebody else that cannot be used.
    """
    file, text = home / FILE, dagster_yaml(home)
    remove_leftovers(file)
    ours, found = _mapping(file, text), _read(file)
    own = found is None or is_own(found)
    wanted = text if found is None or own else _relocated(found, home)
    if found != wanted:
        with replacing(file) as beside:
            beside.write_text(wanted, "utf-8")
    return ours if own else _merged(home, ours, _mapping(file, wanted))


def is_own(text: str) -> bool:
    """Whether the platform wrote a file as it stands, in this version or an earlier one, for whatever folder."""
    if (head := _WRITTEN.fullmatch(text)) is not None:
        return _digest(head[3]) == head[2]
    return len(_homes(text)) == 1 and _digest(_FOLDER.sub(": ", text)) in _EARLIER


def _homes(text: str) -> set[str]:
    """The folders of histories that the values of `base_dir` name."""
    return {_home(found[2]) for found in _FOLDER.finditer(text)}


def _home(value: str) -> str:
    try:
        return str(yaml.safe_load(value)).removesuffix(_BELOW)
    except yaml.YAMLError:
        return value


def _relocated(text: str, home: Path) -> str:
    """An edited text with the paths of a data folder that was moved or copied corrected. Other paths were chosen by
    somebody."""
    head, homes = _WRITTEN.match(text), _homes(text)
    written_for = head[1] if head is not None else None
    before = json.loads(written_for) if written_for else homes.pop() if len(homes) == 1 else ""
    if before not in _homes(text) or Path(before).name != home.name or before == str(home):
        return text
    if written_for:
        text = text.replace(written_for, json.dumps(str(home), ensure_ascii=False), 1)

    def present(found: re.Match[str]) -> str:
        if _home(found[2]) != before:
            return found[0]
        below = _BELOW if str(yaml.safe_load(found[2])).endswith(_BELOW) else ""
        return found[1] + json.dumps(f"{home}{below}", ensure_ascii=False)

    return _FOLDER.sub(present, text)


def kept_differences(home: Path) -> list[str]:
    """A sentence for each part of the platform that an edited `dagster.yaml` takes out of use; nothing is written.
    Raises as `instance_settings`."""
    file = home / FILE
    found = _read(file)
    if found is None or is_own(found):
        return []
    theirs = _mapping(file, _relocated(found, home))
    chosen = _merged(home, _mapping(file, dagster_yaml(home)), theirs)
    said = [*_differences(chosen, home), *_left_out(theirs)]
    return [f"{file} was edited and is kept: {sentence}" for sentence in said]


def _left_out(theirs: Mapping[str, Any]) -> Iterator[str]:
    lacking = [name for name in _NEEDED if not theirs.keys() & {name, *_EXCLUDING.get(name, ())}]
    if lacking:
        yield (
            f"it does not say {' and '.join(lacking)}. The platform adds these; commands of Dagster itself (dagster"
            " dev, dagster instance migrate) read the file alone and take Dagster's own ones, for the storage another"
            " history: edit the whole file that the platform writes."
        )


def _differences(chosen: Mapping[str, Any], home: Path) -> Iterator[str]:
    if not _is_ours((chosen.get("storage") or {}).get("custom")):
        yield (
            "it names a storage of its own, so TRADING_ASSETS_DAGSTER_DATABASE_URL has no effect, and the history is"
            " cleaned up by the means of that storage."
        )
    elif not _is_in(chosen["storage"]["custom"], home):
        yield "it keeps the history in another folder, where status, doctor, lineage and backup do not look for it."
    if not _is_ours(chosen.get("run_launcher")):
        yield "it names a run launcher of its own, so two daemons may start one run twice."
    if not (chosen.get("run_monitoring") or {}).get("enabled"):
        yield "it switches run monitoring off, so a run whose process died keeps its place in the pool."
    limits = chosen.get("concurrency") or {}
    if not ((limits.get("pools") or {}).get("default_limit") or limits.get(_OLDER_LIMIT)):
        yield (
            "it limits runs in the way of older versions of Dagster, so any number of steps may talk to the broker at"
            " once: move the limits to concurrency."
        )
    if not _is_ours(chosen.get("compute_logs")):
        yield "it names a place of its own for what runs print: see that all machines can read it."


def _merged(home: Path, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Their settings, with ours where they say nothing. Our own classes are ours unless they were given another
    folder. Raises `UnreadableFile` where they have something else than names."""
    for name in _NAMED:
        _refuse_other(home / FILE, name, ours.get(name), theirs.get(name))
    own = {
        name for name in theirs if any(_is_ours(one) and _is_in(one, home) for one in _classes({name: theirs[name]}))
    }
    kept = {name: value for name, value in theirs.items() if name not in own}
    given = theirs.keys()
    out = {name for name, others in _EXCLUDING.items() if given & others}
    below = {name: value for name, value in ours.items() if name not in out}
    if (theirs.get("concurrency") or {}).get(_OLDER_LIMIT) is not None and "concurrency" in below:
        below["concurrency"] = {name: value for name, value in below["concurrency"].items() if name != "pools"}
    return {**below, **{name: _over(below.get(name), value) for name, value in kept.items()}}


def _refuse_other(file: Path, name: str, ours: Any, theirs: Any) -> None:
    """Refuse another value where ours has names."""
    if not isinstance(ours, dict) or theirs is None:
        return
    if not isinstance(theirs, dict):
        raise unusable(file, f"{name} is no mapping of names")
    for below, value in theirs.items():
        _refuse_other(file, f"{name}: {below}", ours.get(below), value)


def _over(ours: Any, theirs: Any) -> Any:
    """Their value, with ours where it says nothing. Which class is used, and how, is said by one of both alone."""
    if not (isinstance(ours, dict) and isinstance(theirs, dict)) or {"class", "custom"} & (ours.keys() | theirs.keys()):
        return theirs
    return {**ours, **{name: _over(ours.get(name), value) for name, value in theirs.items()}}


def _classes(settings: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in ("storage", "local_artifact_storage", "compute_logs"):
        value = settings.get(name)
        one = value.get("custom") if name == "storage" and isinstance(value, dict) else value
        if isinstance(one, dict):
            yield one


def _is_in(one: Mapping[str, Any], home: Path) -> bool:
    return str((one.get("config") or {}).get("base_dir", home)).removesuffix(_BELOW) == str(home)


def _is_ours(one: Any) -> bool:
    return isinstance(one, dict) and str(one.get("module", "")).startswith("trading_assets.")


def _read(file: Path) -> str | None:
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise ForbiddenFile(file) from error
    except (UnicodeDecodeError, OSError) as error:
        raise unusable(file, str(error)) from error


def _mapping(file: Path, text: str) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise unusable(file, " ".join(str(error).split())) from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise unusable(file, "it is no mapping of names")
    return found


def unusable(file: Path, why: str) -> UnreadableFile:
    """The error for a file of somebody else that Dagster cannot be opened with."""
    said = (
        f"{file} cannot be used as Dagster's settings ({why}). It is not overwritten: correct it, or delete it to have"
    )
    return UnreadableFile(file, why, f"{said} it written anew.")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

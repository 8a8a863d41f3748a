"""What Dagster tells of the data folder: runs in the queue, and each schedule's and sensor's last tick. For `status`; it only reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from trading_assets.settings import Settings, system_clock

if TYPE_CHECKING:
    import dagster as dg

REASON_LENGTH = 160
"""Characters of a skip reason or error that are shown."""

TICKING_DAEMONS = ("SCHEDULER", "SENSOR")
"""Dagster's names of the daemons that evaluate schedules and sensors."""

DAEMON_SILENCE = timedelta(minutes=5)
"""Wall-clock time without a heartbeat after which a daemon counts as gone: it beats every 30 s, and one evaluation may take a minute."""


@dataclass
class Running:
    """`queue`: runs queued and running. `schedules`: one record each, sensors among them, switched `on` or `off`. `daemon`: its last sign
    of life (UTC; None: none ever, which is not wrong: an archive may be driven by hand). `wrong`: sentences about all of them.
    """

    queue: dict[str, int]
    schedules: list[dict[str, Any]]
    daemon: datetime | None = None
    wrong: list[str] = field(default_factory=list)


def running(settings: Settings) -> Running:
    """The state of the instance under the data folder, which must exist."""
    import dagster as dg

    with dg.DagsterInstance.from_config(str(settings.data_dir / "dagster")) as instance:
        schedules, beat = _schedules(instance, settings), _last_beat(instance)
        return Running(_queue(instance), schedules, beat, [*_silent_daemon(beat, schedules), *_wrong(schedules)])


def _queue(instance: dg.DagsterInstance) -> dict[str, int]:
    import dagster as dg

    queued = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED]
    working = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    return {
        "queued": instance.get_runs_count(dg.RunsFilter(statuses=queued)),
        "running": instance.get_runs_count(dg.RunsFilter(statuses=working)),
    }


def _schedules(instance: dg.DagsterInstance, settings: Settings) -> list[dict[str, Any]]:
    """Schedules and sensors of the platform: switched on or off, the last tick with its result, and when the next is due."""
    import dagster as dg

    from trading_assets.definitions import defs
    from trading_assets.monitoring.hours import next_due
    from trading_assets.sessions import calendar

    repository = defs.get_repository_def()
    due = next_due(settings, calendar(), settings.clock())
    states = {state.instigator_name: state for state in instance.all_instigator_state()}
    found = []
    automations: list[tuple[str, Sequence[Any]]] = [("schedule", repository.schedule_defs), ("sensor", repository.sensor_defs)]
    for kind, definitions in automations:
        for definition in sorted(definitions, key=lambda one: one.name):
            state = states.get(definition.name)
            status = definition.default_status.value if state is None or state.status.value == "DECLARED_IN_CODE" else state.status.value
            switch = "on" if status == dg.DefaultScheduleStatus.RUNNING.value else "off"
            record = {"name": definition.name, "kind": kind, "status": switch, "next_due": due.get(definition.name)}
            found.append({**record, **_last_tick(instance, state)})
    return found


def _last_tick(instance: dg.DagsterInstance, state: Any) -> dict[str, Any]:
    ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1) if state is not None else []
    if not ticks:
        return {"last_tick": None, "result": None, "reason": None, "runs": []}
    tick = ticks[0]
    reason = tick.error.message if tick.error is not None else tick.skip_reason
    return {
        "last_tick": datetime.fromtimestamp(tick.timestamp, UTC),
        "result": tick.status.value.lower(),
        "reason": " ".join(reason.split())[:REASON_LENGTH] if reason else None,
        "runs": list(tick.run_ids),
    }


def _last_beat(instance: dg.DagsterInstance) -> datetime | None:
    beats = [beat.timestamp for kind, beat in instance.get_daemon_heartbeats().items() if kind in TICKING_DAEMONS]
    return datetime.fromtimestamp(max(beats), UTC) if beats else None


def _silent_daemon(last: datetime | None, schedules: list[dict[str, Any]]) -> list[str]:
    """A sentence when the daemon that once worked on this data folder works no more, though something is switched on that needs it."""
    if last is None or not any(row["status"] == "on" for row in schedules) or system_clock() - last <= DAEMON_SILENCE:
        return []
    return [
        f"The Dagster daemon is not running (last sign of life {last:%Y-%m-%d %H:%M} UTC): no schedule and no sensor does anything. "
        "Start it with trading-assets up."
    ]


def _wrong(schedules: list[dict[str, Any]]) -> list[str]:
    wrong = []
    for row in schedules:
        if row["result"] == "failure":
            wrong.append(f"The {row['kind']} {row['name']} failed at its last tick: {row['reason']} See it in the Dagster UI under Automation.")
        elif row["status"] == "off":
            wrong.append(f"The {row['kind']} {row['name']} is switched off: nothing happens by itself there. Switch it on in the Dagster UI.")
    return wrong

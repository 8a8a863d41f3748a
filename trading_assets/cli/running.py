"""What Dagster records about the data folder: runs in the queue, and each schedule's and sensor's last tick. For
`status`; it only reads.

Read from Dagster's SQLite files, or from its tables on a PostgreSQL server, and not through Dagster, which costs more
to import than all the rest of `status`. The tables and columns named here are Dagster's own; a test holds the answers
against those of its API.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trading_assets.errors import TradingAssetsError
from trading_assets.launcher_settings import LauncherKind
from trading_assets.monitoring.hours import SCHEDULES, SENSORS, next_due
from trading_assets.monitoring.wording import counted
from trading_assets.sessions import calendar
from trading_assets.settings import Settings, system_clock
from trading_assets.state.owners import WORKER, live_owners
from trading_assets.state.reading import read_state

if TYPE_CHECKING:
    from sqlalchemy import Connection

REASON_LENGTH = 160
"""Characters of a skip reason or error that are shown."""

TICKING_DAEMONS = ("SCHEDULER", "SENSOR")
"""Dagster's names of the daemons that evaluate schedules and sensors."""

DAEMON_SILENCE = timedelta(minutes=5)
"""Wall-clock time without a heartbeat after which a daemon counts as gone: it beats every 30 s, and one evaluation may
take a minute."""


BUSY_SECONDS = 5.0
"""How long a reader waits for a writer of Dagster's databases."""

RUN_STATES: Mapping[str, Sequence[str]] = {
    "queued": ("NOT_STARTED", "QUEUED"),
    "running": ("STARTING", "STARTED", "CANCELING"),
}
"""Dagster's run statuses by what `status` calls them."""

_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, OverflowError)
"""What a record that Dagster did not write leads to: text that is no JSON, or JSON without the parts that are looked
for."""


@dataclass
class Running:
    """`queue`: runs queued and running; empty when that is not known. `schedules`: one record each, sensors among them,
    switched `on` or `off`. `daemon`: its last sign of life (UTC; None: none ever, which is not wrong: an archive may be
    driven by hand). `wrong`: sentences about all of them.
    """

    queue: dict[str, int]
    schedules: list[dict[str, Any]]
    daemon: datetime | None = None
    wrong: list[str] = field(default_factory=list)


def running(settings: Settings) -> Running:
    """The state of the Dagster instance of the data folder; without runs and schedules where its history is not made
    yet."""
    home = settings.data_dir / "dagster"
    try:
        with _tables(settings, home) as opened:
            if opened is None:
                return Running(dict.fromkeys(RUN_STATES, 0), [])
            runs, ticks = opened
            queue, beat, schedules = _queue(runs), _last_beat(runs), _schedules(ticks, settings)
            handed_over = _handed_to_workers(runs)
    except TradingAssetsError as error:
        return Running({}, [], wrong=[str(error)])
    except (sqlite3.Error, *_DAMAGE) as error:
        what = error if isinstance(error, sqlite3.Error) else "a record in them is damaged"
        said = (
            f"Dagster's databases under {home} cannot be read ({what}): see that no other program holds them, then look"
            " again. If that does not help, stop trading-assets up and move that folder away: the history of runs"
            " begins anew, the lake is not touched."
        )
        return Running({}, [], wrong=[said])
    waiting = _runs_without_a_worker(handed_over, settings)
    return Running(queue, schedules, beat, [*_silent_daemon(beat, schedules), *waiting, *_wrong(schedules)])


Rows = Callable[..., Sequence[Sequence[Any]]]
"""What a statement answers; its parameters, for which it has question marks, follow."""


@contextmanager
def _tables(settings: Settings, home: Path) -> Iterator[tuple[Rows, Rows] | None]:
    """The tables of runs and of ticks; None where they are not made yet."""
    if settings.dagster_database_url is None:
        from trading_assets.resources.history_place import refuse_second

        refuse_second(home)
        with _files(home) as found:
            yield found
        return
    from trading_assets.resources.history_database import reading

    with reading(settings, settings.dagster_database_url) as server:
        yield (_rows_of_server(server), _rows_of_server(server)) if server is not None else None


@contextmanager
def _files(home: Path) -> Iterator[tuple[Rows, Rows] | None]:
    """The same in SQLite; None where a file is not there."""
    files = home / "history" / "runs.db", home / "schedules" / "schedules.db"
    if not all(file.exists() for file in files):
        yield None
        return
    with ExitStack() as opened:
        uris = [f"{file.as_uri()}?mode=ro" for file in files]
        runs, ticks = (
            opened.enter_context(closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS))) for uri in uris
        )
        yield _rows_of_file(runs), _rows_of_file(ticks)


def _rows_of_file(database: sqlite3.Connection) -> Rows:
    return lambda sql, *given: database.execute(sql, given).fetchall()


def _rows_of_server(server: Connection) -> Rows:
    return lambda sql, *given: server.exec_driver_sql(sql.replace("?", "%s"), given).fetchall()


def _queue(runs: Rows) -> dict[str, int]:
    counts = {str(status): int(count) for status, count in runs("select status, count(*) from runs group by status")}
    return {name: sum(counts.get(status, 0) for status in statuses) for name, statuses in RUN_STATES.items()}


def _handed_to_workers(runs: Rows) -> int:
    """How many runs are handed over to what executes them, and have not begun."""
    ((count,),) = runs("select count(*) from runs where status = 'STARTING'")
    return int(count)


def _runs_without_a_worker(handed_over: int, settings: Settings) -> list[str]:
    """A sentence when runs wait for a worker, and none is alive. Raises as `read_state`."""
    if settings.launcher is not LauncherKind.CELERY or not handed_over:
        return []
    with read_state(settings.state_url) as state:
        if any(name.startswith(WORKER) for name in live_owners(state)):
            return []
    return [
        f"No worker is running, and {counted(handed_over, 'run')} {'waits' if handed_over == 1 else 'wait'} for one:"
        " start trading-assets worker on a machine that is to execute runs."
    ]


def _last_beat(runs: Rows) -> datetime | None:
    marks = ", ".join("?" * len(TICKING_DAEMONS))
    ((last,),) = runs(f"select max(timestamp) from daemon_heartbeats where daemon_type in ({marks})", *TICKING_DAEMONS)
    if last is None:
        return None
    return (last if isinstance(last, datetime) else datetime.fromisoformat(last)).replace(tzinfo=UTC)


def _schedules(ticks: Rows, settings: Settings) -> list[dict[str, Any]]:
    """Schedules and sensors of the platform: switched on or off, the last tick with its result, and when the next is
    due."""
    due = next_due(settings, calendar(), settings.clock())
    states = {_name(json.loads(body)): (selector, status) for selector, status, body in ticks(_INSTIGATORS)}
    found = []
    for kind, names in (("schedule", SCHEDULES), ("sensor", SENSORS)):
        for name in names:
            selector, status = states.get(name, (None, "DECLARED_IN_CODE"))
            record = {
                "name": name,
                "kind": kind,
                "status": "off" if status == "STOPPED" else "on",
                "next_due": due.get(name),
            }
            found.append({**record, **_last_tick(ticks, selector)})
    return found


_INSTIGATORS = "select selector_id, status, instigator_body from instigators order by id"
_LAST_TICK = "select tick_body from job_ticks where selector_id = ? order by timestamp desc, id desc limit 1"


def _name(instigator: Mapping[str, Any]) -> str:
    """The name of a schedule or sensor in Dagster's record of its state."""
    origin = instigator["origin"]
    return str(origin.get("instigator_name") or origin["job_name"])


def _last_tick(ticks: Rows, selector: str | None) -> dict[str, Any]:
    row = next(iter(ticks(_LAST_TICK, selector)), None) if selector is not None else None
    if row is None:
        return {"last_tick": None, "result": None, "reason": None, "runs": []}
    tick = json.loads(row[0])
    reason = tick["error"]["message"] if tick["error"] else tick["skip_reason"]
    return {
        "last_tick": datetime.fromtimestamp(tick["timestamp"], UTC),
        "result": tick["status"]["__enum__"].rpartition(".")[2].lower(),
        "reason": " ".join(reason.split())[:REASON_LENGTH] if reason else None,
        "runs": list(tick["run_ids"]),
    }


def _silent_daemon(last: datetime | None, schedules: list[dict[str, Any]]) -> list[str]:
    """A sentence when the daemon that once worked on this data folder works no more, though something is switched on
    that needs it."""
    if last is None or not any(row["status"] == "on" for row in schedules) or system_clock() - last <= DAEMON_SILENCE:
        return []
    return [
        f"The Dagster daemon is not running (last sign of life {last:%Y-%m-%d %H:%M} UTC): no schedule and no sensor"
        " does anything. Start it with trading-assets up."
    ]


def _wrong(schedules: list[dict[str, Any]]) -> list[str]:
    wrong = []
    for row in schedules:
        if row["result"] == "failure":
            wrong.append(
                f"The {row['kind']} {row['name']} failed at its last tick: {row['reason']} See it in the Dagster UI"
                " under Automation."
            )
        elif row["status"] == "off":
            wrong.append(
                f"The {row['kind']} {row['name']} is switched off: nothing happens by itself there. Switch it on in the"
                " Dagster UI."
            )
    return wrong

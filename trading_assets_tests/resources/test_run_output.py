"""What runs print, where the history is on a server: every machine reads it, and no error of the server ends a run."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from trading_assets.resources import run_output
from trading_assets.resources.dagster_private import ComputeIOType
from trading_assets.resources.history_database import history_engine
from trading_assets.resources.instance import dagster_instance
from trading_assets.resources.run_output import ServerComputeLogManager
from trading_assets.settings import Settings
from trading_assets_tests.observing import eventually
from trading_assets_tests.resources.test_postgresql_history import settings_on

KEY = ["0123-run", "compute_logs", "abcdef"]


@pytest.fixture
def machines(history: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Two machines with data folders of their own, one lake and one history."""
    monkeypatch.setattr(run_output, "SEND_SECONDS", 0.02)
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lake.json").write_text(json.dumps({"lake_id": "1" * 32, "schema_version": 2}), "utf-8")
    return [settings_on(history, tmp_path / name) for name in ("here", "there")]


def shown(instance: dg.DagsterInstance) -> str:
    """What the UI of a machine shows of the step's output."""
    return (instance.compute_log_manager.get_log_data(KEY).stdout or b"").decode()


def test_another_machine_shows_the_output_of_a_step_while_it_runs(machines: list[Settings]) -> None:
    with dagster_instance(machines[0]) as here, dagster_instance(machines[1]) as there:
        mine, theirs = here.compute_log_manager, there.compute_log_manager
        assert shown(there) == "" and not theirs.is_capture_complete(KEY)
        with mine.capture_logs(KEY):
            print("first line", flush=True)
            eventually(lambda: "first line" in shown(there))
            first = theirs.get_log_data(KEY)
            assert not theirs.is_capture_complete(KEY)
            print("second line", flush=True)
            eventually(lambda: "second line" in shown(there))
        assert theirs.is_capture_complete(KEY) and mine.is_capture_complete(KEY)
        assert shown(there) == shown(here) == "first line\nsecond line\n"
        rest = theirs.get_log_data(KEY, first.cursor)
        assert rest.stdout == b"second line\n", "a page reads on from where it was"
        assert theirs.get_log_data(KEY, max_bytes=5).stdout == b"first"
        files = [file for machine in machines for file in machine.data_dir.rglob("compute_logs/**/*") if file.is_file()]
        assert files == [], "nothing is left behind on the machine"
        assert isinstance(theirs, ServerComputeLogManager)
        theirs.download_from_cloud_storage(KEY, ComputeIOType.STDOUT)
        assert "second line" in Path(theirs.local_manager.get_captured_local_path(KEY, "out")).read_text("utf-8")
        mine.delete_logs(prefix=KEY[:1])
        theirs.delete_logs(prefix=KEY[:1])
        assert shown(here) == shown(there) == ""


def test_a_server_that_does_not_answer_fails_no_step(
    machines: list[Settings], history: str, caplog: pytest.LogCaptureFixture
) -> None:
    with dagster_instance(machines[0]) as here, dagster_instance(machines[1]) as there:
        manager = here.compute_log_manager
        with caplog.at_level(logging.WARNING, "trading_assets.resources"), manager.capture_logs(KEY):
            print("what I saw", flush=True)
            with history_engine(history).connect() as connection:
                connection.execute(sa.text("alter table trading_assets_run_output rename to put_away"))
        assert "stays in a file of this machine" in caplog.text
        with history_engine(history).connect() as connection:
            connection.execute(sa.text("alter table put_away rename to trading_assets_run_output"))
        assert "what I saw" in shown(here)
        assert not there.compute_log_manager.is_capture_complete(KEY)


def test_of_a_flood_the_beginning_is_kept(machines: list[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_output, "MOST_BYTES", 100)
    with dagster_instance(machines[0]) as here, dagster_instance(machines[1]) as there:
        with here.compute_log_manager.capture_logs(KEY):
            for _ in range(50):
                print("ten bytes", flush=True)
        assert shown(there) == "ten bytes\n" * 10
        assert shown(here) == "ten bytes\n" * 50, "the whole stays where it was printed"


def printing(manager: ServerComputeLogManager, text: str) -> None:
    """Add to the file of the step on that machine, and send it."""
    file = Path(manager.local_manager.get_captured_local_path(KEY, "out"))
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as stream:
        stream.write(text)
    manager._send(KEY)


@contextmanager
def losing_answers(url: str, statements: int = 1) -> Iterator[None]:
    """The server carries out that many insertions, and the connection breaks before it has answered."""
    left = [statements]

    def lose(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if left[0] and statement.startswith("INSERT"):
            left[0] -= 1
            raise sa.exc.OperationalError(statement, {}, Exception("server closed the connection unexpectedly"))

    sa.event.listen(history_engine(url), "after_cursor_execute", lose)
    try:
        yield
    finally:
        sa.event.remove(history_engine(url), "after_cursor_execute", lose)


@pytest.fixture
def managers(machines: list[Settings], history: str, tmp_path: Path) -> list[ServerComputeLogManager]:
    """Of two machines, and of another process on the first one."""
    with dagster_instance(machines[0]):
        return [ServerComputeLogManager(str(tmp_path / name), history) for name in ("here", "there", "here")]


def test_a_lost_answer_of_the_server_loses_and_doubles_nothing(
    managers: list[ServerComputeLogManager], history: str
) -> None:
    here, there, _ = managers
    with losing_answers(history, statements=2):
        printing(here, "first line\n")
        printing(here, "second line\n")
    printing(here, "third line\n")
    with losing_answers(history):
        printing(here, "fourth line\n")
    here._on_capture_complete(KEY)
    assert there.get_log_data(KEY).stdout == b"first line\nsecond line\nthird line\nfourth line\n"
    assert not here.has_local_file(KEY, ComputeIOType.STDOUT)


def test_two_processes_with_one_key_keep_what_both_print(managers: list[ServerComputeLogManager], history: str) -> None:
    here, there, again = managers
    printing(here, "one\n")
    with losing_answers(history):
        printing(here, "two\n")
    printing(again, "three\n")  # the step goes on where its file is, without the process that began it
    with losing_answers(history):
        printing(again, "four\n")
    printing(there, "five is longer\n")  # behind the piece whose sender does not know that it arrived
    printing(again, "six\n")
    printing(there, "seven\n")
    for manager in (again, there):
        manager._on_capture_complete(KEY)
    assert there.get_log_data(KEY).stdout == b"one\ntwo\nthree\nfour\nfive is longer\nsix\nseven\n"


def test_a_file_that_is_begun_anew_is_added(managers: list[ServerComputeLogManager]) -> None:
    here, there, _ = managers
    printing(here, "before it was deleted\n")
    Path(here.local_manager.get_captured_local_path(KEY, "out")).unlink()
    printing(here, "after\n")
    printing(here, "more\n")
    here._on_capture_complete(KEY)
    assert there.get_log_data(KEY).stdout == b"before it was deleted\nafter\nmore\n"


def test_a_real_run_is_read_elsewhere(machines: list[Settings]) -> None:
    @dg.op
    def speak() -> None:
        print("spoken in a run", flush=True)

    @dg.job(executor_def=dg.in_process_executor)
    def speaking() -> None:
        speak()

    with dagster_instance(machines[0]) as here, dagster_instance(machines[1]) as there:
        run = speaking.execute_in_process(instance=here)
        found = [
            event.event_specific_data.file_key  # type: ignore[union-attr]
            for event in run.all_events
            if event.event_type is dg.DagsterEventType.LOGS_CAPTURED
        ]
        read: Callable[[str], str] = lambda key: (  # noqa: E731
            there.compute_log_manager.get_log_data([run.run_id, "compute_logs", key]).stdout or b""
        ).decode()
        assert "spoken in a run" in "".join(map(read, found))

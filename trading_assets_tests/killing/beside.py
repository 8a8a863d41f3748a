"""Two readers and a collecting run, in processes of their own, beside an operation that is killed at ten instants."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.steps.equity_bars import collect_equity_bars
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets_tests.killing.forks import ForkServer, answer
from trading_assets_tests.killing.looks import COLLECTED, Look, by_file, by_sql, held, journal

PAUSE = 0.05
"""Seconds between two reads of a reader: it leaves the processor to what it reads beside."""

READS = 3
"""Reads after which a reader waits until it is asked: a slow machine is not made slower by it."""

SESSIONS = calendar().sessions(date(2024, 1, 2), date(2024, 3, 28))
"""Sessions of which the collecting run collects one during each kill, in a period that is written to all the time."""

Job = Callable[..., Any]
"""A function of a module, called with settings and further arguments."""


def read(talk: Connection, look: Look, errors: tuple[type[Exception], ...]) -> None:
    """Read the folder that is sent, up to `READS` times; asked for it with None, read once more and answer with the
    distinct answers and the number of reads. `errors` are answers, too."""
    with suppress(EOFError):
        while True:
            folder, seen, reads, ending = talk.recv(), [], 0, False
            while not ending:
                ending = talk.poll(PAUSE if reads < READS else None)
                try:
                    found = look(folder)
                except errors as error:
                    found = {"error": type(error).__name__}
                seen += [found] if found not in seen else []
                reads += 1
            assert talk.recv() is None
            answer(talk, (seen, reads))


def collect(talk: Connection, settings: Settings) -> None:
    """A run that collects the sessions of `COLLECTED` that it is sent, one after the other; says whether each is
    complete, and how many requests it took."""
    with suppress(EOFError), Archive(settings) as archive:
        entries, contracts = archive.universe.resolve([COLLECTED]), archive.view(CONTRACTS)
        while True:
            session = talk.recv()
            done = collect_equity_bars(archive, entries, [session], contracts=contracts, bar_sizes=("1 day",))
            archive.write(done)
            answer(talk, (done.report.complete, done.report.sent))


class Beside:
    """The readers and the collecting run on one lake, used for all kills of its operations.

    `looks` are how the readers read, `errors` what their reads may raise, `seen` what each may see (by default what the
    lake has now); `before` is what the lake holds.
    """

    def __init__(
        self,
        forks: ForkServer,
        settings: Settings,
        looks: Sequence[Look] = (by_sql, by_file),
        errors: tuple[type[Exception], ...] = (),
        seen: Sequence[Sequence[Any]] | None = None,
    ) -> None:
        self._forks, self._settings = forks, settings
        self._sessions = iter(SESSIONS)
        self._readers = [forks.talking(read, look, errors) for look in looks]
        self._collector = forks.talking(collect, settings)
        self.before = held(settings.data_dir)
        self._seen = [[look(settings.data_dir)] for look in looks] if seen is None else seen
        self.kills = 0

    def steps(self, job: Job, *arguments: Any, watched: Sequence[Path] = ()) -> int:
        """How many instants the job has, on the lake (its settings) and the folders `watched`, when nobody kills it.
        It changes nothing of what the lake holds."""
        done = self._forks.run(job, self._settings, *arguments, watched=(self._settings.data_dir, *watched))
        assert held(self._settings.data_dir) == self.before
        return done.instants

    @contextmanager
    def killed(
        self, instant: int, job: Job, *arguments: Any, watched: Sequence[Path] = (), place: Path | None = None
    ) -> Iterator[str]:
        """Kill the job just before that instant; the step in words. Inside, it is done again.

        While it works, while it stands at the instant (what is on the disk then is what the kill leaves), from the kill
        on and after it is done again, the readers read the lake, or `place`, and see what they may. A session
        is collected from before the job on or, every other time, from the instant on: where the job holds a lock that
        it needs, the run waits, and goes on after the kill. At the end all of the lake, by columns, and the journal are
        what they were before.
        """
        folder, session = self._settings.data_dir, next(self._sessions)
        self._go(place or folder)
        before_the_job = self.kills % 2 == 0
        if before_the_job:
            self._collector.tell(session)
        watching = (folder, *watched)
        child = self._forks.start(job, self._settings, *arguments, watched=watching, stop_at=instant, or_near=True)
        at = child.stopped()
        assert at is not None, f"it ended before instant {instant}: {child.wait()}"
        if not before_the_job:
            self._collector.tell(session)
        self._check_reads(f"while it stood before {at}")
        self._go(place or folder)
        assert child.kill().killed
        self.kills += 1
        assert self._collector.hear() == (True, 1), "the collecting run asked once and stored its session"
        assert journal(folder) == self.before["journal"], f"killed before {at}"
        yield at
        self._check_reads(f"after it was killed before {at}, and done again")
        assert held(folder) == self.before, f"killed before {at}, and done again"
        assert has(folder, session)

    def _go(self, folder: Path) -> None:
        for reader in self._readers:
            reader.tell(folder)

    def _check_reads(self, when: str) -> None:
        for reader, expected in zip(self._readers, self._seen, strict=True):
            seen, reads = reader.ask(None)
            assert reads >= 1 and all(one in expected for one in seen), f"{when}: {seen} in place of {expected}"


def copied(template: Settings, place: Path) -> Settings:
    """Settings of a copy of a lake."""
    shutil.copytree(template.data_dir, place, symlinks=True)
    return template.model_copy(update={"data_dir_setting": place})


def has(folder: Path, session: date) -> bool:
    """Whether the session that was collected meanwhile is in the lake, once."""
    rows = ParquetStore(folder).read(EQUITY_BARS)
    wanted = pc.and_(pc.equal(rows["symbol"], COLLECTED), pc.equal(rows["session"], session))
    return rows.filter(wanted).num_rows == 1

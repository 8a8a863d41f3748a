"""`kill -9` at ten instants of mending, beside two readers: the next call does the rest, and nothing was lost in
between."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from trading_assets.backup import backup
from trading_assets.doctor import mend
from trading_assets.errors import UnreadableFile
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets_tests.doctor.test_doctor import lose_all
from trading_assets_tests.endurance.collect import by_the_steps
from trading_assets_tests.endurance.conftest import SYMBOL, settings_of
from trading_assets_tests.endurance.lakes import contents, difference, partitions
from trading_assets_tests.killing.beside import read
from trading_assets_tests.killing.forks import ForkServer
from trading_assets_tests.killing.instants import spread
from trading_assets_tests.killing.looks import by_file, by_sql


def repair(settings: Settings, kept: Path) -> None:
    """Mend what can be mended with the backups."""
    mend(settings, backup=kept)


@pytest.mark.slow
def test_mending_that_was_killed_is_done_by_the_next_call(
    settings: Settings, simulator: Simulator, forks: ForkServer, tmp_path: Path
) -> None:
    kept, template = tmp_path / "kept", settings.data_dir
    shown, rows = partitions(settings), contents(template)
    whole = {look: look(template) for look in (by_sql, by_file)}
    readers = {look: forks.talking(read, look, (UnreadableFile,)) for look in whole}
    backup(kept, settings)

    def broken_copy(name: str) -> Settings:
        shutil.copytree(template, tmp_path / name)
        lose_all(tmp_path / name)
        return settings_of(tmp_path / name, simulator)

    def check_reads(*allowed: str) -> None:
        """Each reader saw the damaged file refused, or everything."""
        for look, reader in readers.items():
            seen, reads = reader.ask(None)
            assert reads >= 1
            assert all(found == whole[look] or found.get("error") in allowed for found in seen), seen

    measured = broken_copy("measured")
    steps = forks.run(repair, measured, kept, watched=[measured.data_dir]).instants
    instants = spread(steps)
    for instant in instants:
        damaged = broken_copy(f"killed-{instant}")
        child = forks.start(repair, damaged, kept, watched=[damaged.data_dir], stop_at=instant, or_near=True)
        for reader in readers.values():
            reader.tell(damaged.data_dir)
        at = child.stopped()
        assert at is not None and child.kill().killed
        assert mend(damaged, backup=kept).left == []
        check_reads(UnreadableFile.__name__)
        for reader in readers.values():
            reader.tell(damaged.data_dir)
        assert difference(damaged.data_dir, rows) == [], at
        assert partitions(damaged) == shown, at
        if instant in instants[::3]:
            assert by_the_steps(damaged, [SYMBOL])["requests"]["sent"] == 0
        check_reads()

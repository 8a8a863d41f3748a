"""Each operation on packages is killed at ten instants, while a reader and a writer work in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trading_assets.archive_packages.places import Place
from trading_assets.archive_packages.verify import verify
from trading_assets.repositories.temporary_files import remove_temporary_files
from trading_assets_tests.archive_packages.conftest import Holdings, fill, holdings_of

ROOT = Path(__file__).resolve().parent.parent.parent
INSTANTS = 10


def started(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "trading_assets_tests.archive_packages.worker", *arguments]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@pytest.fixture(scope="module")
def worker() -> Iterator[subprocess.Popen[str]]:
    with started("operations") as process:
        yield process
        process.kill()


def unwritten(held: Holdings) -> Holdings:
    """What is held of the datasets that the writer does not change. The old rows of the other are the reader's."""
    return {name: each for name, each in held.items() if not name.endswith("equity_bars")}


def test_killed_at_ten_instants_each_operation_loses_nothing(tmp_path: Path, worker: subprocess.Popen[str]) -> None:
    lake, place = fill(tmp_path / "lake"), tmp_path / "archive"
    before = holdings_of(lake)

    def do(name: str, event: int, where: Path = place) -> str:
        assert worker.stdin and worker.stdout
        worker.stdin.write(f"{name} {event} {lake} {where}\n")
        worker.stdin.flush()
        return worker.stdout.readline().strip()

    def count(name: str, where: Path = place) -> int:
        word, _, number = do(name, 0, where).partition(" ")
        assert word == "ended", f"{name} did not end by itself"
        return int(number)

    with started("reader", str(lake)) as reader, started("writer", str(lake)) as writer:
        steps = {"create": count("create")}
        for _ in range(2):  # the first removal also makes the link to the package
            steps |= {"remove": count("remove"), "restore": count("restore")}
        assert min(steps.values()) > INSTANTS
        killed = dict.fromkeys(steps, 0)
        for i in range(INSTANTS):
            for name, where in (("create", tmp_path / f"archive{i}"), ("remove", place), ("restore", place)):
                killed[name] += do(name, 1 + i * (steps[name] - 1) // (INSTANTS - 1), where) == "killed"
                assert unwritten(holdings_of(lake)) == unwritten(before), f"after {name} was killed"
                count(name, where)
                assert verify(Place(where).packages()[0]).whole
        assert reader.poll() is None and writer.poll() is None
        said = [json.loads(process.communicate("end\n", timeout=120)[0]) for process in (reader, writer)]
    assert killed == dict.fromkeys(steps, INSTANTS)
    assert len(said[0]["seen"]) == 1, "the reader saw the same old rows and revisions at every moment"
    assert said[0]["reads"] > INSTANTS and said[1]["written"] > INSTANTS
    assert unwritten(holdings_of(lake)) == unwritten(before)
    remove_temporary_files(lake)
    assert not list(lake.rglob("*.tmp"))
    assert len(Place(place).packages()) == 1, "an unfinished package is deleted, a finished one is not made again"

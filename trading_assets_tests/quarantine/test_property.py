"""The property of `examples`, for 200 changed answers; `make bench` tries 2,000."""

from __future__ import annotations

from pathlib import Path

import pytest

from trading_assets_tests.quarantine.examples import MUTATED, example
from trading_assets_tests.quarantine.replay import Recording, record

pytestmark = pytest.mark.slow

CHUNKS, SEEDS = 5, 10

assert CHUNKS * SEEDS * MUTATED == 200


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return record(tmp_path_factory.mktemp("recorded"))


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_changed_answer_harms_nothing_but_itself(recording: Recording, tmp_path: Path, chunk: int) -> None:
    assert sum(example(recording, seed, tmp_path) for seed in range(chunk * SEEDS, (chunk + 1) * SEEDS)) > 0

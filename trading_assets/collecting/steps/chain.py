"""One symbol's chain while it is put together, and chains that another run is collecting at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from trading_assets.broker.outcomes import Outcome, Result
from trading_assets.collecting.steps.common import without_echoes
from trading_assets.instrument import Instrument
from trading_assets.repositories.schemas import OPTION_CHAINS


@dataclass
class Chain:
    """One symbol's chain while it is put together.

    `lacking` are sentences about what it will not hold, `code` the broker's code of the first of them; `expiries` are those wanted.
    `again_at`: when what its quotes lack may be asked for again; None: by the next run.
    """

    underlying: Instrument
    last: pa.Table
    table: pa.Table = field(default_factory=OPTION_CHAINS.schema.empty_table)
    selected: set[int] = field(default_factory=set)
    quoted: set[int] = field(default_factory=set)
    lacking: list[str] = field(default_factory=list)
    code: int | None = None
    expiries: list[str] = field(default_factory=list)
    again_at: datetime | None = None

    def lacks(self, sentence: str, cause: Outcome | None = None) -> None:
        """Note what the chain will not hold, and the outcome that is the cause."""
        self.lacking.append(sentence)
        if self.code is None and cause is not None:
            self.code = cause.code


def echoes(answers: Sequence[Result]) -> list[Result]:
    """Answers that another run asked for and has stored since ours was planned."""
    own = {id(result) for result in without_echoes(answers)}
    return [result for result in answers if id(result) not in own]


def leave_to_others(answers: Sequence[Result], chains: dict[str, Chain], outcomes: dict[str, Outcome]) -> set[str]:
    """Forget the symbols whose very chain another run is collecting and has stored: ours would repeat it and say less of it."""
    symbols = {result.request.symbol for result in echoes(answers)}
    for symbol in symbols:
        del chains[symbol], outcomes[symbol]
    return symbols

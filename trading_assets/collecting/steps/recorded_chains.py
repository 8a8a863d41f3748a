"""What the lake has of the chains of the session that is being collected: which are finished, which lack quotes
alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

import pyarrow.compute as pc

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.steps.chain import Chain
from trading_assets.collecting.steps.chain_selection import same_selection
from trading_assets.collecting.steps.listings import may_be_resumed, still_lacking
from trading_assets.collecting.steps.partial_quotes import quoted_before
from trading_assets.instrument import Instrument
from trading_assets.repositories.frame_checks import storable
from trading_assets.repositories.schemas import OPTION_CHAINS, Condition
from trading_assets.selection_rules import SelectionRules


@dataclass
class RecordedChains:
    """The recorded chains of `session`; with `refresh` none counts.

    `quoted_since`: a complete chain whose quotes are older is quoted again (None: never). The lake is read once, when
    first asked for.
    """

    archive: Archive
    session: date
    rules: SelectionRules
    underlyings: Mapping[str, Instrument]
    refresh: bool
    quoted_since: datetime | None

    @cached_property
    def finished(self) -> set[str]:
        """Symbols whose chain is not collected again: it is complete and quoted lately, or nothing fits these very
        rules."""
        return self._complete - self._outdated | set(self.unselected)

    @cached_property
    def unselected(self) -> dict[str, str]:
        """Symbols of which these very rules selected nothing, with the sentence."""
        reasons = {
            symbol: row["reason"]
            for symbol, row in self._known.items()
            if row["condition"] == Condition.NOTHING_SELECTED
        }
        return {symbol: reason for symbol, reason in reasons.items() if same_selection(reason, self.rules)}

    def resumed(self) -> dict[str, Chain]:
        """Chains that lack nothing but (fresh) quotes: their listing and selection stand, nothing of it is requested
        again."""
        due = self.archive.examiner.due_listings(self.underlyings)
        symbols = sorted({symbol for symbol, row in self._known.items() if may_be_resumed(row, due)} | self._outdated)
        stored = (
            self.archive.view(OPTION_CHAINS).table(sessions=[self.session], symbols=symbols).cast(OPTION_CHAINS.schema)
        )
        chains = {}
        for symbol in stored["symbol"].unique().to_pylist():
            rows = stored.filter(pc.equal(stored["symbol"], symbol))
            selected = set(rows.filter(rows["selected"])["con_id"].to_pylist())
            if selected and storable(OPTION_CHAINS, rows).num_rows == rows.num_rows:
                lacking = still_lacking(self._known[symbol]["reason"])
                chains[symbol] = Chain(self.underlyings[symbol], rows, table=rows, selected=selected, lacking=lacking)
        return chains

    @cached_property
    def _known(self) -> dict[str, dict[str, Any]]:
        """The rows of coverage, by symbol."""
        if self.refresh:
            return {}
        rows = self.archive.coverage.recorded(
            OPTION_CHAINS.name, "", list(self.underlyings), self.session, self.session
        ).to_pylist()
        return {row["symbol"]: row for row in rows}

    @cached_property
    def _complete(self) -> set[str]:
        """Symbols whose chain is recorded as complete and stored."""
        complete = sorted(symbol for symbol, row in self._known.items() if row["condition"] == Condition.COMPLETE)
        return set(self.archive.view(OPTION_CHAINS).stored_sessions(complete, where=f"session = date '{self.session}'"))

    @cached_property
    def _outdated(self) -> set[str]:
        return quoted_before(self.archive, self._complete, self.session, self.quoted_since)

"""What a rule is: one sentence about the lake, written once as SQL, with its severity, why it matters and what to do.

From a rule come the Dagster checks, `trading-assets validate`, `DataValidation` and the table in `docs/validation.md`.
The rules themselves are in `validation.rules`; running them belongs to `validation.engine`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trading_assets.arguments import RULED

DATASETS = RULED
"""The datasets that rules speak of, in dependency order."""

NAMELESS = "(no symbol)"
"""The symbol of findings about rows that have none. No symbol is written so."""


class Severity(StrEnum):
    """How bad a broken rule is."""

    ERROR = "error"
    """The data is wrong or absent: what builds on it must not be trusted."""
    WARN = "warn"
    """Somebody should look; what builds on it goes on."""


@dataclass(frozen=True)
class Rule:
    """One rule. Each row of `rows` must satisfy `holds`; a row that does not is a violation.

    `rows`: SQL over the lake's datasets and the tables of `validation.scope`; it gives `symbol` and `session`, neither
    ever null, and what shows the case. Empty: the rows of the dataset. A dataset's own name stands for its rows in
    scope (and some sessions before, `validation.scope.CONTEXT`), `all_<dataset>` for all of the symbols' rows. `holds`:
    an SQL predicate. Null counts as a violation unless `null_passes`. `shows`: the columns that show the case, beside
    `symbol` and `session`. `blocks`: what the dataset's followers build on is broken, so an ERROR keeps them from being
    collected for that symbol. Rules of absence and of values that nobody builds on do not block: a gap must not keep
    expiring options from being saved. Nor does a rule that an answer of the broker can break: the user could not repair
    it. `mended` says how such a row comes to be and goes. `of_now`: the rule speaks of the present instant, not of past
    sessions; the sessions of a scope do not restrict it. `reviewed`: a violation is held for review, to be accepted or
    rejected (`validation.reviews`).
    """

    name: str
    dataset: str
    severity: Severity
    why: str
    remedy: str
    holds: str
    rows: str = ""
    shows: tuple[str, ...] = ()
    null_passes: bool = False
    blocks: bool = False
    mended: str = ""
    of_now: bool = False
    reviewed: bool = False

    def __post_init__(self) -> None:
        if self.dataset not in DATASETS:
            raise ValueError(f"Rule {self.name} speaks of {self.dataset!r}, and there is no such dataset.")
        if self.blocks and self.severity is not Severity.ERROR:
            raise ValueError(f"Rule {self.name} is a warning: a warning does not block.")
        if self.blocks != bool(self.mended):
            raise ValueError(f"Rule {self.name} must say how it is mended if it blocks, and only then.")

    @property
    def source(self) -> str:
        """The SQL that gives the examined rows."""
        return self.rows or f"select * from {self.dataset}"

    @property
    def violation(self) -> str:
        """The SQL predicate of a violating row."""
        return f"not coalesce(({self.holds}), {'true' if self.null_passes else 'false'})"

"""What a corporate action does to a stock's prices and volumes, and when the broker restates the history for it."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from trading_assets.sessions import NEW_YORK, SessionCalendar


class ActionsError(Exception):
    """A file of corporate actions cannot be used; the text says why."""


class ActionKind(StrEnum):
    """The kinds of corporate actions."""

    SPLIT = "split"
    REVERSE_SPLIT = "reverse_split"
    STOCK_DIVIDEND = "stock_dividend"
    SPIN_OFF = "spin_off"
    SPECIAL_DIVIDEND = "special_dividend"
    RENAME = "rename"
    MERGER = "merger"
    DELISTING = "delisting"

    @property
    def changes_shares(self) -> bool:
        """Whether the number of shares changes, and with it the volume."""
        return self in (ActionKind.SPLIT, ActionKind.REVERSE_SPLIT, ActionKind.STOCK_DIVIDEND)

    @property
    def restates(self) -> bool:
        """Whether the broker restates TRADES history: it does not for dividends in cash (limits.md)."""
        return self is not ActionKind.SPECIAL_DIVIDEND and self.changes_prices

    @property
    def changes_prices(self) -> bool:
        """Whether prices are on a new basis afterwards, and with them the strikes of options."""
        return self not in (ActionKind.RENAME, ActionKind.MERGER, ActionKind.DELISTING)

    @property
    def ends_trading(self) -> bool:
        """Whether the stock is unknown from then on."""
        return self in (ActionKind.MERGER, ActionKind.DELISTING)


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """One action of a symbol. `session` is the first session on the new basis.

    `price_ratio` is a price after over the same price before: 0.25 for 4:1, 20 for 1:20, 1 / 1.05 for a stock dividend
    of 5 %, 1 - amount / close for a special dividend or a spin-off; 1 for a rename, which has `new_symbol`.

    The broker restates the history before `session` from midnight New York of the session `lag` sessions after it. In
    `parts` parts: each part after the first comes a session later, and is the next `part_sessions` sessions; the first
    part is all that lies before them. The last `left_out` sessions before the action stay on the old basis for good.
    Restated prices are rounded to `digits` decimals from what was traded. `restates_volume` False: volumes stay as
    traded.

    Raises `ValueError` for an impossible value.
    """

    symbol: str
    session: date
    kind: ActionKind
    price_ratio: float = 1.0
    lag: int = 0
    parts: int = 1
    part_sessions: int = 2
    left_out: int = 0
    digits: int = 2
    restates_volume: bool = True
    new_symbol: str = ""
    old_symbol_answers: bool = False
    shares: float = 0.0
    cash: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.price_ratio < float("inf"):
            raise ValueError(f"price_ratio is {self.price_ratio!r}: it is a positive number, new price over old.")
        if min(self.lag, self.parts - 1, self.part_sessions - 1, self.left_out, self.digits) < 0:
            raise ValueError("lag, left_out and digits are 0 or more, parts and part_sessions 1 or more.")
        if bool(self.new_symbol) != (self.kind is ActionKind.RENAME or self.shares > 0):
            raise ValueError("A rename and a merger for shares have a new_symbol, and no other action has one.")
        if min(self.shares, self.cash) < 0 or (self.shares + self.cash > 0) != (self.kind is ActionKind.MERGER):
            raise ValueError("A merger pays shares, cash or both, and no other action does.")
        if not self.kind.changes_prices and self.price_ratio != 1:
            raise ValueError("The price_ratio of a rename, a merger and a delisting is 1.")
        if self.old_symbol_answers and self.kind is not ActionKind.RENAME:
            raise ValueError("old_symbol_answers belongs to a rename.")

    @property
    def volume_ratio(self) -> float:
        """Volume after over the same volume before."""
        return 1 / self.price_ratio if self.kind.changes_shares else 1.0

    def has_happened(self, day: date) -> bool:
        """Whether a New York day is on the new basis."""
        return day >= self.session

    def restated_until(self, today: date, calendar: SessionCalendar) -> date | None:
        """The first session before the action whose bars the broker still answers on the old basis on the day `today`,
        `self.session` when none is left, None when none is restated yet."""
        if not self.kind.restates:
            return None
        due = calendar.following(self.session, self.lag) if self.lag else self.session
        if today < due:
            return None
        parts_done = min(self.parts, 1 + calendar.count_between(due, calendar.on_or_before(today)) - 1)
        waiting = (self.parts - parts_done) * self.part_sessions + self.left_out
        return calendar.previous(self.session, waiting) if waiting else self.session


def read_actions(path: Path) -> list[CorporateAction]:
    """The actions of a JSON file: a list of objects with the fields of `CorporateAction`, `session` as `YYYY-MM-DD`.

    Raises `ActionsError`.
    """
    try:
        records = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ActionsError(f"The file of corporate actions {path} cannot be read: {error}") from error
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ActionsError(f"{path} is not a JSON list of corporate actions; see docs/simulator.md.")
    return [_action(record, f"Action {number} of {path}") for number, record in enumerate(records, start=1)]


def _action(record: dict[str, Any], where: str) -> CorporateAction:
    if unknown := sorted(set(record) - {field.name for field in fields(CorporateAction)}):
        raise ActionsError(f"{where} has unknown fields: {', '.join(unknown)}.")
    try:
        words = {"session": date.fromisoformat(record["session"]), "kind": ActionKind(record["kind"])}
        return CorporateAction(**{**record, **words})
    except (KeyError, TypeError, ValueError) as error:
        raise ActionsError(f"{where} cannot be used: {error!r}; see docs/simulator.md.") from error


def new_york_day(now: datetime) -> date:
    """The date in New York at an instant."""
    return now.astimezone(NEW_YORK).date()

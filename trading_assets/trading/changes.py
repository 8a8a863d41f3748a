"""What changed between two looks at an account: rows of `position_changes`, concluded from `position_snapshots`.

| change | |
| --- | --- |
| `opened`, `changed`, `closed` | a quantity that was traded; also shares that an option delivered (`reason`) |
| `expired` | an option that is gone after its settlement, and moved no shares |
| `assigned_or_exercised` | an option of which contracts are gone, and shares moved by their deliveries at the strike |
| `unexplained` | what none of these explains: no delivery of an option that ended in the money, a split, a transfer |

Here belongs the conclusion from two looks. Which looks are compared is said by `derive`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from trading_assets.instrument import is_adjusted_class
from trading_assets.pricing.exercise import AMERICAN_INDICES, ExerciseStyle, exercise_style, settlement
from trading_assets.pricing.valuation import Model
from trading_assets.sessions import SessionCalendar
from trading_assets.trading.assignments import GoneOption, ShareMove, delivered
from trading_assets.trading.positions import OPTION, STOCK

Row = Mapping[str, Any]
"""A row of `position_snapshots`."""

Close = Callable[[str, date], float | None]
"""The close of an underlying in a session, None where the lake has none."""

ONE_CENT = 0.01
"""In the money by a cent or more is exercised at expiry without an instruction (OCC, exercise by exception)."""

NEAR_STRIKE = 0.005
"""Part of the price within which it may still cross the strike between the last look and the settlement."""


class Change(StrEnum):
    """The kinds of changes."""

    OPENED = "opened"
    CHANGED = "changed"
    CLOSED = "closed"
    EXPIRED = "expired"
    ASSIGNED_OR_EXERCISED = "assigned_or_exercised"
    UNEXPLAINED = "unexplained"


_TERMS = (
    *("account", "con_id", "symbol", "sec_type", "local_symbol", "trading_class", "expiry", "strike", "right"),
    *("multiplier", "currency"),
)


def changes_between(
    before: Sequence[Row], after: Sequence[Row], *, at: datetime, session: date, calendar: SessionCalendar, close: Close
) -> list[dict[str, Any]]:
    """The changes of one account from the look with the rows `before` to the one with the rows `after`, made at `at`
    (UTC) in `session`: records of `position_changes`."""
    old, new = ({row["con_id"]: row for row in rows if row["con_id"]} for rows in (before, after))
    gone = _gone_options(old, new, at, calendar, close)
    exercised: dict[int, str] = {}
    causes: dict[int, list[str]] = defaultdict(list)
    for (symbol, currency), options in gone.items():
        stock = next(
            (row["con_id"] for row in (*old.values(), *new.values()) if _is_shares(row, symbol, currency)), None
        )
        if stock is not None:
            shares = _move(old.get(stock), new.get(stock))
            for option, count in delivered(options, shares):
                exercised[option.con_id] = _delivery(option, count, shares)
                causes[stock].append(f"{count} {_name(old[option.con_id])}")
    every = {option.con_id: option for options in gone.values() for option in options}
    fixed = {"session": session, "at": at, "since": before[0]["at"], "collected_at": at, "request_id": 0}
    found_changes = []
    for con_id in sorted(old.keys() | new.keys()):
        was, now = old.get(con_id), new.get(con_id)
        if _quantity(was) == _quantity(now):
            continue
        change, reason = _change(was, now, every.get(con_id), exercised.get(con_id, ""), causes[con_id])
        found_changes.append(fixed | _record(was, now, change, reason))
    return found_changes


def _change(
    was: Row | None, now: Row | None, option: GoneOption | None, exercised: str, causes: Sequence[str]
) -> tuple[Change, str]:
    """The kind of a change and the sentence that says what it was concluded from."""
    if exercised:
        return Change.ASSIGNED_OR_EXERCISED, exercised
    if option is not None and option.expired and _quantity(now) == 0:
        return _expired(was or {}, option)
    traded = Change.OPENED if was is None else Change.CLOSED if now is None else Change.CHANGED
    if causes:
        return traded, f"Delivered by {', '.join(causes)}."
    if _is_split(was, now):
        return Change.UNEXPLAINED, (
            "The quantity changed and the total cost did not, which no trade does: a split or a transfer. Compare with"
            " the broker's statement."
        )
    return traded, {
        Change.OPENED: "Not held at the look before.",
        Change.CLOSED: "Held at the look before and not now.",
        Change.CHANGED: "Another quantity than at the look before.",
    }[traded]


def _expired(was: Row, option: GoneOption) -> tuple[Change, str]:
    if _is_adjusted(was):
        return Change.UNEXPLAINED, (
            f"A corporate action has adjusted class {was['trading_class']}: what its contracts deliver is not in the"
            " broker's messages. Compare with the broker's statement."
        )
    if not _delivers(was):  # the close does not say how it ended: some settle at the open
        return Change.EXPIRED, "Settled in cash since the look before."
    if not option.in_the_money:
        ended = "" if option.in_the_money is None else " out of the money"
        return Change.EXPIRED, f"Settled since the look before{ended}; no shares moved."
    return Change.UNEXPLAINED, (
        f"It ended in the money, and the shares did not move by {option.delivery:+g} at {option.strike:g}: it was"
        " traded on its last day, or its delivery is not booked yet. Compare with the broker's statement."
    )


def _gone_options(
    old: Mapping[int, Row], new: Mapping[int, Row], at: datetime, calendar: SessionCalendar, close: Close
) -> dict[tuple[str, str], list[GoneOption]]:
    """Options of which contracts are gone, by underlying and currency."""
    found: dict[tuple[str, str], list[GoneOption]] = defaultdict(list)
    for con_id, row in sorted(old.items()):
        contracts = _closed(row["quantity"], _quantity(new.get(con_id)))
        if row["sec_type"] != OPTION or not contracts or not (row["expiry"] and row["strike"] and row["multiplier"]):
            continue
        settled = settlement(row["symbol"], row["trading_class"], row["expiry"], calendar)
        expired = settled <= at
        intrinsic = _final_intrinsic(row, calendar, close) if expired else _intrinsic(row, row["underlying_price"])
        if _is_adjusted(row):  # the price of a share says nothing about what it delivers
            intrinsic = None
        cost = row["average_cost"]
        found[row["symbol"], row["currency"]].append(
            GoneOption(
                con_id,
                row["right"],
                row["strike"],
                row["multiplier"],
                contracts,
                None if cost is None else abs(cost) / row["multiplier"],
                expired,
                None if intrinsic is None else intrinsic >= ONE_CENT,
            )
        )
    return found


def _closed(before: float, after: float) -> float:
    """The part of a quantity that is gone; 0 where it grew or changed sides."""
    if before * after < 0 or abs(after) >= abs(before):
        return 0.0
    return before - after


def _final_intrinsic(row: Row, calendar: SessionCalendar, close: Close) -> float | None:
    """What exercise at the settlement brought, a share; None where the price then is not known: no close is stored, and
    the price at the look before was of an earlier session or too near the strike."""
    session = calendar.on_or_before(row["expiry"])
    final = close(row["symbol"], session)
    if final is not None:
        return _intrinsic(row, final)
    seen, age = row["underlying_price"], row["mark_age"]
    if seen is None or age is None or row["at"] - timedelta(seconds=age) < calendar.opens_at(session):
        return None
    return None if abs(seen - row["strike"]) <= NEAR_STRIKE * seen else _intrinsic(row, seen)


def _intrinsic(row: Row, spot: float | None) -> float | None:
    if spot is None:
        return None
    # prices and strikes are decimal: their difference is rounded to what a price can be
    return round(float((spot - row["strike"]) * (1 if row["right"] == "C" else -1)), 6)


def _is_adjusted(row: Row) -> bool:
    return is_adjusted_class(row["symbol"], row["trading_class"], row["multiplier"])


def _delivers(row: Row) -> bool:
    """Whether an option delivers shares: those on indices are settled in cash. Indices are known by their symbols, and
    by the model of European options, which were valued with the type of their underlying."""
    european = exercise_style(row["symbol"]) is ExerciseStyle.EUROPEAN or row.get("model") == Model.BLACK_76.value
    return not european and row["symbol"] not in AMERICAN_INDICES


def _is_shares(row: Row, symbol: str, currency: str) -> bool:
    return bool(row["sec_type"] == STOCK and row["symbol"] == symbol and row["currency"] == currency)


def _move(was: Row | None, now: Row | None) -> ShareMove:
    return ShareMove(_quantity(was), _quantity(now), (was or {}).get("average_cost"), (now or {}).get("average_cost"))


def _is_split(was: Row | None, now: Row | None) -> bool:
    if was is None or now is None or was["average_cost"] is None or now["average_cost"] is None:
        return False
    costs = [row["average_cost"] * row["quantity"] for row in (was, now)]
    return bool(was["average_cost"] > 0 and abs(costs[1] - costs[0]) <= 0.001 * abs(costs[0]))


def _record(was: Row | None, now: Row | None, change: Change, reason: str) -> dict[str, Any]:
    terms = now or was or {}
    return {
        **{name: terms[name] for name in _TERMS},
        "change": change.value,
        "quantity_before": _quantity(was),
        "quantity_after": _quantity(now),
        "average_cost_before": (was or {}).get("average_cost"),
        "average_cost_after": (now or {}).get("average_cost"),
        "reason": reason,
    }


def _quantity(row: Row | None) -> float:
    return 0.0 if row is None else float(row["quantity"])


def _delivery(option: GoneOption, count: int, shares: ShareMove) -> str:
    units = option.delivery / abs(option.contracts) * count
    price = f"at {shares.price:.2f}" if shares.price is not None else "at a price that the messages do not say"
    return (
        f"{count} of {abs(option.contracts):g} contracts delivered {units:+g} shares at {option.strike:g}: the shares"
        f" moved by {shares.moved:+g}, {price}."
    )


def _name(row: Row) -> str:
    return f"{row['symbol']} {row['expiry']} {row['strike']:g} {row['right']}"

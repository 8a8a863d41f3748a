"""What the selection of contracts knows beside the listing, and the words for a selection of nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.codes import remedy_of
from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.payloads import ParameterRecord
from trading_assets.collecting.report import CollectionReport
from trading_assets.collecting.steps.chain import Chain
from trading_assets.planning.selection import next_expiry, wanted_expiries
from trading_assets.pricing.dividends import broker_dividends
from trading_assets.repositories.conditions_sql import NO_EXPIRY, NOTHING_MISSED
from trading_assets.selection_rules import SelectionRules

_NEXT, _NONE_LATER = "next ", "none later"
"""What the sentence about a selection of nothing says of the next expiry."""

NOT_BEFORE_ITS_TIME = (OutcomeKind.NOT_PERMITTED, OutcomeKind.QUARANTINED)
"""Ends of the underlying's quote after which the chain is not to be asked for at once."""


def same_selection(reason: str, rules: SelectionRules) -> bool:
    """Whether a reason that `unselected_sentence` gave was of these rules."""
    return f"({rules.words()})" in reason


def unselected_sentence(symbol: str, rules: SelectionRules, chain: Chain, session: date) -> str:
    """Why nothing was selected: no expiry inside the selection, with the next one; nothing behind them; or no contract
    that fits."""
    words = f"the selection ({rules.words()})"
    if chain.table.num_rows:
        return f"None of the {chain.table.num_rows} listed contracts of {symbol} fits {words}."
    if chain.expiries:
        return f"The broker lists no contract behind the {len(chain.expiries)} expiries of {symbol} inside {words}."
    least, most = rules.min_days_to_expiry, rules.max_days_to_expiry
    within = f"between {least} and {most} days" if least else f"within {most} days"
    following = next_expiry(chain.parameters, rules, session)
    named = _NONE_LATER if following is None else f"{_NEXT}{following}"
    of = f" of {', '.join(rules.trading_classes)}" if rules.trading_classes else ""
    return f"{symbol}: no expiry{of} {within}, {named}. Nothing of it is wanted until one lies inside {words}."


def is_still_without_expiry(reason: str, latest: date) -> bool:
    """Whether, by a sentence of `unselected_sentence` of an earlier session, no expiry is known up to `latest` yet."""
    found = re.search(NO_EXPIRY, reason)
    return found is not None and (found[2] is None or date.fromisoformat(found[2]) > latest)


def unselected_meanwhile(
    reason: str, rules: SelectionRules, day: date, parameters: Iterable[ParameterRecord] = (), *, still: bool = False
) -> str | None:
    """Why nothing would have been selected in a session without a chain, from the `reason` of the last chain before it
    that selected nothing; None where that is not known.

    `parameters` are those of the next chain: an expiry that they name for the day was listed meanwhile, and nobody
    knows when. `still`: that chain selects nothing either, by the same rules.
    """
    if not same_selection(reason, rules):
        return None
    if not still:
        latest = day + timedelta(days=rules.max_days_to_expiry)
        if not is_still_without_expiry(reason, latest) or wanted_expiries(parameters, rules, day):
            return None
    return NOTHING_MISSED.format(day) + reason.rpartition(NOTHING_MISSED.partition("{}")[2])[2]


def without_price(symbol: str, quote: Outcome | None, *, delayed: bool = False) -> str:
    """Why no contract could be selected: what the broker said of the underlying's quote comes first."""
    consequence = f"the price of {symbol} is not known, so no contract could be selected for quotes."
    if quote is None or quote.kind in (OutcomeKind.COMPLETE, OutcomeKind.EMPTY):
        return f"{consequence[0].upper()}{consequence[1:]} Run it again when the market is open."
    code = f" (code {quote.code})" if quote.code is not None else ""
    said = quote.text.rstrip(".") or str(quote.kind).replace("_", " ")
    return f"The quote of {symbol} failed: {said}{code}; {consequence} {remedy_of(quote, delayed=delayed)}".strip()


def dividends_of(quotes: Iterable[Result], report: CollectionReport) -> dict[str, str]:
    """The broker's texts of expected dividends by symbol, from the quotes of underlyings. One that cannot be read is a
    note of the report, and none."""
    found: dict[str, str] = {}
    for result in quotes:
        text = result.payload.get("dividends") if result.outcome.kind is OutcomeKind.COMPLETE else None
        if not text:
            continue
        try:
            broker_dividends(text, result.request.session)
        except ValueError as error:
            report.notes.append(f"{result.request.symbol}: {error}")
        else:
            found[result.request.symbol] = text
    return found


def with_known_open_interest(chain: Chain) -> pa.Table:
    """The listing with the open interest of the last snapshot, which the rules may ask for; null where none was
    seen."""
    position = pc.index_in(chain.table["con_id"], chain.last["con_id"].combine_chunks())
    column = chain.last["open_interest"].combine_chunks().take(position.combine_chunks())
    return chain.table.set_column(chain.table.schema.get_field_index("open_interest"), "open_interest", column)

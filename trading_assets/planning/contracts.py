"""Contract details: which underlyings are asked for, and which rows are carried forward.

A contract row is believed for some days (`verify_days`) and carried into each new session without a request; then the
broker is requested again, because symbols move between exchanges and companies.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from trading_assets.broker.requests import ContractDetailsRequest
from trading_assets.instrument import Instrument
from trading_assets.sessions import session_date


@dataclass(frozen=True, slots=True)
class ContractsPlan:
    """Requests, and the symbols whose latest row is carried into the session without one."""

    requests: list[ContractDetailsRequest]
    carried: list[str]


def plan_contracts(
    underlyings: Iterable[Instrument],
    verified_at: Mapping[str, datetime | None],
    now: datetime,
    session: date,
    *,
    verify_days: int = 7,
    settled: Collection[str] = (),
    refresh: bool = False,
) -> ContractsPlan:
    """One request a symbol never seen or verified at least `verify_days` days ago (New York dates); the rest is
    carried.

    `underlyings` are described in words (`universe.UniverseEntry.instrument`), not by contract id: asking by id would
    never show that the symbol has moved to another contract. `verified_at` maps a symbol to the `verified_at` (UTC) of
    its latest row. `settled` symbols already have their row, or a recorded refusal that is still believed, in this
    session: neither asked for nor carried. `refresh` asks for all, whatever is stored.
    """
    requests: list[ContractDetailsRequest] = []
    carried: list[str] = []
    for words in sorted({words.symbol: words for words in underlyings}.values(), key=lambda words: words.symbol):
        if words.symbol in settled and not refresh:
            continue
        verified = verified_at.get(words.symbol)
        if verified is None or refresh or (session_date(now) - session_date(verified)).days >= max(verify_days, 1):
            requests.append(ContractDetailsRequest(words, session))
        else:
            carried.append(words.symbol)
    return ContractsPlan(requests, carried)

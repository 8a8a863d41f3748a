"""What is being asked: one collector an open request gathers the messages of its answer and knows when it has ended.

A collector ends exactly once, with an `Outcome` and a neutral payload (`broker.payloads`). It turns the library's
objects into plain values at once, so that nothing of the library lives on. Quotes have a module of their own
(`broker.quotes`).
"""

from __future__ import annotations

import asyncio
from typing import Any

from trading_assets.broker.codes import CodeClass, classify, lookup
from trading_assets.broker.numbers import number
from trading_assets.broker.outcomes import Outcome, OutcomeKind
from trading_assets.broker.payloads import ContractRecord, ParameterRecord
from trading_assets.broker.requests import BarsRequest, Request
from trading_assets.broker.wire_format import CONTRACT_DATA_END, KINDS, Unreadable, plain_text
from trading_assets.sessions import Clock, session_date

Answer = tuple[Outcome, Any]

_DATE_LENGTH = len("YYYYMMDD")

_DAILY = frozenset({"1 day", "1W", "1M"})
"""Bar sizes whose bars carry a date, whatever form of time was asked for."""

COMPLETE = Outcome(OutcomeKind.COMPLETE)


class Collector:
    """Base of all collectors: the future of the answer, and the instant (loop clock) of the last message of it."""

    def __init__(self, request: Request, timeout: float, clock: Clock, in_reset_window: bool = False) -> None:
        self.request = request
        self.timeout = timeout
        self.clock = clock
        self._in_reset_window = in_reset_window
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Answer] = self._loop.create_future()
        self.touched = self._loop.time()
        self.req_id = -1
        self._records: list[Any] = []
        """What has come of an answer of several messages."""
        self.warnings: list[tuple[int, str]] = []
        self.refused = False
        """Whether the broker ended the request with an error: nothing of it is left open there."""
        self.given_up = False
        """Whether we ended it before the broker did: it still works at it."""
        self.doubt: Outcome | None = None
        """The end of a request that a message may have been about which could not be read, should nothing else come."""
        self._timer = self._loop.call_at(self.touched + timeout, self._check)

    def touch(self) -> None:
        """A message of the answer has come: the timeout counts from here."""
        self.touched = self._loop.time()

    def end(self, outcome: Outcome, payload: Any = None) -> None:
        """End with an outcome; a second end is ignored."""
        self._timer.cancel()
        if not self.answer.done():
            self.answer.set_result((outcome, payload))

    def error(self, code: int, text: str) -> None:
        """A message of the broker with this request's id and a code: a warning is noted, anything else ends the
        request."""
        row = lookup(code, text)
        if row is not None and row.cls is CodeClass.WARNING:
            self.warnings.append((code, text))
            return
        self.refused = True
        self.end(self._refined(classify(code, text, in_reset_window=self._in_reset_window)))

    def give_up(self, outcome: Outcome) -> None:
        """End the request from our side."""
        if not self.answer.done():
            self.given_up = True
            self.end(self.doubt or outcome if outcome.kind is OutcomeKind.TIMEOUT else outcome)

    def unreadable(self, message: str, fault: str, *, certain: bool = True) -> Outcome:
        """The outcome of a request of whose answer `message` could not be read, for the reason `fault`; not `certain`:
        it may be another's."""
        whose = "about" if certain else "that may be about"
        return Outcome(
            OutcomeKind.UNREADABLE,
            None,
            f"TWS's message {message} {whose} {_words(self.request)} could not be read: {fault}. This is not a"
            " statement that there is no data.",
        )

    def _refined(self, outcome: Outcome) -> Outcome:
        """An option that has expired is EXPIRED, whichever way the broker says that it has nothing; what is alive never
        is."""
        instrument = self.request.instrument
        expired = instrument.sec_type == "OPT" and "" < instrument.last_trade < f"{session_date(self.clock()):%Y%m%d}"
        asks_history = isinstance(self.request, BarsRequest)
        if expired and asks_history and outcome.kind in (OutcomeKind.NO_CONTRACT, OutcomeKind.EMPTY):
            return Outcome(OutcomeKind.EXPIRED, outcome.code, outcome.text)
        if outcome.kind is OutcomeKind.EXPIRED and not expired:
            return Outcome(OutcomeKind.REJECTED, outcome.code, outcome.text)
        return outcome

    def _check(self) -> None:
        due = self.touched + self.timeout
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._check)
        else:
            self.give_up(Outcome(OutcomeKind.TIMEOUT, None, f"No answer within {self.timeout:g} s."))


class ContractCollector(Collector):
    """`contractData` messages up to `contractDataEnd`."""

    def contract(self, details: Any) -> None:
        self.touch()
        self._records.append(contract_record(details))

    def finished(self) -> None:
        if self._records:
            self.end(COMPLETE, {"contracts": self._records})
        else:  # of what does not exist TWS says 200: the contract got lost
            self.end(self.unreadable(str(KINDS[CONTRACT_DATA_END]), "no contract came before it"))


class ParameterCollector(Collector):
    """`securityDefinitionOptionParameter` messages up to their end."""

    def parameters(self, record: ParameterRecord) -> None:
        self.touch()
        self._records.append(record)

    def finished(self) -> None:
        if self._records:
            self.end(COMPLETE, {"parameters": self._records})
        else:
            self.end(Outcome(OutcomeKind.EMPTY, None, "The broker lists no options of this underlying."))


class BarsCollector(Collector):
    """The bars of one `historicalData` message. Starts are epoch seconds, of daily and larger bars `YYYYMMDD`."""

    def __init__(self, request: Request, timeout: float, clock: Clock, in_reset_window: bool = False) -> None:
        super().__init__(request, timeout, clock, in_reset_window)
        self._bars: list[Any] = []
        self.bar = self._bars.append
        """Takes one bar of the library. The hottest call of all: bars are made plain once, at the end."""

    def finished(self) -> None:
        if self._bars:
            start = _day if isinstance(self.request, BarsRequest) and self.request.bar_size in _DAILY else _instant
            self.end(COMPLETE, {"bars": [_plain(bar, start(bar.date)) for bar in self._bars]})
        else:
            self.end(self._refined(Outcome(OutcomeKind.EMPTY, None, "The broker answered without a bar.")))


def _day(text: str) -> str:
    """`YYYYMMDD` as it is. Raises `Unreadable` for anything else."""
    if len(text) != _DATE_LENGTH or not text.isdecimal():
        raise Unreadable(f"the time {text!r} of a bar is no date")
    return text


def _instant(text: str) -> int:
    """Epoch seconds. Raises `Unreadable` for anything else: a time in words carries the zone of whoever wrote it."""
    if len(text) <= _DATE_LENGTH or not text.isdecimal():
        raise Unreadable(f"the time {text!r} of a bar is no instant in epoch seconds")
    return int(text)


def _plain(bar: Any, start: str | int) -> list[Any]:
    prices = (number(value) for value in (bar.open, bar.high, bar.low, bar.close))
    count = None if bar.barCount == -1 else bar.barCount
    return [start, *prices, number(bar.volume, -1), number(bar.average, -1), count]


def _words(request: Request) -> str:
    """What a request is about, for sentences."""
    instrument = request.instrument
    if instrument.local_symbol:
        return instrument.local_symbol
    strike = f"{instrument.strike:g}" if instrument.strike else ""
    return " ".join(filter(None, (instrument.symbol, instrument.last_trade, strike, instrument.right)))


def contract_record(details: Any) -> ContractRecord:
    """The neutral record of a library's ContractDetails."""
    c = details.contract
    return ContractRecord(
        con_id=int(c.conId),
        symbol=c.symbol,
        sec_type=c.secType,
        last_trade=c.lastTradeDateOrContractMonth,
        strike=number(c.strike) or 0.0,
        right=_right(c.right),
        multiplier=c.multiplier,
        exchange=c.exchange,
        primary_exchange=c.primaryExchange,
        currency=c.currency,
        local_symbol=c.localSymbol,
        trading_class=c.tradingClass,
        long_name=details.longName,
        min_tick=number(details.minTick) or 0.0,
        time_zone_id=details.timeZoneId,
        trading_hours=details.tradingHours,
        liquid_hours=details.liquidHours,
        industry=plain_text(details.industry),
        category=plain_text(details.category),
        subcategory=plain_text(details.subcategory),
        stock_type=details.stockType,
        market_name=plain_text(details.marketName),
        under_con_id=int(details.underConId or 0),
        contract_month=details.contractMonth,
        real_expiration_date=details.realExpirationDate,
        last_trade_time=details.lastTradeTime,
        market_rule_ids=details.marketRuleIds,
        valid_exchanges=details.validExchanges,
        sec_ids=" ".join(sorted(f"{pair.tag}={pair.value}" for pair in details.secIdList or ())),
    )


def _right(text: str) -> str:
    """`C` for `C` and `CALL`, `P` for `P` and `PUT`; anything else as it came."""
    return text[:1].upper() if text.upper() in ("C", "CALL", "P", "PUT") else text


def parameter_record(
    exchange: str, con_id: int | str, trading_class: str, multiplier: str, expirations: list[str], strikes: list[float]
) -> ParameterRecord:
    """The neutral record of one `securityDefinitionOptionParameter` message (the libraries leave the contract id a
    string)."""
    return ParameterRecord(
        exchange=exchange,
        trading_class=trading_class,
        multiplier=multiplier,
        underlying_con_id=int(con_id or 0),
        expirations=sorted(expirations),
        strikes=sorted(strikes),
    )

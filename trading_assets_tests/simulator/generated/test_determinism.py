"""The same answers in every process, in any order of questions, at any moment."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from datetime import date, timedelta

from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.market import ContractQuery
from trading_assets_tests.simulator.generated.questions import chain, day_bars, near_the_money, new_york, underlying

NOW = new_york(date(2025, 6, 18), 11, 7, 33)

DIGEST = """
import hashlib
from datetime import date, datetime, timedelta, UTC
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.market import ContractQuery
market, now, told = GeneratedMarket(42), datetime(2025, 6, 18, 15, 7, 33, tzinfo=UTC), hashlib.sha256()
for symbol in ("AAPL", "QWER", "BRK B"):
    (stock,) = market.contracts(ContractQuery(symbol=symbol, sec_type="STK"), now)
    options = market.contracts(ContractQuery(symbol=symbol, sec_type="OPT"), now)
    for contract in (stock, *options[::40]):
        for size in ("30 mins", "8 hours"):
            told.update(repr(market.bars(contract, size, "TRADES", now - timedelta(days=12), now, True, now)).encode())
        told.update(repr((contract, market.quote(contract, now))).encode())
print(told.hexdigest())
"""


def _digest(hash_seed: str) -> str:
    done = subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": hash_seed})
    return done.stdout.strip()


def test_two_processes_tell_the_same() -> None:
    first = _digest("1")
    assert len(first) == 64
    assert first == _digest("2")


def test_order_of_questions_does_not_matter(market: GeneratedMarket) -> None:
    contracts = [underlying(market, "MSFT", NOW), underlying(market, "SPX", NOW), *chain(market, "MSFT", NOW)[::37]]
    questions = [(contract, size) for contract in contracts for size in ("5 mins", "1 hour", "8 hours")]
    told = [market.bars(c, size, "TRADES", NOW - timedelta(days=5), NOW, True, NOW) for c, size in questions]
    other, order = GeneratedMarket(42), list(range(len(questions)))
    random.Random(7).shuffle(order)
    for i in order:
        contract, size = questions[i]
        assert other.bars(contract, size, "TRADES", NOW - timedelta(days=5), NOW, True, NOW) == told[i]


def test_another_seed_is_another_market(market: GeneratedMarket) -> None:
    other = GeneratedMarket(7)
    stock = underlying(market, "AAPL", NOW)
    assert other.identity != market.identity
    assert day_bars(other, stock, "1 day", date(2025, 6, 17), NOW) != day_bars(market, stock, "1 day", date(2025, 6, 17), NOW)


def test_history_does_not_depend_on_the_moment(market: GeneratedMarket) -> None:
    """Without a split between them, two moments see the same finished bars."""
    day, later = date(2025, 6, 17), NOW + timedelta(days=9)
    stock = underlying(market, "AAPL", NOW)
    option = near_the_money(chain(market, "AAPL", NOW, last_trade="20250718"), market.quote(stock, NOW).last or 0, 1)[0]
    for contract in (stock, option):
        for size in ("5 mins", "8 hours"):
            assert day_bars(market, contract, size, day, NOW) == day_bars(market, contract, size, day, later)


def test_a_contract_id_is_understood_after_a_restart(market: GeneratedMarket) -> None:
    for symbol in ("AAPL", "SPX", "QWER"):
        for contract in chain(market, symbol, NOW)[::101]:
            restarted = GeneratedMarket(42)
            assert restarted.contracts(ContractQuery(con_id=contract.con_id, symbol=symbol, sec_type="OPT"), NOW) == [contract]
            if symbol != "QWER":  # built in: the id alone is enough
                assert GeneratedMarket(42).by_id(contract.con_id) == contract

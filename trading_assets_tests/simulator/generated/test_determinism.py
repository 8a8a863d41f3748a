"""The same answers in every process, in any order of questions, at any moment."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.market import ContractQuery
from trading_assets_tests.simulator.generated.questions import chain, day_bars, near_the_money, new_york, underlying

REPOSITORY = Path(__file__).resolve().parents[3]
NOW = new_york(date(2025, 6, 18), 11, 7, 33)


def digest() -> str:
    """A digest of contracts, bars and quotes of a new market."""
    told, market = hashlib.sha256(), GeneratedMarket(42)
    for symbol in ("AAPL", "QWER", "BRK B"):
        for contract in (underlying(market, symbol, NOW), *chain(market, symbol, NOW)[::40]):
            for size in ("30 mins", "8 hours"):
                told.update(
                    repr(market.bars(contract, size, "TRADES", NOW - timedelta(days=12), NOW, True, NOW)).encode()
                )
            told.update(repr((contract, market.quote(contract, NOW))).encode())
    return told.hexdigest()


def test_another_process_tells_the_same() -> None:
    """Also with another seed of Python's own hashes."""
    command = "from trading_assets_tests.simulator.generated.test_determinism import digest; print(digest())"
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True, env=environment, cwd=REPOSITORY
    )
    assert done.stdout.strip() == digest()


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
    assert day_bars(other, stock, "1 day", date(2025, 6, 17), NOW) != day_bars(
        market, stock, "1 day", date(2025, 6, 17), NOW
    )


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
            assert restarted.contracts(ContractQuery(con_id=contract.con_id, symbol=symbol, sec_type="OPT"), NOW) == [
                contract
            ]
            if symbol != "QWER":  # built in: the id alone is enough
                assert GeneratedMarket(42).by_id(contract.con_id) == contract

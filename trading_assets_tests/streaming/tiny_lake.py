"""A lake that knows the contracts of the tiny market, as a collection would have left it. Not a test."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import pandas as pd

from trading_assets.repositories import ContractRepository, LakeIdentity, OptionChainSnapshotRepository
from trading_assets.simulator.market import ListedContract
from trading_assets_tests.simulator.tiny_market import NOW, OPTIONS, UNDERLYINGS, TinyMarket

SESSION = date(2024, 6, 3)


def fill(data_dir: Path) -> None:
    """Write the contracts of AAA, BBB, IDX and QUIET and the chain of AAA."""
    LakeIdentity(data_dir).pin(f"simulated/{TinyMarket.name}/{TinyMarket.identity}")
    named = [one for one in UNDERLYINGS if one.symbol in ("AAA", "BBB", "IDX", "QUIET")]
    ContractRepository(data_dir=data_dir).save(contract_rows(named, SESSION, NOW))
    OptionChainSnapshotRepository(data_dir=data_dir).save(
        pd.DataFrame(
            {
                "session": SESSION,
                "symbol": one.symbol,
                "con_id": one.con_id,
                "under_con_id": one.under_con_id,
                "expiry": one.expiry,
                "strike": one.strike,
                "right": one.right,
                "multiplier": float(one.multiplier),
                "trading_class": one.trading_class,
                "local_symbol": one.local_symbol,
                "exchange": one.exchange,
                "currency": one.currency,
                "last_trade": one.last_trade,
                "min_tick": one.min_tick,
                "listed_at": pd.Timestamp(NOW),
                "selected": True,
                "underlying_price": 100.0,
            }
            for one in OPTIONS[6:]
        )
    )


def contract_rows(underlyings: Sequence[ListedContract], session: date, verified_at: datetime) -> pd.DataFrame:
    """Rows of the dataset of contracts."""
    return pd.DataFrame(
        {
            "session": session,
            "symbol": one.symbol,
            "con_id": one.con_id,
            "sec_type": one.sec_type,
            "exchange": one.exchange,
            "primary_exchange": one.primary_exchange,
            "currency": one.currency,
            "local_symbol": one.local_symbol,
            "trading_class": one.trading_class,
            "long_name": one.long_name,
            "min_tick": one.min_tick,
            "time_zone_id": one.time_zone_id,
            "trading_hours": "",
            "liquid_hours": "",
            "industry": "",
            "category": "",
            "subcategory": "",
            "stock_type": one.stock_type,
            "market_rule_ids": "",
            "valid_exchanges": one.valid_exchanges,
            "verified_at": pd.Timestamp(verified_at),
        }
        for one in underlyings
    )

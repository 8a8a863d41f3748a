"""The picture of smiles and surface: of the newest chain only, of what has volatilities, a line a symbol."""

from __future__ import annotations

import io
from datetime import date, timedelta
from pathlib import Path

import pytest
from PIL import Image

from trading_assets.monitoring.report import collect
from trading_assets.monitoring.volatility_picture import volatility_png
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.lake import Lake
from trading_assets.repositories.schemas import OPTION_GREEKS
from trading_assets.settings import Settings
from trading_assets.universe import Universe
from trading_assets_tests.monitoring.test_watch import BEFORE_XMAS, DAYS
from trading_assets_tests.repositories.frames import chain_row, table


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings(data_dir=tmp_path, now=BEFORE_XMAS)
    Universe(found.state_url).add(["AAA", "BBB"])
    return found


def write(settings: Settings, symbol: str, day: date, volatilities: list[float | None]) -> None:
    """A chain of two expiries, with these volatilities by strike."""
    own, rows = set(OPTION_GREEKS.schema.names), []
    for number, expiry in enumerate((day + timedelta(days=9), day + timedelta(days=30))):
        for place, volatility in enumerate(volatilities):
            strike = 100.0 + 5 * (place - len(volatilities) // 2)
            terms = {"expiry": expiry, "strike": strike, "right": "C" if strike >= 100 else "P"}
            listed = chain_row(day, symbol=symbol, con_id=1 + 1000 * number + place, **terms)
            computed = {"source": "chain", "at": BEFORE_XMAS, "price_basis": "mid", "forward": 100.0, "years": 0.1}
            computed["symbol"] = symbol
            known = {"dividends": "none", "model": "american_tree", "implied_volatility": volatility}
            rows.append({name: value for name, value in listed.items() if name in own} | computed | known)
    ParquetStore(settings.data_dir).upsert(OPTION_GREEKS, table(OPTION_GREEKS, rows))


def picture(settings: Settings) -> Image.Image | None:
    drawn = volatility_png(Lake.of(settings, BEFORE_XMAS), ["AAA", "BBB"])
    return None if drawn is None else Image.open(io.BytesIO(drawn)).convert("RGB")


def test_without_volatilities_there_is_none(settings: Settings) -> None:
    assert picture(settings) is None
    write(settings, "AAA", DAYS[0], [None] * 5)
    assert picture(settings) is None
    (section,) = (each for each in collect(settings).sections if each.title == "Implied volatility")
    assert section.picture is None and section.note


def test_it_is_of_the_newest_chain_with_a_line_a_symbol(settings: Settings) -> None:
    smile = [0.4, 0.33, 0.3, 0.29, 0.31]
    write(settings, "AAA", DAYS[0], smile)
    old = picture(settings)
    write(settings, "AAA", DAYS[-1], [0.5, 0.4, None, 0.3, 0.35])
    new = picture(settings)
    assert old is not None and new is not None and old.size == new.size and old.tobytes() != new.tobytes()
    write(settings, "BBB", DAYS[-1], smile)
    both = picture(settings)
    assert both is not None and both.size == (new.width, 2 * new.height)
    (section,) = (each for each in collect(settings).sections if each.title == "Implied volatility")
    assert section.picture is not None and section.picture.startswith(b"\x89PNG")

"""Bars of an answer in another unit, as bars in the unit that the settings say.

| quantity | unit of the answer | what is done |
| --- | --- | --- |
| volume of stocks | `shares`, `round_lots` | divided or multiplied by 100 where the setting says the other |
| volume of options | `shares` (of the deliverable), `contracts` | shares are divided by 100 |
| price | `cents`, `hundreds` | divided, multiplied by 100 |
| time | `+3h`, `-3h`, ... | moved back by so many hours (intraday bars) |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from trading_assets.broker.outcomes import Result
from trading_assets.broker.requests import BarsRequest
from trading_assets.broker.unit_decisions import AS_IS
from trading_assets.collecting.decode.unit_changes import Quantity
from trading_assets.repositories.schemas import OPTION_BARS

STOCK_VOLUME = ("shares", "round_lots")
OPTION_VOLUME = ("contracts", "shares")
PRICE = ("cents", "hundreds")
_SETTING = "stock_volume_unit"
_HOURS = re.compile(r"[+-](\d|1[0-4])(\.5)?h")


def in_assumed_units(result: Result, units: Mapping[str, str], volume_setting: str) -> Any:
    """The payload of an answer to a `bars` request with its values in the units of the settings.

    `units` are the decided ones of its quantities (`broker.unit_decisions.units_of`).
    """
    volume = _volume_factor(result, units.get(Quantity.VOLUME, AS_IS), volume_setting)
    price = {"cents": 0.01, "hundreds": 100.0}.get(units.get(Quantity.PRICE, AS_IS), 1.0)
    seconds = round(hours_of(units.get(Quantity.TIME, AS_IS)) * 3_600)
    payload = result.payload
    if (volume, price, seconds) == (1.0, 1.0, 0) or not isinstance(payload, dict):
        return payload
    bars = payload.get("bars")
    return {**payload, "bars": [_bar(bar, volume, price, seconds) for bar in bars]} if type(bars) is list else payload


def held_value(unit: str, volume_setting: str | None = None) -> str:
    """What the fault of a held answer has as its value: the unit that the answer seems to be in and, of volumes of
    stocks, the setting `stock_volume_unit` by which it was judged."""
    return f"in {unit}" if volume_setting is None else f"by {_SETTING} {volume_setting} in {unit}"


def held_unit(value: str) -> str:
    """The unit of such a value."""
    return value.rpartition(" ")[2]


def held_setting(value: str, default: str) -> str:
    """The setting of such a value; `default` where it has none."""
    found = re.search(rf"{_SETTING} (\w+)", value)
    return found[1] if found else default


def hours_of(unit: str) -> float:
    """The hours of a unit of time (`+3h`); 0 for any other word."""
    return float(unit[:-1]) if _HOURS.fullmatch(unit) else 0.0


def unit_found(quantity: Quantity, factor: float, dataset: str, volume_setting: str) -> str:
    """The unit that an answer is in, as it came, where its values are `factor` times what was expected under the
    settings; `as_is` where its unit is the expected one, so that the stored values are in another."""
    if quantity is Quantity.TIME:
        return f"{factor:+g}h"
    if quantity is Quantity.PRICE:
        return "cents" if factor > 1 else "hundreds"
    if dataset == OPTION_BARS.name:
        return "shares" if factor > 1 else AS_IS
    if factor > 1:
        return "shares" if volume_setting == "round_lots" else AS_IS
    return "round_lots" if volume_setting == "shares" else AS_IS


def _volume_factor(result: Result, unit: str, setting: str) -> float:
    request = result.request
    if request.dataset == OPTION_BARS.name:
        return 0.01 if unit == "shares" else 1.0
    if unit in (AS_IS, setting) or not isinstance(request, BarsRequest) or request.instrument.sec_type != "STK":
        return 1.0
    return 0.01 if unit == "shares" else 100.0


def _bar(bar: Any, volume: float, price: float, seconds: int) -> Any:
    """A bar of a payload (`broker.payloads`) in other units; what is no number stays for the examination to refuse."""
    if type(bar) is not list or len(bar) != 8:
        return bar
    start, *prices, traded, wap, count = bar
    return [
        start - seconds if type(start) is int else start,
        *(_scaled(value, price) for value in prices),
        _scaled(traded, volume),
        _scaled(wap, price),
        count,
    ]


def _scaled(value: Any, factor: float) -> Any:
    """A value times a factor; -1 and other values that mean none stay."""
    usable = type(value) in (int, float) and 0 < value < 1e300
    return round(value * factor, 8) if usable and factor != 1.0 else value

"""Run by a Python that has nautilus_trader: reads catalogs with its own code, replays their bars in its backtest
engine, and prints what they hold as JSON, one line a folder."""

import json
import sys

from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar
from nautilus_trader.model.enums import AccountType, OmsType
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Money
from nautilus_trader.persistence.catalog.parquet import ParquetDataCatalog
from nautilus_trader.trading.strategy import Strategy


class Listener(Strategy):
    """Counts the bars that the engine gives it."""

    def __init__(self, bar_types: set[object]) -> None:
        super().__init__()
        self.bar_types, self.heard = bar_types, 0

    def on_start(self) -> None:
        """Ask for all of them."""
        for bar_type in self.bar_types:
            self.subscribe_bars(bar_type)

    def on_bar(self, bar: Bar) -> None:
        """Count it."""
        self.heard += 1


def heard(instruments: list[Instrument], bars: list[Bar]) -> int:
    """How many bars a strategy receives in a backtest of all of them."""
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    for venue in {instrument.id.venue for instrument in instruments}:
        engine.add_venue(venue, OmsType.NETTING, AccountType.MARGIN, starting_balances=[Money(1, USD)])
    for instrument in instruments:
        engine.add_instrument(instrument)
    listener = Listener({bar.bar_type for bar in bars})
    engine.add_strategy(listener)
    engine.add_data(bars)
    engine.run()
    count = listener.heard
    engine.dispose()
    return count


def held(folder: str) -> dict[str, object]:
    """The instruments as their own dictionaries, and the bars with exact numbers as text."""
    catalog = ParquetDataCatalog(folder)
    instruments: list[Instrument] = catalog.instruments()
    bars: list[Bar] = catalog.bars()
    texts = [
        [str(b.bar_type), *map(str, (b.open, b.high, b.low, b.close, b.volume)), b.ts_event, b.ts_init] for b in bars
    ]
    dictionaries = [type(instrument).to_dict(instrument) for instrument in instruments]
    return {"instruments": dictionaries, "bars": texts, "heard": heard(instruments, bars)}


for name in sys.argv[1:]:
    print(json.dumps(held(name)))

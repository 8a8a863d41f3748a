"""The live store as a recorder writes it and as followers read it: `LiveWriter`, `LiveTail`, `latest_quotes`."""

from trading_assets.streaming.store.latest import latest_quotes
from trading_assets.streaming.store.tail import LiveTail
from trading_assets.streaming.store.writer import LiveWriter

__all__ = ["LiveTail", "LiveWriter", "latest_quotes"]

"""Tests of `trading_assets.trading`."""

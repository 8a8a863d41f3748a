"""The four assets, one module each: thin narratives over `trading_assets.collecting`."""

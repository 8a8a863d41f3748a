"""Direct requests from a script or a notebook: the guide's `api_client`.

    from trading_assets.client import connect_broker

    api_client = connect_broker()
    api_client.get_equity_bars("AAPL", "2024-01-02", "2024-06-28")

What a request brings is stored like that of any asset; what the lake has already costs no request.
"""

from trading_assets.client.broker_client import BrokerClient, connect_broker
from trading_assets.client.named_contracts import Contracts

__all__ = ["BrokerClient", "Contracts", "connect_broker"]

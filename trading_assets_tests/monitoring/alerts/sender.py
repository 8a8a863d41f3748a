"""A process of its own that reconciles one issue or delivers; its settings come from the environment. Not a test.

python -m trading_assets_tests.monitoring.alerts.sender reconcile|deliver|both
"""

from __future__ import annotations

import os
import signal
import sys

from trading_assets.monitoring.alerts import Alerts, AlertType, Issue, deliver
from trading_assets.settings import Settings

TROUBLE = Issue(AlertType.MISSING_EQUITY_DATA, "AAPL", "The equity bars of 2024-05-31 are not complete.")


def main(what: str) -> None:
    settings = Settings()
    if what in ("reconcile", "both"):
        Alerts(settings).reconcile([TROUBLE], types=[TROUBLE.alert_type], now=settings.clock())
    if what == "reconcile":
        os.kill(os.getpid(), signal.SIGKILL)  # dies between the change and its telling
    deliver(settings)


if __name__ == "__main__":
    main(sys.argv[1])

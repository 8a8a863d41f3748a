"""The kernels are compiled before the first test: hypothesis measures the time of an example."""

from __future__ import annotations

import pytest

from trading_assets.pricing.kernels.__main__ import main


@pytest.fixture(scope="session", autouse=True)
def compiled_kernels() -> None:
    """All entry points, compiled or read from the copy on disk."""
    main()

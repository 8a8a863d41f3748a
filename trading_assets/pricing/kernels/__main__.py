"""`python -m trading_assets.pricing.kernels` compiles all kernels ahead of their first use: some five CPU seconds, or
half a second where that was done."""

from __future__ import annotations

from trading_assets.pricing import american, black_scholes


def main() -> None:
    """Call each entry point once."""
    for model in (black_scholes, american):
        model.implied_volatility(model.price(100, 100, 0.5, 0.3, "P", 0.02), 100, 100, 0.5, "P", 0.02)


if __name__ == "__main__":
    main()

"""Option pricing: values, greeks and implied volatility (`black_scholes`)."""

__all__ = ["american", "black_scholes"]

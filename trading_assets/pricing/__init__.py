"""Option pricing: values, greeks and implied volatility (`black_scholes`)."""

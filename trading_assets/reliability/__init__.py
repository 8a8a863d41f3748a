"""Circuit breaker and retry, with state shared across processes."""

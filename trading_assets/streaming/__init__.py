"""Live market data: streams of quotes and five-second bars, recorded with what was not seen and why."""

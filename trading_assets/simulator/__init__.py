"""A TWS that speaks the real wire protocol: server, limits, faults, markets."""

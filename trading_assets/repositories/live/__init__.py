"""Live data before it is in period files: segments that a recorder appends to, and the Parquet parts they are sealed
into. Reading, sealing and merging; the recorder's side is `streaming.store`."""

"""The lake: dataset schemas, the Parquet store, repositories, the DuckDB catalog and coverage."""

"""The examples that docs/extend.md speaks of, run as they stand."""

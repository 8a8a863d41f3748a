"""Your own archive of US equity and option data, collected from Interactive Brokers as Dagster assets."""

__version__ = "0.1.0"

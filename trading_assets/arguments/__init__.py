"""What users give to the public functions, checked and brought into one form.

Every public entry (a function or method that users call, a command, the run config of the UI) passes its arguments
through here before it does anything else:

| argument | accepted | refused |
| --- | --- | --- |
| symbol | a text in any case, `brk.b`; to read, also a closed series `META@8314` | everything else, an empty text |
| symbols | None (all), one text (one symbol), any collection; duplicates count once, the order is kept | an empty one |
| day | `date`, `datetime`, pandas `Timestamp`, numpy `datetime64`, ISO text | NaT, numbers, months, other texts |
| range | two days, either of which may be None (not bounded) | one that ends before it begins |
| session | a day with trading on XNYS | weekends and holidays; the nearest sessions are named |
| bar size | the broker's words for a size that is collected, in any case | everything else |
| right | C, P, call, put, in any case | everything else |
| number | a whole or finite number within its bounds | booleans, NaN, what is out of bounds |
| folder | a folder with a lake, to read | a folder without one; nothing is created in it |

A datetime with a time zone is an instant and means its day in New York: `2024-06-04T01:00Z` is 2024-06-03. One without
a zone means the day that is written. All errors are `InvalidRequest` (a `ValueError`) or below; the sentence names the
argument, its value and what is allowed.
"""

from trading_assets.arguments.config_fields import checked_config, checked_field
from trading_assets.arguments.days import day, day_range, end_of_range, optional_day, session, session_range
from trading_assets.arguments.folders import holds_lake, lake_folder, new_lake_folder
from trading_assets.arguments.numbers import (
    ALERT_HOURS,
    CON_ID,
    DATABASE_ID,
    LIMIT,
    LOOKBACK_DAYS,
    MINUTES,
    REQUESTS,
    SESSIONS,
    STRIKE,
    Bounds,
)
from trading_assets.arguments.symbols import (
    one_symbol,
    some_symbols,
    stored_symbol,
    stored_symbols,
)
from trading_assets.arguments.words import bar_size, bar_sizes, dataset, datasets, local_symbol, one_of, right

__all__ = [
    "ALERT_HOURS",
    "CON_ID",
    "DATABASE_ID",
    "LIMIT",
    "LOOKBACK_DAYS",
    "MINUTES",
    "REQUESTS",
    "SESSIONS",
    "STRIKE",
    "Bounds",
    "bar_size",
    "bar_sizes",
    "checked_config",
    "checked_field",
    "dataset",
    "datasets",
    "day",
    "day_range",
    "end_of_range",
    "holds_lake",
    "lake_folder",
    "local_symbol",
    "new_lake_folder",
    "one_of",
    "one_symbol",
    "optional_day",
    "right",
    "session",
    "session_range",
    "some_symbols",
    "stored_symbol",
    "stored_symbols",
]

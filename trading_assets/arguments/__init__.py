"""What users give to the public functions, checked and brought into one form.

Every public entry (a function or method that users call, a command, the run config of the UI) passes its arguments
through here before it does anything else:

| argument | accepted | refused |
| --- | --- | --- |
| symbol | a text in any case, `brk.b`; to read, also a closed series `META@8314` | everything else, an empty text |
| symbols | None (all), one text (one symbol), a collection, a column of a frame; each once, in order | an empty one |
| contract ids | one number, a collection, a column of a frame; whole numbers that are floats, too | everything else |
| day | `date`, `datetime`, pandas `Timestamp`, numpy `datetime64`, ISO text | NaT, numbers, months, other texts |
| range | two days, either of which may be None (not bounded) | one that ends before it begins |
| session | a day with trading on XNYS | weekends and holidays; the nearest sessions are named |
| bar size | the broker's words for a size that is collected, in any case | everything else |
| right | C, P, call, put, in any case | everything else |
| number | a whole or finite number within its bounds | booleans, NaN, what is out of bounds |
| file to write | a path outside of the data folder, or in its `reports` | the archive's own files, devices, pipes |
| folder | a folder with a lake, to read | a folder without one; nothing is created in it |

A datetime with a time zone is an instant and means its day in New York: `2024-06-04T01:00Z` is 2024-06-03. One without
a zone means the day that is written. All errors are `InvalidRequest` (a `ValueError`) or below; the sentence names the
argument, its value and what is allowed.
"""

# ruff: noqa: F401 (other folders have these names from here)
from trading_assets.arguments.columns import plain, several
from trading_assets.arguments.config_fields import checked_config, checked_field
from trading_assets.arguments.days import day, day_range, end_of_range, optional_day, session, session_range
from trading_assets.arguments.folders import holds_lake, lake_folder, new_lake_folder, output_file
from trading_assets.arguments.numbers import (
    ALERT_HOURS,
    CON_ID,
    DATABASE_ID,
    KEPT_SNAPSHOTS,
    LIMIT,
    LOOKBACK_DAYS,
    MINUTES,
    REQUESTS,
    SESSIONS,
    STRIKE,
    Bounds,
    con_ids,
    one_con_id,
)
from trading_assets.arguments.symbols import (
    one_symbol,
    some_symbols,
    stored_symbol,
    stored_symbols,
)
from trading_assets.arguments.words import (
    COLLECTED,
    RULED,
    STORED,
    any_of,
    bar_size,
    bar_sizes,
    dataset,
    datasets,
    local_symbol,
    one_of,
    right,
    ruled_dataset,
)

"""The sensors of the session's times: its snapshot, its bars, the last look before contracts expire, its
positions.

They are sensors and not schedules: Dagster's cron knows neither holidays nor half days, so a schedule would show runs
that do not happen, and a time missed while the machine was off would be gone. A sensor looks whether the time has come,
on half days too, and makes good what was missed. What is due is said by `monitoring.agenda`, that it is started once by
`automation.run_dedup`.
"""

from trading_assets.automation.sensors import agenda_sensor
from trading_assets.monitoring import agenda
from trading_assets.monitoring.hours import DAILY_BARS, DAILY_POSITIONS, DAILY_SNAPSHOT, LAST_CHANCE

LOOK_SECONDS = 120
"""Seconds between two looks: how late a session's run may start."""

daily_snapshot = agenda_sensor(
    DAILY_SNAPSHOT,
    "snapshot",
    agenda.daily_snapshot,
    "Every session at 15:45 New York, on half days at 12:45: contracts and option chains, 15 minutes before the close "
    "(setting snapshot_lead_minutes). The reason of each skipped tick names the next time.",
    seconds=LOOK_SECONDS,
)

daily_bars = agenda_sensor(
    DAILY_BARS,
    "backfill_bars",
    agenda.daily_bars,
    "Every session at 16:30 New York, on half days at 13:30: equity and option bars, 30 minutes after the close"
    " (setting bars_delay_minutes), also of sessions missed shortly before. The reason of each skipped tick names the"
    " next time.",
    seconds=LOOK_SECONDS,
)

last_chance = agenda_sensor(
    LAST_CHANCE,
    "backfill_bars",
    agenda.last_chance,
    "On sessions when selected contracts expire, at 15:00 New York, on half days at 12:00: the bars they still lack, an"
    " hour before the close (setting last_chance_lead_minutes).",
    seconds=LOOK_SECONDS,
)

daily_positions = agenda_sensor(
    DAILY_POSITIONS,
    "positions",
    agenda.daily_positions,
    "Every session at 15:55 New York, on half days at 12:55: what the accounts hold, 5 minutes before the close"
    " (setting positions_lead_minutes), when the day's chains are quoted. The reason of each skipped tick names the"
    " next time.",
    seconds=LOOK_SECONDS,
)

SESSION_SENSORS = (daily_snapshot, daily_bars, last_chance, daily_positions)

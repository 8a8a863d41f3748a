"""The outbox: messages are put there in the transaction that changes their alerts, and taken from there by `delivery`.

So whoever is killed between a change and its notifier loses no message and sends none twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby

import sqlalchemy as sa

from trading_assets.monitoring.alerts.alert_tables import alert_messages
from trading_assets.monitoring.alerts.texts import AlertEntry, Event, body, title

ALERTS_TOLD_SINGLY = 10
"""More alerts of one type and event in one reconcile come as one message: a broker that is down all night must not send
500."""


def waiting(connection: sa.Connection) -> set[tuple[int, str]]:
    """Alert and channel of every opening or reminder that is still to be sent."""
    query = sa.select(alert_messages.c.alert_ids, alert_messages.c.channel).where(
        alert_messages.c.sent_at.is_(None),
        alert_messages.c.abandoned_at.is_(None),
        alert_messages.c.event != Event.CLEARED.value,
    )
    return {(alert_id, row.channel) for row in connection.execute(query) for alert_id in json.loads(row.alert_ids)}


def put(
    connection: sa.Connection,
    event: Event,
    reported: Sequence[AlertEntry],
    channel: str,
    now: float,
    headline: str = "",
) -> None:
    """Put messages on alerts of any types into the outbox of one channel: one each, or one for all of a type when they
    are many."""
    for _, same_type in groupby(
        sorted(reported, key=lambda each: (each.alert_type.value, each.subject)), key=lambda each: each.alert_type
    ):
        group = list(same_type)
        for part in [group] if len(group) > ALERTS_TOLD_SINGLY else [[each] for each in group]:
            connection.execute(
                alert_messages.insert().values(
                    alert_id=part[0].alert_id,
                    alert_ids=json.dumps([each.alert_id for each in part]),
                    channel=channel,
                    event=event.value,
                    number=part[0].told,
                    severity=part[0].severity.value,
                    title=title(event, part),
                    body=body(event, part, now, headline),
                    created_at=now,
                    attempts=0,
                    next_attempt_at=now,
                )
            )

"""How long the recorder waits for what. Seconds, unless the name says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from trading_assets.broker.connection import PONG_TIMEOUT
from trading_assets.streaming.link import QUIET_SECONDS
from trading_assets.streaming.outlet import MOST_WAITING
from trading_assets.streaming.upstream import RESUME_SECONDS


@dataclass(frozen=True, slots=True)
class Timing:
    """The waits of a recorder."""

    wanted_seconds: float = 0.5
    """Between two looks at what is wanted."""
    look_again_seconds: float = 30.0
    """Until the lake is asked again for a contract that it lacked."""
    reselect_seconds: float = 300.0
    """Until the lake is asked again which options are nearest the money and which are held."""
    follow_seconds: float = 30.0
    """Between two choices of other options because a price has moved far."""
    publish_seconds: float = 1.0
    """Between two publications of the health."""
    steer_seconds: float = 0.25
    """Between two looks at what is to be sent, and at the time that passes."""
    quiet_seconds: float = QUIET_SECONDS
    """Without a message, after which TWS is asked for the time."""
    pong_seconds: float = PONG_TIMEOUT
    """For TWS to answer that, or the connection is dead."""
    standstill_seconds: float = 15.0
    """For which the process did not run, with a suspended machine for example, until what it missed is a gap."""
    resume_seconds: float = RESUME_SECONDS
    """For a stream to go on after an outage before it is asked for again."""
    retry_seconds: float = 60.0
    """Until a stream is asked for again whose silence has a cause that may pass: a competing session, no free line."""
    image_seconds: float = 10.0
    """Within which a new subscription brings the whole quote: the broker's model and the open interest come last."""
    most_waiting: int = MOST_WAITING
    """Rows that may wait for the writer."""

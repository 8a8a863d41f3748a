"""Channels: how a message reaches Slack, e-mail, a webhook or the log. The one place that knows Apprise.

A channel's URL carries its password. It is read from the settings when a message is sent, given to Apprise, and appears
nowhere else: errors are sentences of our own, made of an HTTP status at most, and what Apprise and the HTTP library log
is dropped from the first sending on. A channel of another package (`trading_assets.extensions`) is a function.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from trading_assets.errors import ChannelFailed, ExtensionFailed
from trading_assets.extensions import CHANNELS, loaded, registered
from trading_assets.monitoring.alerts.kinds import AlertSeverity
from trading_assets.monitoring.alerts.routing import LOG_CHANNEL
from trading_assets.settings import Settings

logger = logging.getLogger("trading_assets.alerts")

_LIBRARY_LOGGERS = ("apprise", "urllib3.connectionpool", "urllib3.util.retry", "slixmpp")
"""Loggers that name URLs, hosts, paths and tokens, also from threads that outlive the sending."""

_STATUS = re.compile(r"\berror\s?[=:]\s?(\d{3})\b")
"""How Apprise's services word the HTTP status they were answered with."""


def known_channels(settings: Settings) -> tuple[str, ...]:
    """Names of the channels there are: the log, those of the settings, those of other packages."""
    return tuple(dict.fromkeys((LOG_CHANNEL, *settings.alert_channels, *registered(CHANNELS))))


def send(settings: Settings, channel: str, title: str, body: str, severity: AlertSeverity) -> None:
    """Send one message; returns when the service has taken it. Raises `ChannelFailed`.

    Takes some seconds at most: Apprise waits 4 s for the connection and 4 s for the answer unless the URL says
    otherwise.
    """
    if channel == LOG_CHANNEL:
        logger.warning("%s: %s", title, body.replace("\n", " | "))
    elif channel in settings.alert_channels:
        _notify(channel, settings.alert_channels[channel], title, body, severity)
    elif channel in registered(CHANNELS):
        _call(channel, title, body, severity)
    else:
        known = ", ".join(known_channels(settings))
        raise ChannelFailed(
            f"There is no channel {channel!r}: name it in the setting alert_channels, with its Apprise URL. Known:"
            f" {known}."
        )


def _call(channel: str, title: str, body: str, severity: AlertSeverity) -> None:
    """Send through the function of another package. What it raises may name a password: its kind alone is told."""
    try:
        loaded(registered(CHANNELS)[channel])(title, body, str(severity))
    except ExtensionFailed as error:
        raise ChannelFailed(str(error)) from error
    except Exception as error:
        raise ChannelFailed(f"Channel {channel!r} did not take the message ({type(error).__name__}).") from error


def _notify(channel: str, url: str, title: str, body: str, severity: AlertSeverity) -> None:
    kinds = {AlertSeverity.CRITICAL: "failure", AlertSeverity.WARNING: "warning", AlertSeverity.INFO: "info"}
    with _captured_logs() as said:
        import apprise  # loads slowly, most processes send nothing, and it logs while it loads

        asset = apprise.AppriseAsset(
            app_id="trading-assets", app_desc="Trading Assets", app_url="", secure_logging=True, async_mode=False
        )
        service = apprise.Apprise(asset=asset)
        if not service.add(url):
            raise ChannelFailed(
                f"The URL of channel {channel!r} is none that Apprise understands: compare it with docs/alerts.md."
            )
        taken = service.notify(body=body, title=title, notify_type=kinds[severity], body_format="text")
    if not taken:
        status = _STATUS.search(" ".join(said))
        answer = f"answered with HTTP status {status[1]}" if status else "did not answer or did not take the message"
        raise ChannelFailed(f"Channel {channel!r} {answer}.")


class _Drop(logging.Filter):
    """Keeps what the libraries say from every handler, in whichever thread they work, and remembers it while a message
    is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == "apprise" and record.levelno >= logging.WARNING:
            self.texts.append(record.getMessage())
        return False


_drop = _Drop()
_one_at_a_time = threading.Lock()


@contextmanager
def _captured_logs() -> Iterator[list[str]]:
    """What the libraries log goes nowhere but into the list that is given. One message at a time, so that the list
    speaks of it."""
    for name in _LIBRARY_LOGGERS:
        logging.getLogger(name).addFilter(_drop)  # adding it again changes nothing
    with _one_at_a_time:
        _drop.texts.clear()
        yield _drop.texts

"""The other end of the channels: a webhook and a mail server on this machine that really receive what is sent."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

SECRET = "s3cr3t-w0rd"
"""The password in the channels' URLs: it must never be seen anywhere else."""


class Webhook:
    """Receives JSON posts. `status` is what it answers; while `gate` is closed it takes a request and does not
    answer."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.arrived: list[dict[str, Any]] = []
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                webhook.arrived.append(document)
                webhook.gate.wait(300)
                if webhook.status == 200:
                    webhook.taken.append(document)
                try:
                    self.send_response(webhook.status)
                    self.end_headers()
                except OSError:  # whoever asked is gone: killed, as the test wanted
                    self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]

    @property
    def url(self) -> str:
        """The channel, with a secret for user and in the path."""
        return f"json://desk:{SECRET}@127.0.0.1:{self.port}/hooks/{SECRET}?rto=60"

    @property
    def titles(self) -> list[str]:
        """Titles of the messages that were taken."""
        return [document["title"] for document in self.taken]

    @contextmanager
    def running(self) -> Iterator[Webhook]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.gate.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()


class _Inbox:
    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[tuple[str, list[EmailMessage]]]:
    """A running mail server: the URL of a channel that sends to it, and the mails it has received."""
    inbox = _Inbox()
    with socket.socket() as free:  # the controller connects to itself by the number it was given: 0 will not do
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield f"mailto://127.0.0.1:{port}?from=archive@example.com&to=desk@example.com&mode=insecure", inbox.mails
    finally:
        controller.stop()

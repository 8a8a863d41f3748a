"""Which HTTP requests the Dagster UI answers: those of its own pages and of programs on this machine.

Dagster's web server has no login and takes any mutation from any page: a page of the web that a browser on this machine
has open could start runs, and with a name that resolves to this machine (DNS rebinding) read the answers. This
middleware stands in front of the whole server. It refuses (403):

- a `Host` that is not one of ours, also for WebSockets;
- an `Origin` that is not the page's own address, a page of another port of this machine included;
- `Sec-Fetch-Site: cross-site` or `same-site`, but for following a link to a page of the UI;
- GraphQL mutations by GET, and every POST whose content type a foreign page may send without being asked about it
  (CORS).

A request without `Origin` and `Sec-Fetch-Site` comes from no browser of today (curl, scripts) and is answered.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
"""Hosts that always mean this machine; no name server is asked for them by a browser."""

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?")
"""A value of the header `Host`, in lower case."""

_ANY_ADDRESS = ("", "0.0.0.0", "::")

_ASKED_ABOUT = ("application/json", "application/graphql")
"""Content types of GraphQL requests that a browser sends to another origin only after asking it (CORS preflight)."""

_NOT_ASKED_ABOUT = ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
"""Content types that a browser sends to any origin without asking."""

_NO_PAGES = ("/graphql", "/logs/", "/download_debug/", "/notebook", "/dagit/", "/report_asset")
"""Paths that give data or take it; every other path gives the UI's page or a file of it."""


class Guard:
    """An ASGI application that answers the requests described above itself and hands all others to `app`.

    `host` is the address the server is bound to, `names` are further hosts that browsers may name (a name of this
    machine in its network, a proxy's). Bound to more than loopback, every literal IP address is a host of ours: only
    names can be rebound.
    """

    def __init__(self, app: App, host: str, names: Iterable[str] = ()) -> None:
        self._app = app
        self._names = {*LOOPBACK_NAMES, host.lower(), *(_without_port(name.lower()) for name in names)} - set(
            _ANY_ADDRESS
        )
        self._any_address = not is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or hand on; what is no request (the lifespan) is handed on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        reason = self._refusal(scope)
        if reason is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": reason})
        else:
            await _refuse(send, reason)

    def _refusal(self, scope: Scope) -> str | None:
        """Why the request is refused; None when it is not."""
        headers = _Headers(scope)
        host = headers.one("host")
        if host is None or not self._is_ours(host):
            return (
                "This address is not one of this server: open the UI under the address that trading-assets up printed."
            )
        origin = headers.one("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return "A page of another origin asked for this."
        if headers.one("sec-fetch-site") not in (None, "same-origin", "none") and not _follows_a_link(scope, headers):
            return "A page of another site asked for this."
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            return _wrong_content(scope, headers)
        if scope["type"] == "http" and scope["path"].rstrip("/") == "/graphql" and _has_mutation(scope):
            return "A mutation is sent by POST with the content type application/json."
        return None

    def _is_ours(self, host: str) -> bool:
        name = _without_port(host)
        return name in self._names or (self._any_address and _is_address(name))


class _Headers:
    """The headers of a request: names in lower case, values as text."""

    def __init__(self, scope: Scope) -> None:
        self._pairs = [
            (name.decode("latin-1").lower(), value.decode("latin-1").strip().lower())
            for name, value in scope["headers"]
        ]

    def one(self, name: str) -> str | None:
        """The value in lower case; None when the header is absent, and a value nothing equals when it is there more
        than once."""
        values = [value for given, value in self._pairs if given == name]
        return values[0] if len(values) == 1 else (None if not values else ", ".join(values))


def is_loopback(host: str) -> bool:
    """Whether a server bound to `host` is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _without_port(host: str) -> str:
    """`localhost:3000` and `[::1]:3000` without the port and the brackets; nothing for what is no host."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]) if found else ""


def _follows_a_link(scope: Scope, headers: _Headers) -> bool:
    """Whether a person followed a link of another site, an alert's for instance, to a page: nothing but the page's
    frame is answered."""
    return (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and headers.one("sec-fetch-mode") == "navigate"
        and headers.one("sec-fetch-dest") == "document"
        and not scope["path"].startswith(_NO_PAGES)
    )


def _wrong_content(scope: Scope, headers: _Headers) -> str | None:
    """Why the content type of a request that changes something is refused."""
    content = (headers.one("content-type") or "").partition(";")[0].strip()
    graphql = scope["path"].rstrip("/") == "/graphql"
    if content in _NOT_ASKED_ABOUT or (graphql and content not in _ASKED_ABOUT):
        return "Send this with the content type application/json."
    return None


def _has_mutation(scope: Scope) -> bool:
    """Whether the query string holds a GraphQL mutation. A text that cannot be parsed holds none: the server says what
    is wrong with it."""
    for text in parse_qs(scope["query_string"].decode("latin-1")).get("query", ()):
        try:
            document = parse(text)
        except GraphQLError:
            continue
        if any(
            isinstance(node, OperationDefinitionNode) and node.operation is OperationType.MUTATION
            for node in document.definitions
        ):
            return True
    return False


async def _refuse(send: Send, reason: str) -> None:
    body = reason.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})

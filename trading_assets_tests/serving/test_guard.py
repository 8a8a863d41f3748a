"""The guard in front of the UI: what pages of the web, of this machine and programs may ask for."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlencode

import pytest

from trading_assets.serving.guard import Guard, is_loopback
from trading_assets_tests.coroutines import run_coroutine

OWN = {
    "host": "127.0.0.1:3000",
    "origin": "http://127.0.0.1:3000",
    "sec-fetch-site": "same-origin",
    "content-type": "application/json",
}
MUTATION = "/graphql?" + urlencode({"query": "mutation { launchPipelineExecution { __typename } }"})
QUERY = "/graphql?" + urlencode({"query": "{ version }"})


async def _served(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "served"})


def ask(
    method: str, url: str, headers: dict[str, str], *, host: str = "127.0.0.1", names: tuple[str, ...] = ()
) -> list[MutableMapping[str, Any]]:
    """What is sent for a request through a guard in front of a server bound to `host`; `WS` is the opening of a
    WebSocket."""
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("the guard reads no body")

    path, _, query = url.partition("?")
    kind = {"type": "websocket"} if method == "WS" else {"type": "http", "method": method}
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    run_coroutine(
        Guard(_served, host, names)(
            {**kind, "path": path, "query_string": query.encode(), "headers": pairs}, receive, send
        )
    )
    return sent


def served(method: str, url: str, headers: dict[str, str], **bound: Any) -> bool:
    """Whether the request reached the server; else it was refused with 403 and a reason, or the WebSocket was closed
    before it opened."""
    sent = ask(method, url, headers, **bound)
    if sent[0]["type"] == "served":
        return True
    if method == "WS":
        assert [message["type"] for message in sent] == ["websocket.close"]
    else:
        assert (sent[0]["status"], sent[1]["body"].endswith(b".")) == (403, True)
    return False


@pytest.mark.parametrize(
    ("method", "url", "headers"),
    [
        ("GET", "/", OWN),
        ("GET", "/assets/equity_bars", {"host": "localhost:3000"}),
        ("GET", "/static/main.js", {"host": "[::1]:3000", "sec-fetch-site": "same-origin"}),
        ("GET", "/", {"host": "localhost:8080"}),  # an SSH tunnel from another port
        (
            "GET",
            "/",
            {"host": "127.0.0.1:3000", "sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
        ),  # typed into the address bar
        ("POST", "/graphql", OWN),
        ("POST", "/graphql", {"host": "127.0.0.1:3000", "content-type": "application/json; charset=utf-8"}),  # curl
        ("GET", QUERY, {"host": "127.0.0.1:3000"}),
        ("GET", "/graphql?query=%7Bnonsense", {"host": "127.0.0.1:3000"}),  # the server says what is wrong with it
        ("WS", "/graphql", OWN),
        ("WS", "/graphql", {"host": "localhost:3000", "origin": "http://localhost:3000"}),
        ("POST", "/report_asset_materialization/x", {"host": "localhost:3000", "content-type": "application/json"}),
    ],
)
def test_own_pages_and_programs_are_served(method: str, url: str, headers: dict[str, str]) -> None:
    assert served(method, url, headers)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "WS"])
@pytest.mark.parametrize(
    "changes",
    [
        {"host": "evil.example"},
        {"host": "evil.example:3000", "origin": "http://evil.example:3000"},  # a name that resolves to this machine
        {"host": "127.0.0.1.evil.example:3000"},
        {"host": "localhost.evil.example"},
        {"host": "10.0.0.1:3000"},
        {"host": ""},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8888"},  # another program of this machine
        {"origin": "http://localhost:3000"},
        {"origin": "http://127.0.0.1:3000.evil.example"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "anything new"},
    ],
)
@pytest.mark.parametrize(
    "path",
    ["/", "/graphql", "/logs/run/step/stdout", "/download_debug/run", "/report_asset_materialization/x", "/notebook"],
)
def test_a_foreign_page_gets_nothing(method: str, path: str, changes: dict[str, str]) -> None:
    assert not served(method, path, {**OWN, **changes})


@pytest.mark.parametrize("origin", [{}, {"origin": "http://127.0.0.1:3000"}])
@pytest.mark.parametrize(
    "query",
    [
        "mutation { a }",
        "mutation M($e: Int) { a(e: $e) }",
        "# a remark\nmutation{a}",
        "query Q { version } mutation M { a }",
        "fragment F on T { a } mutation { ...F }",
    ],
)
def test_a_mutation_by_get_is_refused_whoever_sends_it(query: str, origin: dict[str, str]) -> None:
    assert not served("GET", "/graphql?" + urlencode({"query": query}), {"host": "127.0.0.1:3000", **origin})
    assert not served("GET", "/graphql/?" + urlencode({"query": query}), {"host": "127.0.0.1:3000", **origin})
    assert served(
        "GET", "/graphql?" + urlencode({"query": "query Q { mutation: version }"}), {"host": "127.0.0.1:3000", **origin}
    )


@pytest.mark.parametrize(
    "content",
    [
        "",
        "text/plain",
        "text/plain; application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "image/png",
    ],
)
def test_a_post_that_browsers_send_without_asking_is_refused(content: str) -> None:
    assert not served("POST", MUTATION, {"host": "127.0.0.1:3000", "content-type": content})
    assert not served("POST", "/graphql", {"host": "127.0.0.1:3000", "content-type": content})


def test_a_link_of_another_site_opens_a_page_and_nothing_else() -> None:
    link = {
        "host": "127.0.0.1:3000",
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
    }
    assert served("GET", "/runs/1", link)
    assert not served("GET", "/runs/1", {**link, "sec-fetch-dest": "iframe"})
    assert not served("GET", QUERY, link)
    for path in (
        "/download_debug/1",
        "/logs/1/stdout",
        "/notebook?path=/home/me/downloaded.ipynb",
        "/dagit/notebook?path=/home/me/downloaded.ipynb",
    ):
        assert not served("GET", path, link)
    assert not served("POST", "/runs/1", {**link, "content-type": "application/json"})


def test_a_header_that_is_there_twice_is_refused() -> None:
    class Twice(dict[str, str]):
        def items(self) -> Any:
            return [("host", "127.0.0.1:3000"), ("host", "evil.example")]

    assert not served("GET", "/", Twice())


def test_a_server_for_other_machines_answers_to_its_addresses_and_its_names() -> None:
    bound: dict[str, Any] = {"host": "0.0.0.0", "names": ("Archive.lan:8443",)}
    for host in ("192.168.1.5:3000", "[fe80::1]:3000", "archive.lan:3000", "localhost:3000"):
        assert served("POST", "/graphql", {**OWN, "host": host, "origin": f"http://{host}"}, **bound)
    assert served("POST", "/graphql", {**OWN, "host": "archive.lan", "origin": "https://archive.lan"}, **bound), (
        "behind a proxy with TLS"
    )
    assert not served("GET", "/", {"host": "evil.example"}, **bound)
    assert not served("POST", "/graphql", {**OWN, "host": "archive.lan", "origin": "https://evil.example"}, **bound)


def test_the_life_of_the_server_is_handed_on() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    run_coroutine(Guard(_served, "127.0.0.1")({"type": "lifespan"}, None, send))  # type: ignore[arg-type]
    assert sent == [{"type": "served"}]


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("127.8.8.8", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("box", False),
    ],
)
def test_loopback_is_this_machine_only(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback

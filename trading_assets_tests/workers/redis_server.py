"""A Redis server on a free port of this machine. Not a test."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

from trading_assets_tests.leaving_out import leave_out
from trading_assets_tests.observing import eventually

PASSWORD = "p@ss/word"


class RedisServer:
    """The server, which keeps nothing on disk. `url` is that of its clients."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("redis-server") is None:
            leave_out("there is no Redis server to test on: apt-get install redis-server")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = int(free.getsockname()[1])
        self._folder = folder
        self.url = f"redis://:p%40ss%2Fword@127.0.0.1:{self._port}/0"
        self.start()

    def start(self) -> None:
        """Start it, empty, on the same port as before."""
        options = {"port": self._port, "bind": "127.0.0.1", "save": "", "dir": self._folder, "requirepass": PASSWORD}
        command = ["redis-server", *(str(word) for name, value in options.items() for word in (f"--{name}", value))]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        eventually(self._answers, 60)

    def kill(self) -> None:
        """End it; what it had is lost."""
        self._process.kill()
        self._process.wait()

    def client(self) -> Any:
        """A client of it."""
        import redis  # late: not in each process that collects tests

        return redis.Redis.from_url(self.url)

    def _answers(self) -> bool:
        assert self._process.poll() is None, "redis-server has ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

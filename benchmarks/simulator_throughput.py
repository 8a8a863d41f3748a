"""How many small historical answers (25 bars) the simulator gives a second, asked by a raw socket: demanded are 1,000.

    python benchmarks/simulator_throughput.py [--answers 5000]

The client only sends and counts frames, so that the simulator is what is measured; both share one process, as in tests.
Prints one line a case with its ratio to the demand; exits with 1 when one is below it.
"""

from __future__ import annotations

import argparse
import socket
import struct
import sys
import time
from datetime import UTC, datetime

from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.market import ContractQuery, ListedContract

DEMAND = 1000.0
"""Small answers a second at zero latency."""

NOW = datetime(2024, 6, 3, 20, 30, tzinfo=UTC)
IN_FLIGHT = 50
"""Requests open at once: the broker's most."""


def framed(*fields: object) -> bytes:
    """One message of the client."""
    payload = "".join(f"{field}\0" for field in fields).encode()
    return struct.pack(">I", len(payload)) + payload


def bars_request(req_id: int, row: ListedContract, size: str, duration: str) -> bytes:
    """A reqHistoricalData."""
    block = (
        row.con_id,
        row.symbol,
        row.sec_type,
        row.last_trade,
        row.strike,
        row.right,
        row.multiplier,
        "SMART",
        "",
        "USD",
        row.local_symbol,
        "",
    )
    return framed(20, req_id, *block, 0, "", size, duration, 1, "TRADES", 2, 0, "")


class Reader:
    """A client that counts historical answers."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self._buffer = bytearray()
        self.socket.sendall(b"API\0" + struct.pack(">I", 9) + b"v157..178")
        self._payload()
        self.socket.sendall(framed(71, 2, 1, ""))

    def _payload(self) -> bytes:
        while True:
            if len(self._buffer) >= 4:
                (length,) = struct.unpack_from(">I", self._buffer)
                if len(self._buffer) >= 4 + length:
                    payload = bytes(self._buffer[4 : 4 + length])
                    del self._buffer[: 4 + length]
                    return payload
            data = self.socket.recv(1 << 18)
            if not data:
                raise EOFError("The simulator closed the connection.")
            self._buffer += data

    def answer(self) -> int:
        """Wait for a historical answer; returns its bars, 0 for the error "no data"."""
        while True:
            payload = self._payload()
            if payload.startswith(b"17\x00"):
                return int(payload.split(b"\0", 5)[4])
            if payload.startswith(b"4\x00") and not payload.startswith(b"4\x002\x00-1\x00"):
                return 0

    def measure(self, requests: list[bytes]) -> tuple[float, float]:
        """Answers a second, and bars an answer, with up to `IN_FLIGHT` requests open."""
        bars, sent, start = 0, 0, time.perf_counter()
        for received in range(len(requests)):
            if sent - received <= IN_FLIGHT // 2:
                batch = requests[sent : received + IN_FLIGHT]
                self.socket.sendall(b"".join(batch))
                sent += len(batch)
            bars += self.answer()
        return len(requests) / (time.perf_counter() - start), bars / len(requests)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=5000)
    arguments = parser.parse_args()
    market = GeneratedMarket()
    stock = market.contracts(ContractQuery(symbol="AAPL", sec_type="STK"), NOW)
    expiry = market.option_parameters("AAPL", "STK", stock[0].con_id, NOW)[0].expirations[4]
    options = market.contracts(ContractQuery(symbol="AAPL", sec_type="OPT", last_trade=expiry), NOW)
    near = options[len(options) // 2 - 20 : len(options) // 2 + 20]
    cases = {"1 day bars of a stock": (stock, "1 day", "25 D"), "8 hours bars of options": (near, "8 hours", "25 D")}
    rates = []
    with Simulator(market, now=NOW, limits=False) as simulator:
        reader = Reader(simulator.port)
        for name, (rows, size, duration) in cases.items():
            requests = [bars_request(i, rows[i % len(rows)], size, duration) for i in range(arguments.answers)]
            reader.measure(requests[: 2 * len(rows) + 100])
            rate, bars = reader.measure(requests)
            rates.append(rate)
            sys.stdout.write(
                f"{name}: {rate:,.0f} answers/s of {bars:.1f} bars, {rate / DEMAND:.2f} x the demand of"
                f" {DEMAND:,.0f}/s\n"
            )
    return int(min(rates) < DEMAND)


if __name__ == "__main__":
    sys.exit(main())

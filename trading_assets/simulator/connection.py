"""One client's connection: handshake, message rate, dispatch, delivery with faults, cancellation.

A connection reads frames, turns them into calls for the services, and delivers what they answer. It keeps the requests
that are open (pending or streaming) so that a cancel, a lost connectivity or a closed socket ends them and gives their
resources back. All of it runs in the server's event loop.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from typing import TYPE_CHECKING

from trading_assets.simulator import encoding
from trading_assets.simulator.calls import Answer, Call
from trading_assets.simulator.decoding import decode
from trading_assets.simulator.limits import Arrival
from trading_assets.simulator.market import MarketRefusal
from trading_assets.simulator.outbox import Outbox
from trading_assets.simulator.protocol import FrameReader, MalformedFrame, MalformedRequest
from trading_assets.simulator.request_checks import HISTORY_ERROR, Refusal
from trading_assets.simulator.requests import DATA_KINDS, ApiRequest, Cancel, Words
from trading_assets.simulator.timetext import connection_time

if TYPE_CHECKING:
    from trading_assets.simulator.server import TwsServer

_log = logging.getLogger(__name__)

_VERSIONS = re.compile(r"v(\d+)\.\.(\d+)(?: (.*))?", re.DOTALL)

PACE_OPTION = "+PACEAPI"
"""Connect option by which a client asks to be paced instead of refused."""

SECOND = 1.0
"""Strikes for the message rate are given once in so many seconds, not for every message above it."""


REMOTE_REFUSALS = frozenset({162, 200, 10187})
"""Errors that come from the broker's servers and take as long as an answer; the others TWS gives itself, at once."""


class Connection(asyncio.Protocol):
    """A client, from its first byte to its last."""

    def __init__(self, server: TwsServer) -> None:
        self._server = server
        self._world = server.world
        self._frames = FrameReader()
        self._backlog: deque[bytes] = deque()
        self._paced_by_option = False
        self._strikes = 0
        self._last_strike = float("-inf")
        self._open: dict[tuple[str, int], tuple[Call[ApiRequest], asyncio.Task[None]]] = {}
        self._calls: set[asyncio.Task[None]] = set()
        self.outbox: Outbox
        self.client_id = -1
        self.version = 0
        self.market_data_type = 1
        self.follows_positions = False
        self.started = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.outbox = Outbox(transport, self._world.counters)
        if not self._server.admit(self):
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.forget(self)
        self.end_calls()

    def data_received(self, data: bytes) -> None:
        try:
            for payload in self._frames.feed(data):
                self._received(payload)
        except MalformedFrame as error:
            _log.warning("Client %s: %s", self.client_id, error)
            self.close()

    # what the services use (ClientLink)

    def send(self, *frames: bytes) -> None:
        """Write frames after everything already sent."""
        self.outbox.send(*frames)

    def error(self, req_id: int, code: int, text: str) -> None:
        """Send an error or status."""
        if req_id >= 0:
            self._world.counters.error(code)
        self.outbox.send(encoding.error(self.version, req_id, code, text))

    def close(self) -> None:
        """Close the socket after what was written is sent."""
        self.outbox.close()

    # reading

    def _received(self, payload: bytes) -> None:
        if not self.version:
            self._shake_hands(payload)
            return
        if self._backlog:
            self._backlog.append(payload)
            return
        self._meter(payload)

    def _shake_hands(self, payload: bytes) -> None:
        found = _VERSIONS.fullmatch(payload.decode("utf-8", "backslashreplace").rstrip("\0"))
        if not found:
            raise MalformedFrame("The client's first frame names no version range.")
        self._paced_by_option = PACE_OPTION in (found[3] or "")
        self.version = min(int(found[2]), self._server.version)
        self.send(encoding.version_reply(self.version, connection_time(self._world.clock.now())))

    def _meter(self, payload: bytes) -> None:
        world, arrival = self._world, self._server.arrival()
        world.counters.received()
        over = world.meters.messages.add(arrival)
        if not over:
            self._dispatch(payload, arrival)
            return
        limits = world.meters.limits
        if not self._paced_by_option:
            world.counters.violation(
                "messages", f"{over} messages within a second, {limits.messages_per_second} allowed", self.client_id
            )
        if not world.enforced:
            self._dispatch(payload, arrival)
        elif self._paced_by_option or limits.on_message_rate == "pace":
            world.counters.paced()
            world.meters.messages.remove_last()
            self._backlog.append(payload)
            self._resume_later()
        else:
            self._strike(over, arrival)

    def _resume_later(self) -> None:
        self.outbox.transport.pause_reading()
        wait = max(self._world.meters.messages.wait(asyncio.get_running_loop().time()), 0.001)
        asyncio.get_running_loop().call_later(wait, self._resume)

    def _resume(self) -> None:
        """Serve what was held back, as far as the rate allows."""
        world, loop = self._world, asyncio.get_running_loop()
        while self._backlog:
            now = loop.time()
            if world.meters.messages.wait(now) > 0:
                self._resume_later()
                return
            arrival = Arrival(now, now)
            world.meters.messages.add(arrival)
            self._dispatch(self._backlog.popleft(), arrival)
        if not self.outbox.transport.is_closing():
            self.outbox.transport.resume_reading()

    def _strike(self, count: int, arrival: Arrival) -> None:
        limits = self._world.meters.limits
        if arrival.latest - self._last_strike < SECOND:
            return
        self._last_strike = arrival.latest
        self._strikes += 1
        most = limits.messages_per_second
        self.error(
            -1, 100, f"Max rate of messages per second has been exceeded:max={most} rec={count} ({self._strikes})"
        )
        if self._strikes >= limits.strikes:
            self._world.counters.connection("dropped")
            self.close()

    def _dispatch(self, payload: bytes, arrival: Arrival) -> None:
        if self.outbox.closing:
            return
        try:
            request = self._world.named(decode(payload, self.version))
        except MalformedRequest as error:
            self.error(error.req_id, 320, f"Error reading request. {error.reason}")
            return
        if not self.started:
            self._start(request)
            return
        self._world.counters.request(self.client_id, request)
        if isinstance(request, Cancel):
            # behind the first step of what it cancels, which may have come in the same segment and counts all the same
            asyncio.get_running_loop().call_soon(self._cancel, request)
            return
        fault = self._server.strike(self, request)
        if fault and fault.do == "drop_before":
            self.close()
            return
        key = (request.kind, request.req_id)
        if request.req_id >= 0 and key in self._open:
            self.error(request.req_id, 322, "Error processing request.-'bX' : cause - Duplicate ticker id")
            return
        call = Call(request, self, self._world, arrival, fault)
        task = asyncio.get_running_loop().create_task(self._serve(call))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        task.add_done_callback(lambda done: self._report(done, request))
        if request.req_id >= 0:
            self._open[key] = (call, task)

    def _start(self, request: ApiRequest) -> None:
        """startApi: the client names itself; nothing else is served before it."""
        if not isinstance(request, Words) or request.kind != "start_api" or not request.words[0].lstrip("-").isdigit():
            self.close()
            return
        self.client_id = int(request.words[0])
        self._world.counters.request(self.client_id, request)
        self._server.start_client(self)

    # serving

    async def _serve(self, call: Call[ApiRequest]) -> None:
        started = asyncio.get_running_loop().time()
        key = (call.request.kind, call.req_id)
        try:
            outcome = await self._outcome(call)
            await self._hold_back(call, started + self._latency(outcome))
            if isinstance(outcome, Refusal):
                self._end(call, key)
                self._world.counters.error(outcome.code)
                self._deliver(call, [encoding.error(self.version, call.req_id, outcome.code, outcome.text)])
                return
            if outcome.stream is None:
                self._end(call, key)
            self._world.counters.answer(call.request.kind)
            self._deliver(call, outcome.frames)
            if outcome.stream is not None:
                await outcome.stream()
        finally:
            self._end(call, key)

    def _latency(self, outcome: Answer | Refusal) -> float:
        if isinstance(outcome, Answer):
            return outcome.seconds
        return self._world.latency.light() if outcome.code in REMOTE_REFUSALS else 0.0

    async def _outcome(self, call: Call[ApiRequest]) -> Answer | Refusal:
        if call.fault and call.fault.error:
            return Refusal(*call.fault.error)
        try:
            return await self._server.handlers[call.request.kind](call)
        except Refusal as refusal:
            return refusal
        except MarketRefusal as refusal:
            return Refusal(refusal.code, refusal.text)

    def _end(self, call: Call[ApiRequest], key: tuple[str, int]) -> None:
        """Give back what the call holds; the next request that the client sends may use it already."""
        call.release()
        entry = self._open.get(key)
        if entry and entry[0] is call:
            del self._open[key]

    async def _hold_back(self, call: Call[ApiRequest], until: float) -> None:
        """Wait for the latency, ordered delays, and what is out of order at the moment."""
        fault = call.fault
        if fault and fault.do == "hang":
            await asyncio.Event().wait()
        if fault and fault.do == "delay":
            until += fault.seconds or 0.0
        if (wait := until - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(wait)
        if call.request.kind in DATA_KINDS:
            await self._world.connected.wait()
            await self._world.farms.wait()

    def _deliver(self, call: Call[ApiRequest], frames: list[bytes]) -> None:
        fault = call.fault
        if fault and fault.do in ("split", "merge", "stall"):
            self.outbox.distort(fault.do, frames, fault.seconds or 0.0, fault.bytes)
        elif fault and fault.do == "drop_during" and frames:
            self.outbox.send_half(frames[0])
            self.close()
        else:
            self.outbox.send(*frames)
            if fault and fault.do == "drop_after":
                self.close()

    def _report(self, task: asyncio.Task[None], request: ApiRequest) -> None:
        """A failure of the simulator itself must be seen, not hang the client."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        _log.error("The simulator failed on %s %s", request.kind, request.subject, exc_info=error)
        self._world.counters.internal_error(f"{request.kind} {request.subject} {request.detail}: {error!r}")
        self.error(request.req_id, 320, f"Error reading request. The simulator failed: {error!r}")

    # ending

    def _cancel(self, cancel: Cancel) -> None:
        entry = self._open.pop((cancel.target, cancel.req_id), None)
        if entry:
            call, task = entry
            call.release()
            task.cancel()
        if cancel.target == "historical_data":
            if entry:
                self.error(cancel.req_id, 162, f"{HISTORY_ERROR}API historical data query cancelled: {cancel.req_id}")
            else:
                self.error(cancel.req_id, 366, f"No historical data query found for ticker id:{cancel.req_id}")
        elif cancel.target in ("market_data", "realtime_bars") and not entry:
            self.error(cancel.req_id, 300, f"Can't find EId with tickerId:{cancel.req_id}")

    def end_calls(self, kinds: frozenset[str] | None = None) -> None:
        """End all calls, or those of some kinds, without a word to the client."""
        for key, (call, task) in list(self._open.items()):
            if kinds is None or call.request.kind in kinds:
                call.release()
                task.cancel()
                self._open.pop(key, None)
        if kinds is None:
            for task in list(self._calls):
                task.cancel()

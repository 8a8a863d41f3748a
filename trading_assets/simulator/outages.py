"""Faults that last: lost connectivity, broken farms, and what goes wrong with running streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from trading_assets.simulator.calls import World
from trading_assets.simulator.faults import LASTING_ACTIONS, FaultRule
from trading_assets.simulator.streams import Streams

FARMS_OK = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefnj"),
)
"""The messages that every client gets after connecting."""
FARMS_BROKEN = (
    (2103, "Market data farm connection is broken:usfarm"),
    (2105, "HMDS data farm connection is broken:ushmds"),
)
LOST = "Connectivity between IBKR and Trader Workstation has been lost."
RESTORED_DATA_LOST = "Connectivity between IBKR and Trader Workstation has been restored - data lost."
RESTORED = (
    "Connectivity between IBKR and Trader Workstation has been restored - data maintained. All data farms are"
    " connected: usfarm; ushmds; secdefil."
)

SendToAll = Callable[[Sequence[tuple[int, str]]], None]


class Outages:
    """Carries out lasting faults on a world; several of them may overlap.

    `send_to_all` sends status messages to all clients, `forget_calls` ends their data requests without a word.
    """

    def __init__(
        self, world: World, streams: Streams, send_to_all: SendToAll, forget_calls: Callable[[], None]
    ) -> None:
        self._world, self._streams = world, streams
        self._send_to_all, self._forget_calls = send_to_all, forget_calls
        self._under_way: list[tuple[FaultRule, asyncio.Event]] = []

    def end(self, do: str, contract: str) -> None:
        """End faults that are under way; with `contract` those of that text."""
        for rule, over in self._under_way:
            if rule.do == do and (not contract or rule.contract == contract):
                over.set()

    async def carry_out(self, rule: FaultRule) -> None:
        """Carry out a fault from its beginning to its end."""
        match rule.do:
            case "connectivity_lost":
                await self._lose_connectivity(rule)
            case "farm_down":
                await self._lose_farms(rule)
            case _ if rule.do in LASTING_ACTIONS:
                with self._streams.disturbed(rule):
                    await self._last(rule)
            case _:
                self._streams.end(rule)

    async def _last(self, rule: FaultRule) -> None:
        entry = (rule, asyncio.Event())
        self._under_way.append(entry)
        try:
            async with asyncio.timeout(rule.seconds):
                await entry[1].wait()
        except TimeoutError:
            return
        finally:
            self._under_way.remove(entry)

    def _count(self, do: str) -> int:
        return sum(rule.do == do and not rule.farm for rule, _ in self._under_way)

    async def _lose_connectivity(self, rule: FaultRule) -> None:
        self._world.connected.clear()
        with self._streams.disturbed(rule):
            self._send_to_all([(1100, LOST)])
            await self._last(rule)
            if rule.data_lost:
                self._forget_calls()
            if not self._count(rule.do):
                self._world.connected.set()
                self._send_to_all([(1101, RESTORED_DATA_LOST) if rule.data_lost else (1102, RESTORED)])

    async def _lose_farms(self, rule: FaultRule) -> None:
        with self._streams.disturbed(rule):
            if rule.farm:
                self._send_to_all([(2103, f"Market data farm connection is broken:{rule.farm}")])
                await self._last(rule)
                self._send_to_all([(2104, f"Market data farm connection is OK:{rule.farm}")])
                return
            self._world.farms.clear()
            self._send_to_all(FARMS_BROKEN)
            await self._last(rule)
            if not self._count(rule.do):
                self._world.farms.set()
                self._send_to_all(FARMS_OK)

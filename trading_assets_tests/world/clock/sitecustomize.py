"""Python runs this at the start of every process that has this folder on its path: its clock is the one of the test.

The offset from the machine's clock, in nanoseconds, is one shared integer in the file of `TEST_CLOCK`; the test moves
all processes by writing it. Waiting (`time.sleep`, `time.monotonic`) stays real.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import mmap
import os
import struct
import sys
import types
from collections.abc import Sequence
from importlib.machinery import ModuleSpec

_OFFSET = struct.Struct("=q")

_OF_REAL_TIME = frozenset({"grpc._channel", "grpc._server", "dagster._grpc.server", "dagster._daemon.controller"})
"""Modules that measure by `time.time()` how long the other side keeps silent: deadlines of gRPC, heartbeats of code
server and daemon."""


_SCHEDULER = "dagster._scheduler.scheduler"
_LOOK_SECONDS = 5.0
"""The scheduler sleeps to the next full minute, by the machine's clock; it would sleep through most of a jump. It looks
this often."""


def _share(file: str) -> None:
    import _time_machine
    import time_machine

    with open(file, "rb") as opened:
        shared = mmap.mmap(opened.fileno(), _OFFSET.size, prot=mmap.PROT_READ)

    class Shared(time_machine.Traveller):
        def time_ns(self) -> int:
            offset: int = _OFFSET.unpack(shared[: _OFFSET.size])[0]
            return int(_time_machine.original_time_ns()) + offset

    time_machine.travel(0.0).start()
    time_machine.traveller_stack[-1] = Shared(0, None, True)
    sys.meta_path.insert(0, _RealTime(_time_machine.original_time))


class _RealTime(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the modules of `_OF_REAL_TIME`, once loaded, a `time` of the machine's clock, and wakes the scheduler more
    often."""

    def __init__(self, real_time: object) -> None:
        self._time = types.ModuleType("time")
        self._real = real_time
        self._loaders: dict[str, importlib.abc.Loader] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in {*_OF_REAL_TIME, _SCHEDULER} or name in self._loaders:
            return None
        self._loaders[name] = importlib.abc.Loader()  # the search below comes back here
        spec = importlib.util.find_spec(name)
        if spec is not None and isinstance(spec.loader, importlib.abc.Loader):
            self._loaders[name], spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: ModuleSpec) -> types.ModuleType | None:
        return self._loaders[spec.name].create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        import time

        self._loaders[module.__name__].exec_module(module)
        if module.__name__ == _SCHEDULER:
            vars(module)["SECONDS_IN_MINUTE"] = _LOOK_SECONDS
            return
        vars(self._time).update(vars(time), time=self._real)
        vars(module)["time"] = self._time


if "TEST_CLOCK" in os.environ:
    _share(os.environ["TEST_CLOCK"])

"""Processes that cost a fork in place of the seconds in which a new Python imports the platform. Not a test.

A server process is forked from the one that runs the tests once these are collected: it has everything imported, and no
thread, no connection and no open file of a lake. It forks a process for each function it is asked to run.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import pickle
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Concatenate, NoReturn

from trading_assets.sessions import calendar
from trading_assets_tests.killing.instants import Instants

PATIENCE = 300.0
"""Seconds after which a process that should have ended long ago counts as hanging; it is killed, and its test fails."""


@dataclass(frozen=True)
class End:
    """How a process ended: the signal that killed it or its exit code, what its function returned, how many instants it
    came to, at which it was killed (in words), and what it wrote to its standard output and error."""

    signal: int | None
    code: int | None
    result: Any = None
    instants: int = 0
    at: str = ""
    output: str = ""

    @property
    def killed(self) -> bool:
        """Whether it was killed by `kill -9`."""
        return self.signal == signal.SIGKILL


@dataclass
class _Order:
    """What a child is to do. Steps below `watched` (with `statements` also those on databases) are counted, and it
    stops at instant `last` (with `or_near`, at its end when that is close to it); what it writes goes to `output`.
    `modules` are imported before."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    talks: bool
    watched: tuple[Path, ...] = ()
    statements: bool = False
    last: int | None = None
    or_near: bool = False
    output: str = ""
    modules: Sequence[str] = ()


@dataclass
class Child:
    """A process. `talk` is the other end of its function's first argument when it was started by `talking`."""

    pid: int
    talk: Connection
    _server: ForkServer = field(repr=False)
    _output: Path = field(repr=False)
    _said: dict[str, Any] = field(default_factory=dict, repr=False)

    def stopped(self) -> str | None:
        """Wait until it stands at its instant; the step in words before which it does. None: it ended by itself."""
        if "at" not in self._said:
            self._hear()
        at: str | None = self._said.get("at")
        return at

    def kill(self) -> End:
        """`kill -9`, and its end."""
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def alive(self) -> bool:
        """Whether it is still at work. Of its answers so far the last one is the next to be heard."""
        while not self._ended() and self.talk.poll():
            self._hear()
        return not self._ended()

    def _ended(self) -> bool:
        return not {"result", "failed", "signal"}.isdisjoint(self._said)

    def wait(self) -> End:
        """Its end. Fails for a function that raised an error."""
        while not {"signal", "code"} & self._said.keys():
            self._hear()
        if self in self._server._children:
            self._server._children.remove(self)
            self.talk.close()
        said, written = self._said, self._output.read_text("utf-8", "replace") if self._output.exists() else ""
        self._server.learn(said.get("modules", ()))
        assert said["code"] in (0, None), f"a forked process failed: {said.get('failed')}\n{written[-4000:]}"
        return End(
            said["signal"], said["code"], said.get("result"), said.get("instants", 0), said.get("at", ""), written
        )

    def tell(self, message: Any) -> None:
        """Send a message to its function."""
        try:
            self.talk.send(message)
        except BrokenPipeError:
            raise AssertionError(f"it has ended: {self.wait()}") from None

    def hear(self) -> Any:
        """The next answer of its function."""
        while "answer" not in self._said:
            self._hear()
            assert not {"signal", "code"} & self._said.keys(), f"it has ended: {self.wait()}"
        return self._said.pop("answer")

    def ask(self, message: Any) -> Any:
        """Send a message to its function, and receive the answer."""
        self.tell(message)
        return self.hear()

    def _hear(self) -> None:
        assert self.talk.poll(PATIENCE), f"the forked process {self.pid} said nothing for {PATIENCE} s"
        try:
            self._said |= self.talk.recv()
        except (EOFError, ConnectionResetError):
            self._said |= self._server.end_of(self.pid)


class ForkServer:
    """The server process; start it while there is no other thread."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        self._scratch = Path(tempfile.mkdtemp(prefix="forks-"))
        self._modules: set[str] = set()
        self._numbers = 0
        self._children: list[Child] = []
        self.pid = os.fork()
        if not self.pid:
            with suppress(BaseException):
                _serve(theirs)
            os._exit(0)
        theirs.close()

    def close(self) -> None:
        """End the server and its children."""
        self.end_children()
        self._ours.close()
        os.waitpid(self.pid, 0)
        for file in self._scratch.iterdir():
            file.unlink()
        self._scratch.rmdir()

    def end_children(self) -> None:
        """End the processes that nobody asks anything any more, and those that stand at an instant."""
        while self._children:
            child = self._children.pop()
            child.talk.close()
            self.end_of(child.pid)

    def start(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        watched: Sequence[Path] = (),
        statements: bool = False,
        stop_at: int | None = None,
        or_near: bool = False,
    ) -> Child:
        """Let a new process call a function of a module, whose steps below `watched` are counted (see `Instants`).

        With `stop_at` it stands still at that instant, until it is killed. With `or_near` one whose steps are some
        fewer than they were when they were counted stands still at its end.
        """
        return self._started(_Order(function, arguments, False, tuple(watched), statements, stop_at, or_near))

    def talking(self, function: Callable[Concatenate[Connection, ...], Any], *arguments: Any) -> Child:
        """The same for a function that answers what it is asked (`Child.ask`) through the connection that is its first
        argument, with `answer`."""
        return self._started(_Order(function, arguments, True))

    def run(self, function: Callable[..., Any], *arguments: Any, **how: Any) -> End:
        """Start a process and wait for its end; with `stop_at`, kill it there. Arguments as for `start`."""
        child = self.start(function, *arguments, **how)
        return child.kill() if how.get("stop_at") and child.stopped() is not None else child.wait()

    def learn(self, modules: Sequence[str]) -> None:
        """Spare the processes to come the imports that one had to do."""
        self._modules |= set(modules)

    def end_of(self, pid: int) -> dict[str, Any]:
        """The signal or exit code of a process that closed its connection, and so is ending."""
        self._ours.sendall(_framed(pid))
        return dict(_received(self._ours))

    def _started(self, order: _Order) -> Child:
        self._numbers += 1
        output = self._scratch / f"{self._numbers}.output"
        here, there = socket.socketpair()
        order.output, order.modules = str(output), sorted(self._modules)
        self._modules = set()
        self._ours.sendall(_framed(order))
        socket.send_fds(self._ours, [b"."], [there.fileno()])
        there.close()
        child = Child(int(_received(self._ours)), Connection(here.detach()), self, output)
        self._children.append(child)
        return child


def answer(talk: Connection, message: Any) -> None:
    """Answer `Child.ask`."""
    talk.send({"answer": message})


def _framed(message: Any) -> bytes:
    packed = pickle.dumps(message)
    return len(packed).to_bytes(8, "big") + packed


def _received(connection: socket.socket) -> Any:
    def exactly(count: int) -> bytes:
        parts = b""
        while len(parts) < count:
            part = connection.recv(count - len(parts))
            if not part:
                raise EOFError
            parts += part
        return parts

    return pickle.loads(exactly(int.from_bytes(exactly(8), "big")))


def _serve(control: socket.socket) -> None:
    """Fork, and tell how forks ended, until the other end is closed."""
    _let_go(control.fileno())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever runs the tests ends them
    calendar()
    gc.freeze()  # what a child looks through for garbage, it has to copy
    while True:
        wanted = _received(control)
        if isinstance(wanted, int):
            control.sendall(_framed(_end(wanted)))
            continue
        _, (descriptor, *_), _, _ = socket.recv_fds(control, 1, 1)
        for name in wanted.modules:
            with suppress(ImportError):
                importlib.import_module(name)
        child = os.fork()
        if not child:
            control.close()
            _work(wanted, Connection(descriptor))
        os.close(descriptor)
        control.sendall(_framed(child))


def _let_go(kept: int) -> None:
    """Have nothing open of what the tests' process has, whose ends must be seen by whoever waits for them.

    Each descriptor is of nothing then and not free: an object that writes to it (a log handler of pytest, for instance)
    must not write into a file that gets its number.
    """
    logging.getLogger().handlers.clear()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in map(int, os.listdir("/dev/fd")):
        if descriptor not in (kept, nowhere):
            with suppress(OSError):  # that of the listing itself
                os.fstat(descriptor)
                os.dup2(nowhere, descriptor)


def _end(pid: int) -> dict[str, Any]:
    status = os.waitpid(pid, 0)[1]
    signalled = os.WIFSIGNALED(status)
    return {
        "signal": os.WTERMSIG(status) if signalled else None,
        "code": None if signalled else os.WEXITSTATUS(status),
    }


def _work(order: _Order, talk: Connection) -> NoReturn:
    """Be the child."""
    code = 1
    try:
        output = os.open(order.output, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        sys.stdout, sys.stderr = (os.fdopen(os.dup(n), "w", buffering=1) for n in (1, 2))
        known = len(sys.modules)

        def stand_still(words: str) -> None:
            talk.send({"at": words})
            talk.poll(None)  # until it is killed, or nobody is there to kill it
            os._exit(1)

        counting = None
        if order.watched or order.statements:
            counting = Instants(order.watched, order.last, stand_still, statements=order.statements)
        first = (talk,) if order.talks else ()
        result = order.function(*first, *order.arguments)
        if counting and order.or_near:
            counting.end()
        said = {"result": result, "instants": counting.count if counting else 0}
        talk.send({**said, "modules": list(sys.modules)[known:]})
        code = 0
    except BaseException:
        traceback.print_exc()
        with suppress(Exception):
            talk.send({"failed": traceback.format_exc()})
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

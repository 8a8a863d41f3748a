"""`LiveDataManager`: live quotes for scripts and notebooks, from the store of a recorder that runs by itself."""

from __future__ import annotations

import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from trading_assets.arguments import Bounds, one_symbol, some_symbols
from trading_assets.errors import InvalidRequest
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.contracts import newest_contract
from trading_assets.repositories.storage import refuse_object_store
from trading_assets.settings import Settings
from trading_assets.streaming.callbacks import AsyncUpdates, Callback, CallbackThread
from trading_assets.streaming.follow import Follower
from trading_assets.streaming.keeping import Keeper
from trading_assets.streaming.registry import LiveRegistry
from trading_assets.streaming.status import StreamingStatus, answered, status_of
from trading_assets.streaming.store import LiveTail, latest_quotes
from trading_assets.streaming.updates import QuoteUpdate
from trading_assets.universe import Universe

OPTIONS = Bounds(0, 100, "options of a symbol")
"""More than the lines of an account."""

WAIT = Bounds(0, 3_600, "seconds")

ANSWER_SECONDS = 30.0
"""How long `start_streaming` waits for the recorder and the broker by default: a recorder starts in
about two seconds, and the broker answers within eleven."""

_LOOK_SECONDS = 0.1


class LiveDataManager(AbstractContextManager["LiveDataManager"]):
    """Live quotes of underlyings and their options, recorded into the lake.

        manager = LiveDataManager()
        status = manager.start_streaming(["AAPL", "GOOGL"], options=10)
        manager.on_quote(print)

    The recording is done by a process of its own, one a lake; it is started when somebody wants streams, and ends when
    nobody does any more. Managers of any number of processes share it, and need no connection to the broker. Works in
    scripts and in notebooks (a running event loop). What this manager wants ends with `stop_streaming`, `close`, the
    end of its `with` block or the end of the process. No order is ever sent.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        refuse_object_store(self.settings.data_dir, "Recording live data")
        self._registry = LiveRegistry(self.settings.state_url)
        self._keeper = Keeper(self.settings, self._registry)
        self._refused: dict[str, str] = {}
        self._callbacks: list[CallbackThread] = []
        self._iterations: list[AsyncUpdates] = []
        keeper, data_dir = self._keeper, self.settings.data_dir
        self._follower = Follower(lambda: LiveTail(data_dir), lambda update: keeper.follows(update.symbol))
        # Not at the end of the process: what it wants lapses with it.
        weakref.finalize(self, _end, self._follower, self._keeper, self._callbacks, self._iterations).atexit = False

    def start_streaming(
        self, symbols: Iterable[str] | str | None = None, *, options: int = 0, timeout: float = ANSWER_SECONDS
    ) -> StreamingStatus:
        """Stream these underlyings too (None: all active symbols of the universe), and of each the `options` options
        nearest the money of the nearest expiries.

        Returns the status once the broker has answered or refused each stream, or after `timeout` seconds. A symbol
        that cannot be one, or that the lake does not know, is refused in the status and the others go on. Raises
        `InvalidRequest` for arguments of a wrong kind.
        """
        self._check_open()
        number, seconds = OPTIONS.whole(options, "options"), WAIT.real(timeout, "timeout")
        names = self._accepted(symbols)
        self._keeper.add(dict.fromkeys(names, number))
        deadline = time.monotonic() + seconds
        changed_at = self._registry.changed_at
        while not answered(status := self.monitor_stream_health(), self._keeper.wanted, changed_at):
            if time.monotonic() > deadline or not names:
                break
            time.sleep(_LOOK_SECONDS)
        return status

    def stop_streaming(self, symbols: Iterable[str] | str | None = None) -> None:
        """Want these symbols no more; None: none any more. What others want goes on, and everything recorded stays."""
        names = some_symbols(symbols)
        for name in list(self._refused) if names is None else names:
            self._refused.pop(name, None)
        self._keeper.drop(names)

    def monitor_stream_health(self) -> StreamingStatus:
        """How the streams of this manager's symbols are: `.ok`, `.problems`, `.streams`, `.as_dict()`; printed, a
        table. Before `start_streaming` it is about all streams of the lake."""
        own = self._keeper.wanted
        counts = [one.counts() for one in self._callbacks] + [one.counts() for one in self._iterations]
        state, now = self._registry.state(), self.settings.clock()
        return status_of(now, state, own or self._registry.wanted(), self._refused, counts, everything=not own)

    def latest(self, symbol: str) -> QuoteUpdate | None:
        """The newest quote of an underlying in the live store, also of one that is not streamed any more; None where
        there is none. Raises `InvalidRequest`."""
        name = one_symbol(symbol)
        contract = newest_contract(ParquetStore(self.settings.data_dir), name)
        if contract is None:
            return None
        con_id = contract["con_id"]
        return latest_quotes(self.settings.data_dir, con_ids=[con_id]).get(con_id)

    def on_quote(self, callback: Callback) -> Callable[[], None]:
        """Call `callback` with each `QuoteUpdate` of this manager's symbols from now on, in a thread of its own.
        Returns a function that ends it.

        A slow or raising callback loses its own updates, which the health counts; the recording and other callbacks go
        on. Before `start_streaming` the updates are those of all streams of the lake.
        """
        self._check_open()
        if not callable(callback):
            raise InvalidRequest(f"callback is {callback!r}, and a function of one argument, the update, is wanted.")
        thread = CallbackThread(callback)
        self._callbacks.append(thread)
        self._follower.add(thread)

        def end() -> None:
            self._follower.remove(thread)
            thread.close()
            if thread in self._callbacks:
                self._callbacks.remove(thread)

        return end

    async def quotes(self) -> AsyncIterator[QuoteUpdate]:
        """The updates of this manager's symbols from now on, for `async for`, until `close`; one that is too slow for
        them loses the oldest, which the health counts."""
        self._check_open()
        updates = AsyncUpdates()
        self._iterations.append(updates)
        self._follower.add(updates)
        try:
            async for update in updates:
                yield update
        finally:
            self._follower.remove(updates)
            self._iterations.remove(updates)

    def close(self) -> None:
        """Want nothing any more, end the callbacks and the iterations. The recorder ends by itself when nobody else
        wants anything."""
        _end(self._follower, self._keeper, self._callbacks, self._iterations)

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._keeper.closed:
            raise InvalidRequest("This LiveDataManager was closed: make a new one.")

    def _accepted(self, symbols: Iterable[str] | str | None) -> list[str]:
        """The symbols that can be ones; of the others the reason is kept for the status."""
        if symbols is None:
            return self._active()
        given: list[Any] = [symbols] if isinstance(symbols, str) else _several(symbols)
        accepted = []
        for one in given:
            try:
                accepted.append(one_symbol(one))
            except InvalidRequest as error:
                self._refused[str(one)] = str(error)
        return list(dict.fromkeys(accepted))

    def _active(self) -> list[str]:
        names = Universe(self.settings.state_url).active()
        if not names:
            raise InvalidRequest(
                "No symbol is given and the universe is empty: name at least one, or add some with trading-assets setup"
                " SYMBOL."
            )
        return names


def _several(symbols: Any) -> list[Any]:
    if isinstance(symbols, bytes | dict) or not isinstance(symbols, Iterable):
        raise InvalidRequest(
            f"symbols is {symbols!r}, and a symbol or a list of symbols is wanted, for example ['AAPL', 'SPX']."
        )
    return list(symbols)


def _end(follower: Follower, keeper: Keeper, callbacks: list[CallbackThread], iterations: list[AsyncUpdates]) -> None:
    follower.close()
    for callback in callbacks:
        callback.close()
    for iteration in iterations:
        iteration.close()
    keeper.close()

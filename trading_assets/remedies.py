"""What a sentence tells a user to do, in the user's own medium.

Every sentence is written once, and the remedy in it as a command (`trading-assets update AAPL`), which is also how it
is stored and how the Dagster UI and alerts say it. Where a Python caller is told, `worded` puts the Python call in
place of the command:

    >>> worded("Nothing of AAPL is in the lake. Run trading-assets setup AAPL.")
    "Nothing of AAPL is in the lake. Run DataPipelineOrchestrator().setup_new_symbol('AAPL')."

The command line says `speaking(Medium.COMMAND)` around each command, and Dagster's steps and checks do so around their
work. A command without a Python call (`trading-assets up`) stays as it is. With a data folder of your own, give it to
the classes named here (`base_path`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum


class Medium(StrEnum):
    """Where a sentence is read."""

    PYTHON = "python"
    COMMAND = "command"


_medium = ContextVar("trading_assets_medium", default=Medium.PYTHON)


@contextmanager
def speaking(medium: Medium) -> Iterator[None]:
    """Sentences that are made or shown inside are for readers of that medium."""
    token = _medium.set(medium)
    try:
        yield
    finally:
        _medium.reset(token)


def typed(symbol: str) -> str:
    """A symbol as one word of a command: `BRK B` is `BRK.B`."""
    return symbol.replace(" ", ".")


def worded(text: str) -> str:
    """The sentence with its remedies in the medium of the present reader."""
    if _medium.get() is Medium.COMMAND or not ("trading-assets " in text or "--" in text or "Materialize " in text):
        return text
    text = _MATERIALIZE.sub(lambda found: f"Run {_STEPS[found['dataset']](found['symbol'])} first.", text)
    return _ALONE.sub(lambda found: _ARGUMENTS[found["option"]], _COMMAND.sub(_as_call, text))


_ORCHESTRATOR = "DataPipelineOrchestrator()"
_MONITOR = "DataQualityMonitor().generate_quality_report"
_UNIVERSE = "Universe(Settings().state_url)"

_Options = Mapping[str, str]
_Call = Callable[[list[str], _Options], str]


def _listed(symbols: Sequence[str]) -> str:
    return repr(list(symbols))


def _setup(symbols: list[str], _: _Options) -> str:
    one = len(symbols) == 1
    return f"{_ORCHESTRATOR}." + (f"setup_new_symbol({symbols[0]!r})" if one else f"setup({_listed(symbols)})")


def _update(symbols: list[str], options: _Options) -> str:
    given = _listed(symbols) if symbols else ""
    if "refresh" in options:
        return f"{_ORCHESTRATOR}.update({given or 'None'}, REFRESH)"
    return f"{_ORCHESTRATOR}.daily_update({given})"


def _backfill(symbols: list[str], options: _Options) -> str:
    first, last = options.get("from", "FIRST"), options.get("to", "LAST")
    again = ", REFRESH" if "refresh" in options else ""
    return f"{_ORCHESTRATOR}.backfill({_listed(symbols) if symbols else None}, {first!r}, {last!r}{again})"


def _validate(symbols: list[str], _: _Options) -> str:
    return f"{_MONITOR}({f'symbols={_listed(symbols)}' if symbols else ''}).failing()"


def _coverage(symbols: list[str], _: _Options) -> str:
    return f"Lake.of(Settings()).conditions({_listed(symbols)})"


def _add(symbols: list[str], options: _Options) -> str:
    more = "".join(f", {name.replace('-', '_')}={value!r}" for name, value in options.items())
    return f"{_UNIVERSE}.add({_listed(symbols or ['SYMBOL'])}{more})"


def _resolve(symbols: list[str], options: _Options) -> str:
    return f"{_ORCHESTRATOR}.resolve({symbols[0]!r}, {next(iter(options), 'same')!r})"


def _accept(symbols: list[str], options: _Options) -> str:
    given = [repr(symbols[0]) if len(symbols) == 1 else _listed(symbols)] if symbols else []
    given += [f"{name}={options[key]!r}" for name, key in (("first", "from"), ("last", "to")) if key in options]
    given += ["unit='as_is'"] if "as-is" in options else []
    return f"{_ORCHESTRATOR}.accept_units({', '.join(given)})"


def _review(verdict: str) -> _Call:
    return lambda words, _: f"trading_assets.validation.Reviews(Settings()).{verdict}({', '.join(map(repr, words))})"


def _restore(symbols: list[str], _: _Options) -> str:
    given = f", {_listed(symbols)}" if symbols else ""
    return f"trading_assets.monitoring.recovery.restore_universe(Settings(){given})"


def _doctor(_: list[str], options: _Options) -> str:
    if "fix" not in options:
        return "trading_assets.doctor.examine()"
    source = f"backup={options['from']}" if "from" in options else ""
    return f"trading_assets.doctor.mend({source})"


_CALLS: dict[str, _Call] = {
    "setup": _setup,
    "update": _update,
    "backfill": _backfill,
    "validate": _validate,
    "coverage": _coverage,
    "status": lambda *_: f"{_ORCHESTRATOR}.generate_status_report()",
    "universe add": _add,
    "universe remove": lambda symbols, _: f"{_UNIVERSE}.remove({_listed(symbols)})",
    "universe resolve": _resolve,
    "universe restore": _restore,
    "universe series": lambda *_: "trading_assets.repositories.series.series(Settings().data_dir)",
    "rebuild-identity": lambda *_: "trading_assets.monitoring.recovery.rebuild_identity(Settings())",
    "review accept": _review("accept"),
    "review reject": _review("reject"),
    "review list": lambda *_: "trading_assets.validation.Reviews(Settings()).held()",
    "backup": lambda words, _: f"trading_assets.backup.backup({', '.join(words)})",
    "restore": lambda words, _: f"trading_assets.backup.restore({', '.join(words)})",
    "doctor": _doctor,
    "distribute status": lambda *_: "trading_assets.jobs.distributions()",
    "distribute repeat": lambda *_: "trading_assets.jobs.repeat_parts(NAME)",
    "alerts list": lambda *_: "trading_assets.monitoring.alerts.Alerts(Settings()).open()",
    "alerts": lambda *_: "trading_assets.monitoring.alerts.Alerts(Settings()).open()",
    "archive create": lambda *_: "trading_assets.jobs.archive_old_data()",
    "archive mount": lambda *_: "trading_assets.jobs.mount_archives()",
    "archive restore": lambda *_: "trading_assets.jobs.restore_archive(PATH)",
    "live": lambda *_: "trading_assets.streaming.LiveDataManager().monitor_stream_health()",
    "positions": lambda *_: "trading_assets.repositories.query(Settings().data_dir, 'from position_changes')",
    "quarantine accept": _accept,
    "quarantine list": lambda *_: "trading_assets.broker.quarantine.Quarantine(Settings().state_url).entries()",
}
"""The Python call of each command that has one, from its symbols and its options without their dashes."""

_WORD = r"[A-Z0-9](?:[A-Z0-9@._-]*[A-Z0-9])?"
"""A symbol, an exchange or a date inside a sentence; the full stop after it does not belong to it."""

_COMMAND = re.compile(
    rf"`?trading-assets (?P<command>{'|'.join(sorted(map(re.escape, _CALLS), key=len, reverse=True))})\b"
    rf"(?P<rest>(?: --(?:exchange|primary-exchange|sec-type|from|to) {_WORD}| --[a-z-]+| {_WORD}(?![a-z]))*)`?"
)
_OPTION = re.compile(
    rf" --(?P<name>[a-z-]+)(?P<value>(?<=exchange) {_WORD}|(?<=sec-type) {_WORD}|(?<=from) {_WORD}|(?<=to) {_WORD})?"
)

_STEPS: dict[str, Callable[[str], str]] = {
    "contracts": lambda symbol: f"backfill_us_equity_contracts(symbol={symbol!r})",
    "option_chains": lambda symbol: f"refresh_option_chain({symbol!r})",
    "equity_bars": lambda symbol: f"{_ORCHESTRATOR}.daily_update([{symbol!r}])",
}
"""The Python call that materializes one dataset of a symbol."""

_MATERIALIZE = re.compile(rf"Materialize (?P<dataset>{'|'.join(_STEPS)}) for (?P<symbol>{_WORD}(?: [A-Z])?) first\.")

_ARGUMENTS = {"new": "'new'", "same": "'same'", "refresh": "REFRESH", "as-is": "unit='as_is'"}
"""What an option that stands alone in a sentence is in Python."""

_ALONE = re.compile(rf"`?--(?P<option>{'|'.join(_ARGUMENTS)})\b`?")


def _as_call(found: re.Match[str]) -> str:
    rest = found["rest"]
    options = {option["name"]: (option["value"] or "").strip() for option in _OPTION.finditer(rest)}
    return _CALLS[found["command"]](_OPTION.sub("", rest).split(), options)

"""`DataValidation`: the guide's checks of one symbol, answered by the platform's rules; they raise with a sentence.

What a rule says is in `validation.rules`. Here is only which rules answer which question of the guide.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from trading_assets.arguments import lake_folder, stored_symbol
from trading_assets.errors import DataIntegrityError, PrerequisiteError
from trading_assets.jobs.given import settings_for
from trading_assets.remedies import typed
from trading_assets.repositories.catalog import query
from trading_assets.repositories.schemas import Condition
from trading_assets.settings import Settings
from trading_assets.universe import Universe
from trading_assets.validation import DATASETS, Rule, RuleResult, Scope, Severity, blocked, known_rules, validate


class DataValidation:
    """Checks of the data folder `base_path` (default: the settings'). Reads only; needs no broker."""

    def __init__(self, base_path: Path | str | None = None, *, settings: Settings | None = None) -> None:
        self._folder = base_path
        self.settings = settings_for(base_path, settings)

    def validate_symbol_contracts_exist(self, symbol: str) -> None:
        """The symbol has contract details, of the right instrument. Raises `PrerequisiteError`."""
        self._require(symbol, ["contract_present", "one_contract_a_symbol", "known_exchange_and_currency"])

    def validate_option_chain_current(self, symbol: str) -> None:
        """The symbol's newest chain is not stale; a symbol without listed options has none to be. Raises
        `PrerequisiteError`."""
        self._require(symbol, ["chain_current"])

    def validate_equity_data_available(self, symbol: str) -> None:
        """The symbol has equity bars, and every session since the first is stored or explained. Raises
        `PrerequisiteError`."""
        name = self._symbol(symbol)
        if not query(self.settings.data_dir, "select 1 from equity_bars where symbol = ? limit 1", [name]).num_rows:
            raise PrerequisiteError(f"{name} has no equity_bars in the lake. Run trading-assets setup {typed(name)}.")
        self._require(name, ["session_complete"])

    def validate_option_backfill_prerequisites(self, symbol: str) -> None:
        """Everything that option bars build on is there and blocks nothing: contract, chain with selected contracts,
        equity bars.

        A symbol of which the broker lists no options, or none inside the selection, lacks nothing. Raises
        `PrerequisiteError`.
        """
        name = self._symbol(symbol)
        self._require(name, ["contract_present"])
        if self._without_options(name):
            return
        for dataset, where in (("option_chains", "selected"), ("equity_bars", "true")):
            if not query(
                self.settings.data_dir, f"select 1 from {dataset} where symbol = ? and {where} limit 1", [name]
            ).num_rows:
                what = "no selected option contracts (option_chains)" if dataset == "option_chains" else f"no {dataset}"
                raise PrerequisiteError(f"{name} has {what} in the lake. Run trading-assets setup {typed(name)}.")
        reason = blocked(self.settings, ("contracts", "option_chains", "equity_bars"), [name]).get(name)
        if reason:
            raise PrerequisiteError(reason)

    def validate_data_integrity(self, symbol: str) -> None:
        """No stored row of the symbol violates a rule of severity ERROR. Raises `DataIntegrityError`, and
        `PrerequisiteError` without any row.

        Whether something else is absent or out of date is asked by the other methods.
        """
        name = self._symbol(symbol)
        stored = " union all ".join(
            f'(select 1 from "{dataset}" where symbol = $symbol limit 1)' for dataset in DATASETS
        )
        if not query(self.settings.data_dir, stored, {"symbol": name}).num_rows:
            raise PrerequisiteError(f"Nothing of {name} is in the lake. Run trading-assets setup {typed(name)}.")
        rules = [
            rule
            for rule in known_rules()
            if rule.severity is Severity.ERROR and not rule.of_now and rule.name != "session_complete"
        ]
        failing = self._run(name, rules)
        if failing:
            raise DataIntegrityError(name, failing)

    def _without_options(self, symbol: str) -> bool:
        """Whether the last word on the symbol's chain was that no option is listed, or none selected."""
        sql = (
            "select arg_max(condition, session) as last from coverage where dataset = 'option_chains' and con_id = 0"
            " and symbol = ?"
        )
        return bool(
            query(self.settings.data_dir, sql, [symbol])["last"][0].as_py()
            in (Condition.NO_CONTRACT, Condition.NOTHING_SELECTED)
        )

    def _require(self, symbol: str, names: Collection[str]) -> None:
        name = self._symbol(symbol)
        failing = self._run(name, [rule for rule in known_rules() if rule.name in names])
        if failing:
            raise PrerequisiteError(f"{name}: " + " ".join(result.sentence() for result in failing))

    def require_lake(self) -> None:
        """See that the folder given as `base_path` holds a lake. Raises `NotALake`; nothing is created."""
        if self._folder is not None:
            lake_folder(self._folder, "base_path")

    def _symbol(self, symbol: str) -> str:
        """The symbol as rows have it, in a lake. Raises `InvalidRequest`, `NotALake`."""
        name = stored_symbol(symbol)
        self.require_lake()
        return name

    def _run(self, symbol: str, rules: Collection[Rule]) -> list[RuleResult]:
        return list(validate(self.settings, Scope((symbol,)), rules=rules, record=False).failing())


def get_all_active_symbols(base_path: Path | str | None = None, *, settings: Settings | None = None) -> list[str]:
    """The symbols the archive is kept for, by name."""
    chosen = DataValidation(base_path, settings=settings)
    chosen.require_lake()
    return Universe(chosen.settings.state_url).active()


def validate_all_data(base_path: Path | str | None = None, *, settings: Settings | None = None) -> dict[str, list[Any]]:
    """The guide's report over all active symbols: for each step the symbols that passed it, and `failures` with symbol
    and error.

    A symbol's steps are in dependency order; the first that fails is its failure.
    """
    validator = DataValidation(base_path, settings=settings)
    validator.require_lake()
    steps: dict[str, Callable[[str], None]] = {
        "contracts_ok": validator.validate_symbol_contracts_exist,
        "chains_ok": validator.validate_option_chain_current,
        "equity_ok": validator.validate_equity_data_available,
        "option_ok": validator.validate_option_backfill_prerequisites,
        "integrity_ok": validator.validate_data_integrity,
    }
    report: dict[str, list[Any]] = {**{name: [] for name in steps}, "failures": []}
    for symbol in get_all_active_symbols(settings=validator.settings):
        try:
            for name, check in steps.items():
                check(symbol)
                report[name].append(symbol)
        except (PrerequisiteError, DataIntegrityError) as error:
            report["failures"].append({"symbol": symbol, "error": str(error)})
    return report

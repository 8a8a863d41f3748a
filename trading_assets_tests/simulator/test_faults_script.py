"""Fault scripts: read strictly, matched as written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trading_assets.simulator import Faults, FaultScriptError
from trading_assets.simulator.market import ContractQuery
from trading_assets.simulator.requests import ApiRequest, ContractRequest


def ask(kind: str = "historical_data", symbol: str = "AAA") -> ApiRequest:
    return ContractRequest(kind, 1, ContractQuery(symbol=symbol))


def struck(faults: Faults, *requests: ApiRequest) -> list[list[str]]:
    return [[rule.do for rule in faults.strike(request)] for request in requests]


def test_the_nth_request_and_so_many_times() -> None:
    faults = Faults([{"on": "historical_data", "nth": 2, "times": 2, "do": "hang"}])
    assert struck(faults, *[ask()] * 5) == [[], ["hang"], ["hang"], [], []]
    forever = Faults([{"on": "historical_data", "times": 0, "do": "pacing"}])
    assert struck(forever, *[ask()] * 3) == [["pacing"]] * 3


def test_kind_and_contract_select() -> None:
    faults = Faults([{"on": "any", "contract": "BBB", "do": "not_subscribed"}])
    requests = [ask(), ask("positions", "BBB"), ask("market_data", "BBB"), ask("market_data", "BBB")]
    assert struck(faults, *requests) == [[], [], ["not_subscribed"], []]


def test_after_so_many_data_requests() -> None:
    faults = Faults([{"after_requests": 3, "do": "nightly_reset"}])
    assert struck(faults, ask(), ask("positions"), ask("contract_details"), ask(), ask()) == [
        [],
        [],
        [],
        ["nightly_reset"],
        [],
    ]


def test_only_one_fault_strikes_a_request_but_effects_on_everything_add_up() -> None:
    faults = Faults([{"on": "any", "do": "hang"}, {"on": "any", "do": "delay"}, {"on": "any", "do": "drop_all"}])
    assert struck(faults, ask()) == [["hang", "drop_all"]]


def test_errors_by_code_and_by_name() -> None:
    faults = Faults(
        [{"on": "any", "do": "error", "code": 366, "text": "x"}, {"on": "any", "nth": 2, "do": "competing_session"}]
    )
    (first,), (second,) = (faults.strike(ask()) for _ in range(2))
    assert (first.error, second.error) == ((366, "x"), (10197, "No market data during competing live session"))


def test_scripts_from_files(tmp_path: Path) -> None:
    rules: list[dict[str, Any]] = [{"on": "historical_data", "do": "drop_during"}]
    for content in (rules, {"faults": rules}):
        path = tmp_path / "faults.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        assert struck(Faults.load(path), ask()) == [["drop_during"]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json", "is not usable"),
        ("{}", "must hold a list"),
        ("[3]", "must be an object"),
        ('[{"do": "explode", "on": "any"}]', "'explode' is no fault"),
        ('[{"do": "hang"}]', "say which kind in 'on'"),
        ('[{"do": "hang", "on": "tea"}]', "'tea' is no kind"),
        ('[{"do": "hang", "on": "any", "when": 3}]', "unknown field 'when'"),
        ('[{"do": "hang", "on": "any", "nth": "3"}]', "wrong type"),
        ('[{"do": "hang", "on": "any", "nth": 0}]', "count below 1"),
        ('[{"do": "error", "on": "any"}]', "needs a 'code'"),
        ('[{"do": "nightly_reset"}]', "When shall"),
        ('[{"do": "competing_session"}]', "When shall"),
        ('[{"do": "delay", "on": "any", "seconds": null}]', "does not last"),
        ('[{"do": "farm_down", "after_seconds": 1, "farm": "moonfarm"}]', "one of usfarm, usopt"),
        ('[{"do": "mute", "after_seconds": 1, "farm": "usopt"}]', "Only 'farm_down'"),
        ('[{"do": "mute", "after_seconds": 1, "streams": "news"}]', "'quotes' or 'bars'"),
        ('[{"do": "stream_error", "after_seconds": 1}]', "needs a 'code'"),
    ],
)
def test_unusable_scripts_are_refused_with_a_sentence(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "faults.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(FaultScriptError, match=said) as raised:
        Faults.load(path)
    assert str(path) in str(raised.value)


def test_a_missing_script(tmp_path: Path) -> None:
    with pytest.raises(FaultScriptError, match="cannot be read"):
        Faults.load(tmp_path / "none.json")


def test_triggers_are_for_effects_on_everything() -> None:
    with pytest.raises(FaultScriptError, match="strikes a request"):
        Faults().trigger("hang", on="any")
    faults = Faults()
    faults.trigger("drop_all")
    assert [rule.do for rule in faults.take_triggered()] == ["drop_all"]
    faults.add(on="any", do="hang")
    faults.clear()
    assert struck(faults, ask()) == [[]]


def test_only_what_lasts_can_be_ended() -> None:
    faults = Faults()
    with pytest.raises(FaultScriptError, match="does not last"):
        faults.end("drop_all")
    faults.end("mute", "AAPL")
    assert faults.take_ended() == [("mute", "AAPL")]

"""What a symbol's change of hands, its quarantine and chains of another company do to one another, over several
days."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from trading_assets.broker.quarantine import Entry, Quarantine
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.preview import preview
from trading_assets.collecting.report import CollectionReport
from trading_assets.collecting.steps.contracts import collect_contracts
from trading_assets.monitoring.watch import current_issues
from trading_assets.selection_rules import SelectionRules
from trading_assets_tests.collecting.days import LATER, Days, wrong
from trading_assets_tests.rewriting import Fields, Hook, Link, Rewriting, collect, settings_for

NEXT = datetime.fromisoformat("2026-06-08T16:30-04:00")


def through(days: Days, hook: Hook, *symbols: str, steps: str = "cheo") -> dict[str, CollectionReport]:
    """Collect through a proxy that rewrites what the broker answers."""
    with Rewriting(days.simulator.port, on_server=hook) as wire:
        return collect(
            settings_for(days.folder, wire.port, days.settings.clock(), enforce_pacing=False), symbols, steps
        )


def without_close(fields: Fields, _link: Link) -> list[Fields] | None:
    """History whose last bar but one has no close."""
    if fields[0] != "17" or len(fields) < 20:
        return None
    place = 5 + 8 * (int(fields[4]) - 2) + 4
    return [[*fields[:place], "NaN", *fields[place + 1 :]]]


def entries(days: Days) -> list[Entry]:
    return Quarantine(days.settings.state_url).entries()


def kinds(days: Days) -> set[str]:
    return {str(issue.alert_type) for issue in current_issues(days.settings)}


@pytest.mark.parametrize("decision", ["same", "new"])
def test_a_bad_answer_does_not_outlive_the_contract_it_is_of(days: Days, decision: str) -> None:
    through(days, without_close, "META", steps="che")
    assert [entry.symbol for entry in entries(days)] == ["META"]
    days.market.held = {"META": "IBM"}
    days.market.names_by_symbol = True
    days.move(NEXT)
    days.collect("META")
    days.collect("META", steps="c")
    days.resolve("META", decision)
    reports = days.collect("META")
    assert wrong({step: reports[step] for step in "che"}) == []
    assert entries(days) == []
    assert "answer_quarantined" not in kinds(days)
    days.simulator.reset_counters()
    days.collect("META")
    assert days.asked() == {}, "nothing is asked for over and over"


def test_a_bad_answer_goes_with_a_renamed_company(days: Days) -> None:
    through(days, without_close, "IBM", steps="che")
    days.market.held = {"WTSN": "IBM", "IBM": None}
    days.move(NEXT)
    days.collect("WTSN", steps="c")
    assert [(entry.symbol, entry.question) for entry in entries(days)] == [("WTSN", "bars|WTSN|1 day|TRADES|rth")]
    days.collect("WTSN", steps="he")
    assert entries(days) == []


def test_a_removed_symbol_raises_no_alert(days: Days) -> None:
    through(days, without_close, "META", steps="che")
    days.market.held = {"META": "IBM"}
    days.move(LATER)
    days.collect("META", steps="c")
    assert {"contract_changed", "answer_quarantined"} <= kinds(days)
    with Archive(days.settings) as archive:
        archive.universe.remove(["META"])
    assert kinds(days) & {"contract_changed", "answer_quarantined"} == set()


def parameters_of_another(fields: Fields, _link: Link) -> list[Fields] | None:
    return [[*fields[:3], "999999", *fields[4:]]] if fields[0] == "75" else None


def test_parameters_that_the_contract_details_deny_hold_nothing_but_the_chain_back(days: Days) -> None:
    days.collect("META")
    days.move(NEXT)
    reports = through(days, parameters_of_another, "META")
    assert [problem.outcome for problem in reports["e"].problems] == ["contract_changed"], "it may be true"
    assert reports["h"].notes == []
    reports = through(days, parameters_of_another, "META")
    (problem,) = reports["h"].problems
    assert (problem.symbol, problem.outcome) == ("META", "rejected")
    assert "999999" in problem.sentence
    assert wrong({step: reports[step] for step in "ceo"}) == []
    assert days.rows("select max(session) as session from equity_bars") == [{"session": NEXT.date()}]
    (chain,) = days.rows(
        f"select condition, retry_after from coverage where dataset = 'option_chains' and session = '{NEXT.date()}'"
    )
    assert chain["condition"] == "error"
    assert chain["retry_after"] == datetime.fromisoformat("2026-06-09T09:30-04:00")
    days.move(datetime.fromisoformat("2026-06-09T16:30-04:00"))
    assert wrong(days.collect("META")) == []


def test_a_listing_of_another_company_is_no_empty_listing(days: Days) -> None:
    days.collect("META", steps="ce")
    (old,) = days.con_ids("contracts", "META")

    def another(fields: Fields, _link: Link) -> list[Fields] | None:
        return (
            [["888888" if field == f"{old}" else field for field in fields]]
            if fields[0] == "10" and "OPT" in fields
            else None
        )

    reports = through(days, another, "META", steps="h")
    assert [problem.outcome for problem in reports["h"].problems] == ["contract_changed"]
    assert days.rows("select * from coverage where condition = 'nothing_selected'") == []
    assert days.rows("select * from option_chains") == []
    assert wrong(days.collect("META")) == []
    assert days.con_ids("option_chains", "META") == {old}


def test_the_newest_of_several_details_decides(days: Days) -> None:
    """A run was killed before it stored that the contract is the same; when that is to be verified again it is
    another."""
    days.collect("META")
    days.move(datetime.fromisoformat("2026-06-12T16:30-04:00"))
    with Archive(days.settings) as killed:
        assert collect_contracts(killed, killed.universe.entries(), days.settings.clock().date()).report.sent == 1
    days.market.held = {"META": "IBM"}
    days.move(datetime.fromisoformat("2026-06-22T16:30-04:00"))
    reports = days.collect("META")
    assert [problem.outcome for report in reports.values() for problem in report.problems] == ["contract_changed"] * 4
    assert days.asked() == {"contract_details": 1}
    verified = days.rows("select verified_at from contracts where symbol = 'META' order by session desc limit 1")
    assert verified == [{"verified_at": datetime.fromisoformat("2026-06-15T09:30-04:00")}], (
        "what the killed run was told is stored"
    )


def test_what_was_refused_of_the_contract_before_is_asked_of_the_new_one(days: Days) -> None:
    """The symbol is taken over soon after its details were verified, and the broker knows nothing of the contract
    before any more."""
    days.collect("META")
    days.market.held = {"META": "IBM"}
    days.move(NEXT)
    days.collect("META")
    refused = (
        "select dataset from coverage where condition = 'no_contract' and retry_after is not null group by all order"
        " by all"
    )
    assert days.rows(refused) == [{"dataset": "equity_bars"}, {"dataset": "option_bars"}]
    unread = (
        "select condition from coverage where dataset = 'option_chains' and retry_after is null and condition <>"
        " 'complete'"
    )
    assert days.rows(unread) == [{"condition": "error"}], (
        "no options, where contracts were listed lately, is not believed"
    )
    days.simulator.reset_counters()
    assert [problem.outcome for problem in days.collect("META")["c"].problems] == ["contract_changed"]
    days.collect("META")
    assert days.asked() == {"contract_details": 1}, (
        "the details are not believed for a week after that, and asked once a session"
    )
    days.resolve("META", "same")
    reports = days.collect("META")
    assert wrong({step: reports[step] for step in "che"}) == []
    assert days.con_ids("option_chains", "META") == {107113386, 8314}
    assert (
        days.rows(
            "select session from coverage where dataset = 'equity_bars' and condition not in ('complete', 'no_trades')"
        )
        == []
    )


def test_details_of_a_delisted_company_are_asked_once_more_and_then_believed(days: Days) -> None:
    days.collect("META")
    days.market.held = {"META": None}
    days.move(NEXT)
    days.collect("META")
    days.simulator.reset_counters()
    assert [problem.outcome for problem in days.collect("META")["c"].problems] == ["no_contract"]
    assert days.asked() == {"contract_details": 2, "option_parameters": 1}, "by symbol and by contract id"
    days.collect("META")
    assert days.asked() == {
        "contract_details": 2,
        "option_parameters": 2,
    }, "that it has no options is not believed for a week"


def test_a_preview_of_a_changed_contract_asks_nothing(days: Days) -> None:
    days.collect("META")
    days.market.held = {"META": "IBM"}
    days.move(LATER)
    days.collect("META")
    with Archive(days.settings) as archive:
        sessions = archive.calendar.sessions(date(2026, 6, 5), LATER.date())
        estimate = preview(
            archive, archive.universe.entries(), sessions, SelectionRules(max_days_to_expiry=8, strikes_around_spot=2)
        )
    assert estimate.requests == 0
    assert sum(stage.lost_sessions for stage in estimate.stages) == 0

"""The summary and the graph say what there is, how fresh it is and what is missing."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from trading_assets.lineage import LineageQueryEngine, LineageTracker, LineageVisualizer
from trading_assets.repositories import query
from trading_assets_tests.lineage.collected import collected, settings_of
from trading_assets_tests.scenarios.desk import at

pytestmark = pytest.mark.xdist_group("lineage")  # what they look at is collected once


def visualizer_at(instant: str, folder: Path | None = None) -> LineageVisualizer:
    return LineageVisualizer(LineageTracker(settings=settings_of(folder or collected(), now=at(instant))))


def test_the_guides_snippet_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TRADING_ASSETS_NOW", "2025-11-25T16:30-05:00")
    tracker = LineageTracker(collected())
    query_engine = LineageQueryEngine(tracker)
    visualizer = LineageVisualizer(tracker)
    sources = query_engine.find_data_sources(source_type="repository")
    print(f"Found {len(sources)} data sources")
    print(visualizer.generate_summary_report())
    printed = capsys.readouterr().out
    assert "Found 12 data sources" in printed
    assert re.search(r"option_chains +\d+ rows, 2 materialized, last session 2025-11-25, up to date", printed)


def test_the_report_counts_rows_partitions_and_requests() -> None:
    report = visualizer_at("2025-11-25T16:30-05:00").generate_summary_report()
    found = {asset.name: asset for asset in report.assets}
    for name, like in (
        ("contracts", "contracts"),
        ("option_chains", "option_chains"),
        ("equity_bars", "equity_bars"),
        ("option_bars", "equity_bars"),  # a session in which no option traded is collected, too
    ):
        rows = query(collected(), f"select count(*) as n from {name}")["n"][0].as_py()
        sessions = query(collected(), f"select distinct session from {like}").num_rows
        assert (found[name].rows, found[name].partitions) == (rows, sessions)
        assert (found[name].state, found[name].behind, found[name].last_session) == ("fresh", 0, date(2025, 11, 25))
    assert found["quality_metrics"].state == "empty"
    assert report.requests["contract_details"] == 1
    assert report.missing == []
    document = report.as_dict()
    assert document["assets"][0]["name"] == "contracts" and document["requests"] == report.requests


def test_sessions_that_have_come_since_are_counted() -> None:
    report = visualizer_at("2025-12-02T16:30-05:00").generate_summary_report()
    found = {asset.name: asset for asset in report.assets}
    assert (found["equity_bars"].behind, found["equity_bars"].state) == (4, "behind")  # one of the days is Thanksgiving
    assert "4 session(s) behind" in str(report)


def test_the_graph_has_each_asset_and_request_kind_with_counts() -> None:
    text = visualizer_at("2025-11-25T16:30-05:00").mermaid()
    lines = [line.strip() for line in text.splitlines()]
    assert lines[0] == "graph LR"
    assert "option_chains --> option_bars" in lines
    assert "equity_bars -.-> option_bars" in lines, "only later in a run"
    assert "request_bars --> equity_bars" in lines
    for name in ("contracts", "option_chains", "equity_bars", "option_bars"):
        (node,) = [line for line in lines if line.startswith(f'{name}["')]
        assert node.endswith(":::fresh") and " rows<br/>" in node
    nodes = {line.split("(")[0].split("[")[0] for line in lines if '["' in line}
    edges = [re.split(r" -->| -\.->", line) for line in lines if " -->" in line or " -.->" in line]
    assert {end.strip() for edge in edges for end in edge} <= nodes

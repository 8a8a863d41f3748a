"""The page on validation holds the rules as they are."""

from __future__ import annotations

from pathlib import Path

from trading_assets.validation.describe import blocking_table, rules_table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "validation.md"


def test_the_page_has_the_present_rules() -> None:
    assert rules_table() in PAGE.read_text("utf-8"), "print rules_table() into docs/validation.md"


def test_the_page_says_of_each_rule_that_blocks_how_it_is_mended() -> None:
    assert blocking_table() in PAGE.read_text("utf-8"), "print blocking_table() into docs/validation.md"

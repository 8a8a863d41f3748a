"""The page on validation holds the rules as they are."""

from __future__ import annotations

from pathlib import Path

from trading_assets.validation.describe import rules_table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "validation.md"


def test_the_page_has_the_present_rules() -> None:
    assert rules_table() in PAGE.read_text("utf-8"), "print rules_table() into docs/validation.md"

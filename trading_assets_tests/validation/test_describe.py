"""The page on validation holds the rules as they are."""

from __future__ import annotations

from pathlib import Path

from trading_assets.validation.rules import RULES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "validation.md"


def rules_table() -> str:
    """A Markdown table: rule, dataset, severity (and whether it blocks option bars), why it matters, what to do."""
    lines = ["| rule | dataset | severity | why it matters | what to do |", "| --- | --- | --- | --- | --- |"]
    for rule in RULES:
        severity = (
            f"{rule.severity}, blocks"
            if rule.blocks
            else f"{rule.severity}, held for review"
            if rule.reviewed
            else str(rule.severity)
        )
        lines.append(f"| `{rule.name}` | {rule.dataset} | {severity} | {rule.why} | {rule.remedy} |")
    return "\n".join(lines) + "\n"


def blocking_table() -> str:
    """A Markdown table of the rules that block: how a row that breaks them comes to be, and how the user mends it."""
    lines = ["| rule that blocks | how such a row comes to be and goes |", "| --- | --- |"]
    lines += [f"| `{rule.name}` | {rule.mended} |" for rule in RULES if rule.blocks]
    return "\n".join(lines) + "\n"


def test_the_page_has_the_present_rules() -> None:
    assert rules_table() in PAGE.read_text("utf-8"), "print rules_table() into docs/validation.md"


def test_the_page_says_of_each_rule_that_blocks_how_it_is_mended() -> None:
    assert blocking_table() in PAGE.read_text("utf-8"), "print blocking_table() into docs/validation.md"

"""The rules as a table for people: `docs/validation.md` holds it, and a test says when it is out of date."""

from __future__ import annotations

from collections.abc import Iterable

from trading_assets.validation.rule import Rule
from trading_assets.validation.rules import RULES


def rules_table(rules: Iterable[Rule] = RULES) -> str:
    """A Markdown table: rule, dataset, severity (and whether it blocks option bars), why it matters, what to do."""
    lines = ["| rule | dataset | severity | why it matters | what to do |", "| --- | --- | --- | --- | --- |"]
    for rule in rules:
        severity = f"{rule.severity}, blocks" if rule.blocks else f"{rule.severity}, held for review" if rule.reviewed else str(rule.severity)
        lines.append(f"| `{rule.name}` | {rule.dataset} | {severity} | {rule.why} | {rule.remedy} |")
    return "\n".join(lines) + "\n"


def blocking_table(rules: Iterable[Rule] = RULES) -> str:
    """A Markdown table of the rules that block: how a row that breaks them comes to be, and how the user mends it."""
    lines = ["| rule that blocks | how such a row comes to be and goes |", "| --- | --- |"]
    lines += [f"| `{rule.name}` | {rule.mended} |" for rule in rules if rule.blocks]
    return "\n".join(lines) + "\n"

"""Validation: rules over the lake, written once as SQL, and their present findings."""

from trading_assets.errors import NoReview
from trading_assets.validation.engine import RuleResult, ValidationReport, blocked, validate
from trading_assets.validation.findings import Finding, Findings, RuleRun
from trading_assets.validation.known_rules import known_rules
from trading_assets.validation.reviews import Review, Reviews, Verdict
from trading_assets.validation.rule import DATASETS, NAMELESS, Rule, Severity
from trading_assets.validation.rules import RULES
from trading_assets.validation.scope import Scope

__all__ = [
    "DATASETS",
    "NAMELESS",
    "RULES",
    "Finding",
    "Findings",
    "NoReview",
    "Review",
    "Reviews",
    "Rule",
    "RuleResult",
    "RuleRun",
    "Scope",
    "Severity",
    "ValidationReport",
    "Verdict",
    "blocked",
    "known_rules",
    "validate",
]

"""All rules there are: the platform's, and those that other packages add (`trading_assets.extensions`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from trading_assets.errors import ExtensionFailed
from trading_assets.extensions import RULES as GROUP
from trading_assets.extensions import loaded, registered
from trading_assets.validation.rule import Rule
from trading_assets.validation.rules import RULES

_NAME = re.compile(r"[a-z][a-z0-9_]*")

_TAKEN = frozenset({"rules", "complete"})
"""Names of asset checks that are not those of a rule."""


@lru_cache
def known_rules() -> tuple[Rule, ...]:
    """The platform's rules, then those of other packages; the names are unique. Raises `ExtensionFailed`."""
    known = {rule.name: rule for rule in RULES}
    for point in registered(GROUP).values():
        found = loaded(point)
        given = [found] if isinstance(found, Rule) else list(found) if isinstance(found, Iterable) else [found]
        for rule in given:
            if not isinstance(rule, Rule):
                raise ExtensionFailed(f"{point.value} adds {rule!r} to the rules: a trading_assets.Rule is wanted.")
            if not _NAME.fullmatch(rule.name) or rule.name in _TAKEN or rule.name in known:
                raise ExtensionFailed(
                    f"The rule {rule.name!r} of {point.value} needs another name: one of small letters, digits and _"
                    " that no other rule has."
                )
            known[rule.name] = rule
    return tuple(known.values())

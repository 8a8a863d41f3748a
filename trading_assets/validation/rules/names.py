"""The rule that each dataset has: every row says whose it is and of which session.

A row without a symbol or a session belongs to no symbol and to no period: no other rule can speak of it, and no query
by symbol or session finds it. It is found whatever sessions a scope has, by a validation that is not about single
symbols.
"""

from __future__ import annotations

from trading_assets.validation.rule import NAMELESS, Rule, Severity


def named(name: str, dataset: str) -> Rule:
    """The rule of that name: no row of the dataset lacks symbol or session. It is reported of the current session."""
    return Rule(
        name,
        dataset,
        Severity.ERROR,
        why="A row without a symbol or a session belongs to nobody, and no other rule looks at it.",
        remedy=(
            "Another program wrote it: find it by its request_id and remove it from its file, then run trading-assets"
            " update."
        ),
        rows=f"""select coalesce(w.symbol, '{NAMELESS}') as symbol, p.current_session as session,
                        w.symbol as given_symbol,
                        w.session as given_session, w.request_id, w.collected_at
                 from written_{dataset} w cross join present p""",
        holds="given_symbol is not null and given_session is not null",
        shows=("given_symbol", "given_session", "request_id", "collected_at"),
        of_now=True,
    )

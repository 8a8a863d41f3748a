"""What failed of a direct call, as the error that the caller gets."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from trading_assets.broker.outcomes import OutcomeKind
from trading_assets.collecting.report import CollectionReport, Problem, ProblemKind
from trading_assets.errors import (
    NotPermitted,
    PrerequisiteError,
    RequestFailed,
    RequestTimedOut,
    TradingAssetsError,
    UnknownContract,
)

_NAMED = 5
"""Sentences in one message."""

_ERRORS: dict[str, type[RequestFailed]] = {
    "no_contract": UnknownContract,
    "not_permitted": NotPermitted,
    "timeout": RequestTimedOut,
}
"""By the outcome of the request."""

_NO_FAILURES = (ProblemKind.PARTIAL, ProblemKind.LOST, ProblemKind.PENDING)


def failed(reports: Sequence[CollectionReport]) -> list[Problem]:
    """What the reports name as failed: not what is lost for good, nor what cannot be known yet."""
    return [problem for report in reports for problem in report.problems if problem.kind not in _NO_FAILURES]


def error_of(problems: Sequence[Problem], frame: pd.DataFrame | None) -> TradingAssetsError:
    """The error for these problems (at least one); its type is that of the first. `frame` is what came all the same."""
    first = problems[0]
    sentences = list(dict.fromkeys(_sentence(problem) for problem in problems))
    more = f" {len(sentences) - _NAMED} more request(s) failed." if len(sentences) > _NAMED else ""
    message = " ".join(sentences[:_NAMED]) + more
    if all(problem.kind is ProblemKind.PREREQUISITE_VIOLATION for problem in problems):
        return PrerequisiteError(message)
    return _ERRORS.get(first.outcome, RequestFailed)(
        message,
        outcome=first.outcome,
        broker_code=first.broker_code,
        frame=frame,
        retryable=first.outcome in [kind for kind in OutcomeKind if kind.retryable],
    )


def _sentence(problem: Problem) -> str:
    """The problem as a sentence that names its symbol; what the command line calls `--refresh` is an argument here."""
    text = problem.sentence.replace("--refresh", "refresh=True")
    return text if problem.symbol in text else f"{problem.symbol}: {text}"

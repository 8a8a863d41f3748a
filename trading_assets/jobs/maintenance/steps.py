"""Steps of a maintenance: each says in a sentence what it did; one that fails does not stop the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from logging import DEBUG, ERROR
from typing import Any

from trading_assets.errors import TradingAssetsError
from trading_assets.plain import Plain

logger = logging.getLogger("trading_assets.maintenance")


@dataclass(frozen=True)
class StepResult(Plain):
    """How one step ended: `sentence` says what it did, or why it failed; `figures` are JSON-able measures of it."""

    name: str
    success: bool
    sentence: str
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MaintenanceReport:
    """What a maintenance did, step by step, begun at `started_at` (UTC). With `dry_run` nothing was changed: the
    sentences say what would be done."""

    kind: str
    started_at: datetime
    dry_run: bool
    steps: tuple[StepResult, ...] = ()

    @property
    def success(self) -> bool:
        """Whether no step failed."""
        return all(step.success for step in self.steps)

    def step(self, name: str) -> StepResult:
        """The step of that name. Raises `KeyError`."""
        found = {step.name: step for step in self.steps}
        return found[name]

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able record."""
        return {
            "kind": self.kind,
            "started_at": self.started_at.isoformat(),
            "dry_run": self.dry_run,
            "success": self.success,
            "steps": [step.as_dict() for step in self.steps],
        }

    def title(self) -> str:
        """One line: which maintenance, and how many steps failed."""
        failed = [step.name for step in self.steps if not step.success]
        what = f"{self.kind} maintenance{' (dry run)' if self.dry_run else ''}"
        return f"{what}: {', '.join(failed)} failed" if failed else f"{what}: all {len(self.steps)} steps succeeded"

    def text(self) -> str:
        """A line a step."""
        return "\n".join(f"{step.name}: {'' if step.success else 'FAILED. '}{step.sentence}" for step in self.steps)


Outcome = tuple[str, dict[str, Any]]
"""What a step returns: its sentence and its figures."""


class StepFailed(Exception):
    """A step did part of its work: the sentence says what is left, `figures` what was done."""

    def __init__(self, sentence: str, figures: dict[str, Any] | None = None) -> None:
        super().__init__(sentence)
        self.figures = figures or {}


def run_steps(steps: Sequence[tuple[str, Callable[[], Outcome]]]) -> tuple[StepResult, ...]:
    """Run the steps in order. An error of one ends that step alone: its message is the step's sentence."""
    return tuple(_run(name, action) for name, action in steps)


def _run(name: str, action: Callable[[], Outcome]) -> StepResult:
    try:
        sentence, figures = action()
    except StepFailed as failure:
        return StepResult(name, False, str(failure), failure.figures)
    except Exception as error:
        # A step may fail in any way (disk, database, broker, channel), and the steps after it must still be done. The
        # report names it. A traceback is logged of what is no error raised on purpose and no fault of a disk.
        expected = isinstance(error, (TradingAssetsError, OSError))
        logger.log(DEBUG if expected else ERROR, "maintenance step %s", name, exc_info=error)
        said = str(error).partition("\n")[0] or "no reason was given"
        return StepResult(name, False, said if isinstance(error, ValueError) else f"{type(error).__name__}: {said}")
    return StepResult(name, True, sentence, figures)

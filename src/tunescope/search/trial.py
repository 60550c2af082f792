"""What came of the trials: of one training of a trial, and of the trial, whose score is the mean over its trainings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from tunescope.fields import Frozen

Curve = tuple[tuple[int, float], ...]
"""(number of the scoring, counted from 1; selection score, higher is better) in order."""


class TrialTraining(Frozen):
    """What came of one training of a trial: `trial.json` of its artifact."""

    number: int
    """The trial's, counted from 0 in each sweep."""
    replicate: int
    """Which of the trial's trainings, counted from 0."""
    seed: int
    values: dict[str, Any]
    """What the sweep set."""
    state: Literal["complete", "pruned", "undefined"]
    """pruned: stopped early as hopeless. undefined: trained to its end, and the selection score has no value."""
    score: float | None
    """Of the kept weights on the selection rows, turned so that higher is better."""
    standard_error: float | None
    """Of that score, for another draw of as many selection rows; None where it is not known."""
    num_examples: int
    """Selection rows."""
    curve: Curve
    num_tokens: int
    num_tokens_planned: int
    """What it would have read without a pruner."""
    note: str = ""


class Trial(Frozen):
    """One set of hyperparameters that was tried."""

    number: int
    values: dict[str, Any]
    state: Literal["complete", "pruned", "failed"]
    score: float | None = None
    """Mean over its trainings; of a pruned trial, when it was stopped; None where it failed."""
    standard_error: float | None = None
    num_examples: int | None = None
    curves: tuple[Curve, ...] = Field(default_factory=tuple)
    """One per training; empty where that training failed."""
    num_tokens: int = 0
    num_tokens_planned: int = 0
    reason: str = ""
    """Why it failed."""


def combined(number: int, values: Mapping[str, Any], trainings: Sequence[TrialTraining | None]) -> Trial:
    """A trial from its trainings, one or more; None stands for one that failed.

    A trial fails if one of its trainings failed or has no score, and is pruned if one was pruned. The standard error of the
    mean takes the trainings' errors for equal, as they are scored on the same rows.
    """
    known = [training for training in trainings if training is not None]
    common: dict[str, Any] = {
        "number": number,
        "values": dict(values),
        "curves": tuple(() if training is None else training.curve for training in trainings),
        "num_tokens": sum(training.num_tokens for training in known),
        "num_tokens_planned": sum(training.num_tokens_planned for training in known),
        "num_examples": known[0].num_examples if known else None,
    }
    if len(known) < len(trainings):
        lost = len(trainings) - len(known)
        return Trial(state="failed", reason=f"{lost} of {len(trainings)} trainings failed", **common)
    without = next((training for training in known if training.score is None), None)
    if without is not None:
        return Trial(state="failed", reason=f"no selection score: {without.note or 'undefined'}", **common)
    errors = [training.standard_error for training in known]
    return Trial(
        state="pruned" if any(training.state == "pruned" for training in known) else "complete",
        score=sum(training.score or 0.0 for training in known) / len(known),
        standard_error=None if any(error is None for error in errors) else max(error or 0.0 for error in errors),
        **common,
    )


def derived_seed(seed: int, *parts: int | str) -> int:
    """A 32-bit seed that follows from another and from what it is for."""
    text = ":".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")

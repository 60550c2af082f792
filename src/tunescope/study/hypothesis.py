"""What a study says beforehand that it will compare: the family of hypotheses, beside which all else is exploratory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tunescope.errors import did_you_mean
from tunescope.fields import Frozen, Slug
from tunescope.tasks.scores import SCORES
from tunescope.tasks.spec import TaskSpec

PRIMARY = "primary"
"""Each task's first score."""
DRIFT = "drift"
RUN_MEASURES = {
    "train_s": "seconds in optimiser steps",
    "peak_memory_gib": "peak memory of the training process, GiB",
    DRIFT: "one minus the debiased linear CKA with the base model, averaged over the blocks",
}
"""Measures of a run that have no examples: lower is better."""


class Hypothesis(Frozen):
    """One comparison of two methods on a measure, task by task: of their difference, or of a claim about it."""

    measure: str = PRIMARY
    """A score, `primary` for each task's first, or a measure of the run such as train_s."""
    methods: tuple[Slug, Slug]
    """A and B: what is shown is A against B."""
    tasks: tuple[Slug, ...] | None = None
    """Tasks it is about; all that have the measure where absent."""
    base_models: tuple[str, ...] | None = None
    """Base models it is about; all where absent."""
    within: Annotated[float, Field(gt=0.0)] | None = None
    """Claims equivalence: A and B differ by less than this, in the measure's unit (0.03 is 3 points of accuracy)."""
    not_worse_by: Annotated[float, Field(gt=0.0)] | None = None
    """Claims that A is not worse than B by as much as this."""
    lower_by: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """Claims that A is lower than B by at least this share: 0.2 is at least 20% lower."""
    higher_by: Annotated[float, Field(gt=0.0)] | None = None
    """Claims that A is higher than B by at least this share."""
    paired_by: tuple[Literal["task", "seed", "example"], ...] = ("task", "seed", "example")
    """What A and B share. Runs of one seed see the same rows in the same order, so seeds are paired unless left out here;
    task and example always are."""

    @model_validator(mode="after")
    def _one_claim(self) -> Self:
        claims = [
            name for name in ("within", "not_worse_by", "lower_by", "higher_by") if getattr(self, name) is not None
        ]
        if len(claims) > 1:
            raise ValueError(f"makes the claims {' and '.join(claims)} at once: give each a line of its own")
        if self.methods[0] == self.methods[1]:
            raise ValueError(f"compares {self.methods[0]} with itself")
        return self


def measures_of(tasks: Sequence[TaskSpec]) -> tuple[str, ...]:
    """Every measure that a study of some tasks may compare by."""
    scores = dict.fromkeys(metric for task in tasks for metric in task.metrics)
    return (PRIMARY, *scores, *RUN_MEASURES)


def unknown_measure(measure: str, tasks: Sequence[TaskSpec], *, measures_drift: bool) -> str | None:
    """What is wrong with the measure of a hypothesis; None where nothing is."""
    known = measures_of(tasks)
    if measure == DRIFT and not measures_drift:
        return "the study does not measure drift. Add `drift: {}` to it, or take this hypothesis out"
    if measure == "trainable_parameters":
        return "the same for every seed: a count, which needs no test. `tunescope results STUDY --format csv` has it"
    if measure in known:
        return None
    if measure in SCORES:
        return f"no task of the study has the score {measure}. Add it to a task's metrics, or compare by one of: {', '.join(known)}"
    return f"unknown measure '{measure}'. {did_you_mean(measure, known)}"

"""How a sweep searches: the same for every method of a study."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tunescope.fields import Count, Frozen

SamplerName = Literal["grid", "random", "tpe", "qmc", "cmaes"]
PrunerName = Literal["median", "percentile", "successive_halving", "wilcoxon"]


MAX_TRIALS = 10_000
"""Trials of one sweep at most: every one is a job."""


class Pruner(Frozen):
    """When a trial is stopped early, judged by its selection scores so far against those of earlier waves."""

    name: PrunerName
    num_startup_trials: Annotated[int, Field(ge=0, le=1_000_000)] = 4
    """median, percentile: no trial is stopped before so many are complete."""
    num_warmup_scorings: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """median, percentile: no trial is stopped at its first so many scorings; wilcoxon: pairs of scorings it waits for."""
    percentile: Annotated[float, Field(gt=0.0, lt=100.0)] = 25.0
    """percentile: trials below the best so many percent at the same scoring are stopped."""
    reduction_factor: Annotated[int, Field(ge=2, le=1_000)] = 2
    """successive_halving: one of so many goes on from each rung; rungs lie at 1, f, f^2, ... scorings."""
    p_threshold: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    """wilcoxon: stopped where the signed-rank test against the best trial gives a smaller p."""


class SearchSettings(Frozen):
    """What of a sweep's settings bears on which values a trial gets and when it ends."""

    sampler: SamplerName
    wave_size: Count
    num_startup_trials: Count
    seeds_per_trial: Count
    seed: int
    pruner: Pruner | None


class SweepSettings(Frozen):
    """How hyperparameters are chosen; where to look stands at the fields themselves, `{sweep: ...}`."""

    sampler: SamplerName | None = None
    """grid where every swept field has a list and no number of trials is given, else tpe."""
    num_trials: Annotated[int, Field(ge=1, le=MAX_TRIALS)] | None = None
    """Trials per base model, task and method; a grid has as many as it has combinations."""
    wave_size: Count | None = None
    """Trials proposed at once, each knowing the results of the waves before and no others, so that the outcome does not
    depend on how many workers there are. 4 where absent; a grid without a pruner is one wave."""
    num_startup_trials: Count = 4
    """tpe, cmaes: trials drawn at random before the sampler learns from results."""
    seeds_per_trial: Annotated[int, Field(ge=1, le=100)] = 1
    """Trainings per trial; a trial's score is their mean."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """Where the seeds of sampler and trials start from; those of a trial follow from its number."""
    pruner: Pruner | None = None
    """Stops hopeless trials early; none where absent."""
    allow_unequal_budgets: bool = False
    """Lets methods be tuned with different numbers of trials or training lengths; the report says so."""
    allow_alpha_with_learning_rate: bool = False
    """Lets `alpha` and `learning_rate` be searched together, though both scale the same update."""

    @model_validator(mode="before")
    @classmethod
    def _pruner_by_name(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("pruner"), str):
            return values | {"pruner": {"name": values["pruner"]}}
        return values

    @model_validator(mode="after")
    def _waves_of_trials(self) -> Self:
        if self.num_trials is not None and self.wave_size is not None and self.wave_size > self.num_trials:
            raise ValueError(
                f"wave_size {self.wave_size} is more than num_trials {self.num_trials}: there would be no whole wave"
            )
        return self


DEFAULT_WAVE_SIZE = 4

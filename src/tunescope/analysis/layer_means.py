"""Measures by layer and run -> their means over seeds, layer by layer and for pairs of layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunescope.analysis.drift import LayerDrift
from tunescope.analysis.seed_mean import seed_mean
from tunescope.drift.row import LAYER_PAIRS
from tunescope.stats.estimate import Estimate
from tunescope.study.drift import DRIFT_MEASURE

DISTANCE = "drift"
"""One minus the debiased linear CKA of one layer."""


@dataclass(frozen=True, kw_only=True)
class LayerMean:
    """One measure of one layer, or of a pair of layers, of one method or control: the mean over its runs."""

    base_model: str
    task: str
    method: str | None
    """None for controls that hold for all methods."""
    compared: str
    """As `LayerDrift.compared`."""
    pooling: str
    measure: str
    """`drift` is one minus the debiased linear CKA."""
    state: str
    other_state: str
    estimate: Estimate
    """Over seeds, t; of one run or control, its own interval over examples."""
    by_seed: tuple[tuple[int | None, float, str], ...]
    """Seed (None of controls without one), value, id of its job: those that are defined."""
    num_runs: int
    """Runs that were measured, those without a value included."""
    jobs: tuple[str, ...]


def layer_means(layers: Sequence[LayerDrift]) -> list[LayerMean]:
    """Means of every measure but pairs of layers, of the weights that were kept, in the rows' order; `drift` beside them.

    Args:
        layers: As `collect_layers` gives them.
    """
    kept = [row for row in layers if row.step is None and row.measure != LAYER_PAIRS]
    own = [row for row in kept if row.measure == DRIFT_MEASURE]
    return _means([*((row, DISTANCE, -1.0, 1.0) for row in own), *((row, row.measure, 1.0, 0.0) for row in kept)])


def pair_means(layers: Sequence[LayerDrift]) -> list[LayerMean]:
    """Means of the debiased linear CKA of every layer of the base model with every layer of a method's runs."""
    return _means(
        (row, LAYER_PAIRS, 1.0, 0.0)
        for row in layers
        if row.step is None and row.measure == LAYER_PAIRS and row.compared == "tuned"
    )


def _means(rows: Iterable[tuple[LayerDrift, str, float, float]]) -> list[LayerMean]:
    """Rows with the name of what is told of them, and slope and shift from their values to it."""
    grouped: dict[tuple[str | None, ...], list[tuple[LayerDrift, str, float, float]]] = {}
    for one in rows:
        row, measure = one[0], one[1]
        place = (row.base_model, row.task, row.method, row.compared, row.pooling, measure, row.state, row.other_state)
        grouped.setdefault(place, []).append(one)
    return [_mean(found) for found in grouped.values()]


def _mean(found: Sequence[tuple[LayerDrift, str, float, float]]) -> LayerMean:
    first, measure, slope, shift = found[0]
    by_seed = [(row.seed, shift + slope * row.value, row.job) for row, *_ in found if row.value is not None]
    estimate = seed_mean([value for _, value, _ in by_seed])
    if len(found) == 1 and first.ci_low is not None and first.ci_high is not None:
        low, high = sorted((shift + slope * first.ci_low, shift + slope * first.ci_high))
        estimate = Estimate(
            value=estimate.value,
            ci_low=low,
            ci_high=high,
            method="jackknife over examples",
            num_seeds=1,
            num_examples=first.num_examples,
        )
    return LayerMean(
        base_model=first.base_model,
        task=first.task,
        method=first.method,
        compared=first.compared,
        pooling=first.pooling,
        measure=measure,
        state=first.state,
        other_state=first.other_state,
        estimate=estimate,
        by_seed=tuple(by_seed),
        num_runs=len(found),
        jobs=tuple(dict.fromkeys(row.job for row, *_ in found)),
    )

"""Drift by run and by control -> the mean of each method and control, and how drift grew through training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunescope.analysis.drift import DriftResult, LayerDrift
from tunescope.analysis.seed_mean import seed_mean
from tunescope.stats.estimate import Estimate


@dataclass(frozen=True, kw_only=True)
class DriftMean:
    """The drift of one method's runs from their base model, or of one control: the mean over seeds."""

    base_model: str
    task: str
    method: str | None
    """None for controls that hold for all methods."""
    compared: str
    """As `DriftResult.compared`."""
    estimate: Estimate
    """Over seeds, t; of pairs of seeds without interval, as one run is in two of them."""
    by_seed: tuple[tuple[int | None, float, str], ...]
    """Seed, drift, id of its job: those that are done."""
    num_planned: int
    num_examples: int | None
    reason: str
    """Why there is no value; empty where there is one."""


@dataclass(frozen=True, kw_only=True)
class DriftPoint:
    """Drift of a method's runs after so many steps."""

    step: int
    estimate: Estimate
    """Mean over blocks, then over seeds, t."""
    by_seed: tuple[tuple[int, float], ...]


@dataclass(frozen=True, kw_only=True)
class DriftGrowth:
    """How far a method's runs on one task were from their base model on the way, on a few selection rows."""

    base_model: str
    task: str
    method: str
    points: tuple[DriftPoint, ...]
    """By step; steps at which every run of the method was looked at."""
    num_examples: int
    jobs: tuple[str, ...]


def drift_means(results: Sequence[DriftResult]) -> list[DriftMean]:
    """One entry per base model, task, method and control, in the results' order."""
    grouped: dict[tuple[str, str, str | None, str], list[DriftResult]] = {}
    for one in results:
        grouped.setdefault((one.base_model, one.task, one.method, one.compared), []).append(one)
    means = []
    for (base_model, task, method, compared), found in grouped.items():
        by_seed = [(one.seed, one.drift, one.job) for one in found if one.drift is not None]
        counts = {one.num_examples for one in found if one.num_examples is not None}
        reasons = dict.fromkeys(one.reason for one in found if one.drift is None and one.reason)
        means.append(
            DriftMean(
                base_model=base_model,
                task=task,
                method=method,
                compared=compared,
                estimate=_estimate(compared, [drift for _, drift, _ in by_seed]),
                by_seed=tuple(by_seed),
                num_planned=len(found),
                num_examples=counts.pop() if len(counts) == 1 else None,
                reason="; ".join(reasons),
            )
        )
    return means


def drift_growth(layers: Sequence[LayerDrift]) -> list[DriftGrowth]:
    """Of the rows that were taken through training: one minus the CKA, averaged over blocks, by step and method."""
    grouped: dict[tuple[str, str, str], list[LayerDrift]] = {}
    for row in layers:
        if row.step is not None and row.method is not None and row.state.startswith("block_"):
            grouped.setdefault((row.base_model, row.task, row.method), []).append(row)
    found = []
    for (base_model, task, method), rows in grouped.items():
        by_step: dict[int, dict[int, list[float | None]]] = {}
        for row in rows:
            if row.step is not None and row.seed is not None:
                by_step.setdefault(row.step, {}).setdefault(row.seed, []).append(row.value)
        num_seeds = len({row.seed for row in rows})
        found.append(
            DriftGrowth(
                base_model=base_model,
                task=task,
                method=method,
                points=tuple(
                    _point(step, by_seed) for step, by_seed in sorted(by_step.items()) if len(by_seed) == num_seeds
                ),
                num_examples=rows[0].num_examples,
                jobs=tuple(dict.fromkeys(row.job for row in rows)),
            )
        )
    return found


def _estimate(compared: str, drifts: Sequence[float]) -> Estimate:
    found = seed_mean(drifts)
    if compared != "seeds" or found.ci_low is None:
        return found
    return Estimate(value=found.value, num_seeds=found.num_seeds, reason="pairs of seeds share runs")


def _point(step: int, by_seed: dict[int, list[float | None]]) -> DriftPoint:
    drifts = []
    for seed, blocks in by_seed.items():
        known = [1.0 - value for value in blocks if value is not None]
        if len(known) == len(blocks):
            drifts.append((seed, math.fsum(known) / len(known)))
    return DriftPoint(step=step, estimate=seed_mean([drift for _, drift in drifts]), by_seed=tuple(drifts))

"""Each method's score against what it costs: which methods no other one beats in both."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tunescope.analysis.collect import ResultRow
from tunescope.analysis.drift import DriftResult
from tunescope.analysis.ledger import Cost
from tunescope.analysis.quality import Quality
from tunescope.analysis.seed_mean import seed_mean
from tunescope.stats.estimate import Estimate

Price = Literal["drift", "trainable_parameters", "train_s", "peak_memory_gib", "search_and_train_s", "money"]
PRICES: tuple[Price, ...] = (
    "drift",
    "trainable_parameters",
    "train_s",
    "peak_memory_gib",
    "search_and_train_s",
    "money",
)
"""All are better when lower. `search_and_train_s` counts the sweep's trials too, and is one number for all seeds."""


@dataclass(frozen=True, kw_only=True)
class Traded:
    """One method's score beside one price, on one task under one base model."""

    method: str
    score: Estimate
    """As `Quality.estimate`."""
    price: Estimate
    """Mean over seeds, t."""
    by_seed: tuple[tuple[int, float, float, str], ...]
    """Seed, price, score, id of the evaluation."""
    is_optimal: bool
    """Whether no other method has a mean score at least as good at a mean price at most as high, one of both better. The means
    alone decide; whether they differ is the comparisons' question."""


@dataclass(frozen=True, kw_only=True)
class TradeOff:
    """All methods that have both, on one task under one base model."""

    base_model: str
    task: str
    metric: str
    higher_is_better: bool
    price: Price
    methods: tuple[Traded, ...]


def trade_offs(
    quality: Sequence[Quality], rows: Sequence[ResultRow], drift: Sequence[DriftResult], costs: Sequence[Cost]
) -> list[TradeOff]:
    """The primary score of each task against every price that two methods or more have; equal prices say nothing and are left out.

    Args:
        quality: Of all methods.
        rows: As `collect` gives them.
        drift: As `collect_drift` gives them.
        costs: The ledger.
    """
    found = []
    places = dict.fromkeys((one.base_model, one.task, one.metric) for one in quality if one.is_primary)
    for base_model, task, metric in places:
        own = [one for one in quality if (one.base_model, one.task, one.metric) == (base_model, task, metric)]
        for price in PRICES:
            read = _reader(price, rows, drift, costs)
            traded = [made for one in own if (made := _traded(one, read)) is not None]
            if price == "peak_memory_gib" and len(traded) < len(own):
                continue  # memory is told of first jobs alone: whichever method came first would look dearer
            if len(traded) > 1 and len({one.price.value for one in traded}) > 1:
                higher = own[0].higher_is_better
                found.append(
                    TradeOff(
                        base_model=base_model,
                        task=task,
                        metric=metric,
                        higher_is_better=higher,
                        price=price,
                        methods=tuple(_marked(traded, higher)),
                    )
                )
    return found


ReadPrice = Callable[[Quality, int], float | None]


def _reader(price: Price, rows: Sequence[ResultRow], drift: Sequence[DriftResult], costs: Sequence[Cost]) -> ReadPrice:
    """From a method's score and a seed to its price; None where it is unknown."""
    if price == "drift":
        drifts = {
            (one.base_model, one.task, one.method, one.seed): one.drift for one in drift if one.compared == "tuned"
        }
        return lambda one, seed: drifts.get((one.base_model, one.task, one.method, seed))
    if price == "search_and_train_s":
        sums: dict[tuple[str | None, str, str | None], float] = {}
        tuned = {(cost.base_model, cost.task, cost.method) for cost in costs if cost.kind == "trial"}
        for cost in costs:
            place = (cost.base_model, cost.task, cost.method)
            if cost.kind in ("trial", "train") and tuned:
                sums[place] = math.fsum((sums.get(place, 0.0), cost.seconds))
        return lambda one, seed: sums.get((one.base_model, one.task, one.method))
    if price == "money":
        spent = [cost for cost in costs if cost.kind in ("trial", "train") and cost.price is not None]
        places = {(cost.base_model, cost.task, cost.method) for cost in spent}
        paid = {
            place: math.fsum(cost.price or 0.0 for cost in spent if (cost.base_model, cost.task, cost.method) == place)
            for place in places
        }
        return lambda one, seed: paid.get((one.base_model, one.task, one.method))
    known = {
        (row.base_model, row.task, row.method, row.seed): getattr(row, price)
        for row in rows
        if row.kind == "run" and row.state == "done"
    }
    return lambda one, seed: known.get((one.base_model, one.task, one.method, seed))


def _traded(one: Quality, read: ReadPrice) -> Traded | None:
    by_seed = [
        (seed.seed, price, seed.value, seed.job)
        for seed in one.seeds
        if seed.value is not None and (price := read(one, seed.seed)) is not None
    ]
    if not by_seed or len(by_seed) < one.num_seeds or one.estimate.value is None:
        return None
    prices = [float(price) for _, price, _, _ in by_seed]
    return Traded(
        method=one.method, score=one.estimate, price=seed_mean(prices), by_seed=tuple(by_seed), is_optimal=False
    )


def _marked(traded: Sequence[Traded], higher_is_better: bool) -> list[Traded]:
    sign = 1.0 if higher_is_better else -1.0
    places = [(sign * (one.score.value or 0.0), one.price.value or 0.0) for one in traded]
    return [
        Traded(
            method=one.method,
            score=one.score,
            price=one.price,
            by_seed=one.by_seed,
            is_optimal=not any(
                score >= own_score and price <= own_price and (score, price) != (own_score, own_price)
                for score, price in places
            ),
        )
        for one, (own_score, own_price) in zip(traded, places, strict=True)
    ]

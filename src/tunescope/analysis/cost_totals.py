"""The ledger's lines -> what each kind of job cost, and the whole study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunescope.analysis.ledger import Cost


@dataclass(frozen=True, kw_only=True)
class CostTotal:
    """Sums over jobs that are done or failed."""

    what: str
    """A kind of job, or `all`."""
    num_jobs: int
    num_done: int
    num_failed: int
    seconds: float
    gpu_seconds: float
    price: float | None
    """None where the study gives no price per hour."""
    peak_memory_gib: float | None
    """The largest of a job's."""
    energy_j: float | None = None
    """None where a line with done jobs does not know it."""


def cost_totals(costs: Sequence[Cost]) -> list[CostTotal]:
    """One entry per kind of job in the ledger's order, then `all`; none where the ledger is empty."""
    kinds = list(dict.fromkeys(cost.kind for cost in costs))
    totals = [_total(kind, [cost for cost in costs if cost.kind == kind]) for kind in kinds]
    return [*totals, _total("all", costs)] if totals else []


def _total(what: str, costs: Sequence[Cost]) -> CostTotal:
    spent = [cost.energy_j for cost in costs if cost.num_done]
    energy = [joules for joules in spent if joules is not None]
    prices = [cost.price for cost in costs if cost.price is not None]
    return CostTotal(
        what=what,
        num_jobs=sum(cost.num_jobs for cost in costs),
        num_done=sum(cost.num_done for cost in costs),
        num_failed=sum(cost.num_failed for cost in costs),
        seconds=math.fsum(cost.seconds for cost in costs),
        gpu_seconds=math.fsum(cost.gpu_seconds for cost in costs),
        price=math.fsum(prices) if prices else None,
        peak_memory_gib=max((cost.peak_memory_gib for cost in costs if cost.peak_memory_gib is not None), default=None),
        energy_j=math.fsum(energy) if energy and len(energy) == len(spent) else None,
    )

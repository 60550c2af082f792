"""`plan` as functions: the jobs of a study, what they cost, and what its store already tells of its seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tunescope.analysis.collect import collect
from tunescope.analysis.seed_spread import measured_spread
from tunescope.api.stored import DEFAULT_STORE, plan_of, store_if_any
from tunescope.study.detectable import SeedSpread
from tunescope.study.estimate import estimate
from tunescope.study.known import architectures, expected_device, source_for
from tunescope.study.load import load_study
from tunescope.study.own_files import with_own_rows
from tunescope.study.placement import Placement, place
from tunescope.study.plan import Plan
from tunescope.study.shards import nominal_predictions


def plan_study(
    study: Path, *, mirror: Path | None = None, changes: Sequence[str] = (), workers: int = 1
) -> tuple[Plan, Placement]:
    """The jobs of a study with predicted time, memory and disk, and who would run what. Reads no weights and no data.

    Raises:
        TunescopeError: If the study is wrong, or a pin names a worker that is not there.
    """
    spec = load_study(study, changes)
    source = source_for(study, mirror)
    plan = replace(plan_of(spec, source), study=with_own_rows(spec, source))
    plan = estimate(plan, architectures(spec, source), expected_device(spec))
    return plan, place(plan, workers, nominal_predictions(plan, source, may_fetch=False))


def measured_seed_spread(plan: Plan, store: Path = DEFAULT_STORE) -> dict[tuple[str, str], SeedSpread]:
    """By task and score, how far a plan's finished runs lie apart between seeds; nothing where there is no store.

    Raises:
        TunescopeError: If the store is not what it must be.
    """
    there = store_if_any(store)
    return {} if there is None else measured_spread(collect(plan, there))

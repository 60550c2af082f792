"""What a store knows of a study, as functions: `results`, `compare` and their kin. None of them runs a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunescope.analysis import hypotheses
from tunescope.analysis.collect import ResultRow, as_table, collect
from tunescope.analysis.drift import DriftResult, LayerDrift, collect_drift, collect_layers
from tunescope.analysis.hypotheses import Compared
from tunescope.analysis.probes import Probed, collect_probes
from tunescope.analysis.retention import Retained, collect_retention
from tunescope.analysis.second_opinion import SecondOpinion, second_opinions
from tunescope.analysis.sweeps import SweepSummary, summarise_sweeps
from tunescope.analysis.trials import TrialRow, collect_trials
from tunescope.api.stored import DEFAULT_STORE, open_study
from tunescope.errors import TunescopeError
from tunescope.store import Store
from tunescope.study.plan import Plan

if TYPE_CHECKING:
    import pandas as pd


def study_results(
    study: Path,
    *,
    store: Path = DEFAULT_STORE,
    mirror: Path | None = None,
    changes: Sequence[str] = (),
) -> list[ResultRow]:
    """The tidy table of a study: a row per run or baseline and score.

    Raises:
        TunescopeError: If the study is wrong, or there is no store.
    """
    opened = open_study(study, store=store, mirror=mirror, changes=changes)
    plan, kept = opened.plan, opened.store
    return collect(plan, kept)


def study_trials(
    study: Path, *, store: Path = DEFAULT_STORE, mirror: Path | None = None, changes: Sequence[str] = ()
) -> tuple[list[TrialRow], list[SweepSummary]]:
    """Every trial of a study's sweeps, and what is to be said of each sweep.

    Raises:
        TunescopeError: If the study is wrong, or there is no store.
    """
    opened = open_study(study, store=store, mirror=mirror, changes=changes)
    plan, kept = opened.plan, opened.store
    return collect_trials(plan, kept), summarise_sweeps(plan, kept)


@dataclass(frozen=True, kw_only=True)
class StudyComparisons:
    """What a study's runs say of its methods: the comparisons, and what other methods say of them together."""

    plan: Plan
    comparisons: tuple[Compared, ...]
    opinions: tuple[SecondOpinion, ...]


def compare_study(
    study: Path,
    *,
    store: Path = DEFAULT_STORE,
    mirror: Path | None = None,
    changes: Sequence[str] = (),
    alpha: float = 0.05,
) -> StudyComparisons:
    """A study's declared hypotheses with intervals, tests and verdicts; all pairs of methods, exploratory, where it has none.

    Args:
        study: The study's YAML file.
        store: Where its runs are.
        mirror: A folder that stands in for the hub.
        changes: As given to `--set`.
        alpha: Chance, at most, of a false verdict in the family.

    Raises:
        TunescopeError: If the study is wrong, there is no store, or alpha is no share.
    """
    if not 0.0 < alpha < 1.0:
        raise TunescopeError(f"alpha: expected a number between 0 and 1, found {alpha:g}. Usual is 0.05.")
    opened = open_study(study, store=store, mirror=mirror, changes=changes)
    plan, kept = opened.plan, opened.store
    return compared(plan, kept, alpha)


def compared(plan: Plan, store: Store, alpha: float = 0.05) -> StudyComparisons:
    """The comparisons of a plan, and what other methods say of them together."""
    return StudyComparisons(
        plan=plan,
        comparisons=tuple(hypotheses.compare_study(plan, store, alpha=alpha)),
        opinions=tuple(second_opinions(plan, collect(plan, store))),
    )


def load_results(
    study: Path | str, store: Path | str = DEFAULT_STORE, mirror: Path | str | None = None
) -> pd.DataFrame:
    """`study_results` as a pandas DataFrame; `study` may be a store: `load_results("tunescope-store")`."""
    rows = study_results(Path(study), store=Path(store), mirror=None if mirror is None else Path(mirror))
    frame: pd.DataFrame = as_table(rows).to_pandas()
    return frame


def study_drift(
    study: Path, *, store: Path = DEFAULT_STORE, mirror: Path | None = None, changes: Sequence[str] = ()
) -> tuple[list[DriftResult], list[LayerDrift]]:
    """How far each run drifted, and every layer and measure behind it.

    Raises:
        TunescopeError: If the study is wrong, or there is no store.
    """
    opened = open_study(study, store=store, mirror=mirror, changes=changes)
    plan, kept = opened.plan, opened.store
    return collect_drift(plan, kept), collect_layers(plan, kept)


def study_retention(
    study: Path, *, store: Path = DEFAULT_STORE, mirror: Path | None = None, changes: Sequence[str] = ()
) -> list[Retained]:
    """What each run still makes of plain text, beside its base model.

    Raises:
        TunescopeError: If the study is wrong, or there is no store.
    """
    opened = open_study(study, store=store, mirror=mirror, changes=changes)
    return collect_retention(opened.plan, opened.store)


def study_probes(
    study: Path, *, store: Path = DEFAULT_STORE, mirror: Path | None = None, changes: Sequence[str] = ()
) -> list[Probed]:
    """What each run's states still say of the study's other tasks, beside its base model.

    Raises:
        TunescopeError: If the study is wrong, or there is no store.
    """
    opened = open_study(study, store=store, mirror=mirror, changes=changes)
    return collect_probes(opened.plan, opened.store)

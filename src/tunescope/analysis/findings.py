"""A plan and a store -> all that a report tells of: every table of the analysis, side by side."""

from __future__ import annotations

from dataclasses import dataclass, field

from tunescope.analysis.collect import ResultRow, collect
from tunescope.analysis.curves import Curve, collect_curves
from tunescope.analysis.data_read import TaskRead, collect_data
from tunescope.analysis.disagreements import Disagreements, collect_disagreements
from tunescope.analysis.drift import DriftResult, LayerDrift, collect_drift, collect_layers
from tunescope.analysis.hypotheses import Compared, compare_study
from tunescope.analysis.ledger import Cost, RelativeCost, collect_costs, collect_relative_costs
from tunescope.analysis.makespan import RunHistory, collect_history
from tunescope.analysis.probes import Probed, collect_probes
from tunescope.analysis.provenance import JobLine, Provenance, collect_jobs, collect_provenance
from tunescope.analysis.quality import Level, Quality, collect_levels, collect_quality
from tunescope.analysis.retention import Retained, collect_retention
from tunescope.analysis.second_opinion import SecondOpinion, second_opinions
from tunescope.analysis.settings_in_force import (
    SettingDifference,
    SettingsInForce,
    collect_settings,
    setting_differences,
)
from tunescope.analysis.sweeps import SweepSummary, summarise_sweeps
from tunescope.analysis.trials import TrialRow, collect_trials
from tunescope.analysis.updates import BlockUpdate, Update, block_updates, collect_updates
from tunescope.store import Store
from tunescope.study.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything the store knows of a study, failed and missing runs included."""

    plan: Plan
    rows: tuple[ResultRow, ...]
    """A row per run or baseline and score."""
    quality: tuple[Quality, ...]
    """By base model, task, metric and method, in the study's order."""
    levels: tuple[Level, ...]
    """Baselines and published figures."""
    comparisons: tuple[Compared, ...]
    opinions: tuple[SecondOpinion, ...]
    drift: tuple[DriftResult, ...]
    layers: tuple[LayerDrift, ...]
    updates: tuple[Update, ...]
    """By run and parameter."""
    block_updates: tuple[BlockUpdate, ...]
    """By run and block, then by method and block over its seeds."""
    retention: tuple[Retained, ...]
    probes: tuple[Probed, ...]
    sweeps: tuple[SweepSummary, ...]
    trials: tuple[TrialRow, ...]
    costs: tuple[Cost, ...]
    relative_costs: tuple[RelativeCost, ...]
    """By base model, task and method, then by base model and method over tasks."""
    curves: tuple[Curve, ...]
    data: tuple[TaskRead, ...]
    settings: tuple[SettingsInForce, ...]
    setting_differences: tuple[SettingDifference, ...]
    disagreements: tuple[Disagreements, ...]
    """By base model and task, where two methods or more have a finished run."""
    jobs: tuple[JobLine, ...]
    """In the plan's order."""
    provenance: Provenance
    history: RunHistory = field(default_factory=RunHistory)
    """Of the run commands."""


def collect_findings(plan: Plan, store: Store, *, alpha: float = 0.05) -> Findings:
    """All that the store knows of a study; reads nothing but the store, and changes nothing.

    Args:
        plan: Of the study; with predicted times where the cost ledger is to hold them against the measured ones.
        store: That it ran into.
        alpha: Chance, at most, of a false verdict in the family of comparisons.

    Raises:
        StoreError: If an artifact was damaged or removed while it was read. One that was damaged before counts as failed.
    """
    rows = collect(plan, store)
    updates = collect_updates(plan, store)
    settings = collect_settings(plan, store)
    jobs = collect_jobs(plan, store)
    return Findings(
        plan=plan,
        rows=tuple(rows),
        quality=tuple(collect_quality(plan, store, rows)),
        levels=tuple(collect_levels(rows)),
        comparisons=tuple(compare_study(plan, store, alpha=alpha)),
        opinions=tuple(second_opinions(plan, rows)),
        drift=tuple(collect_drift(plan, store)),
        layers=tuple(collect_layers(plan, store)),
        updates=tuple(updates),
        block_updates=tuple(block_updates(updates)),
        retention=tuple(collect_retention(plan, store)),
        probes=tuple(collect_probes(plan, store)),
        sweeps=tuple(summarise_sweeps(plan, store)),
        trials=tuple(collect_trials(plan, store)),
        costs=tuple(collect_costs(plan, store)),
        relative_costs=tuple(collect_relative_costs(plan, store)),
        curves=tuple(collect_curves(plan, store)),
        data=tuple(collect_data(plan, store)),
        settings=tuple(settings),
        setting_differences=tuple(setting_differences(settings)),
        disagreements=tuple(collect_disagreements(plan, store)),
        jobs=tuple(jobs),
        provenance=collect_provenance(plan, store, jobs),
        history=collect_history(plan, store),
    )

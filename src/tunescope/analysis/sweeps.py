"""What a reader needs of each sweep in words and numbers: the choice, its lead, its price, and the warnings."""

from __future__ import annotations

from dataclasses import dataclass

from tunescope.analysis.collect import state_of
from tunescope.analysis.trials import selected_of
from tunescope.search.space import as_text
from tunescope.search.trial import Trial
from tunescope.stats.budget_curve import expected_best
from tunescope.stats.estimate import Estimate
from tunescope.store import Store
from tunescope.study.plan import Plan
from tunescope.study.sweeps import Sweep
from tunescope.tasks.scores import SCORES


@dataclass(frozen=True, kw_only=True)
class SweepSummary:
    """One finished or unfinished sweep, told."""

    place: tuple[str, str, str]
    """Base model, task, method."""
    title: str
    chosen: str
    """What was chosen, out of how many trials, at which price."""
    against_default: str
    """The winner beside the default setting; empty where the spaces have no defaults."""
    budget: tuple[tuple[int, Estimate], ...]
    """Expected best score after k trials, by k; in the score's own direction turned so that higher is better."""
    budget_curve: str
    """The same as a line of text; empty where it is not estimable."""
    warnings: tuple[str, ...]


def summarise_sweeps(plan: Plan, store: Store) -> list[SweepSummary]:
    """Every sweep of the plan as the store knows it."""
    return [_summary(plan, sweep, store) for sweep in plan.sweeps]


def _summary(plan: Plan, sweep: Sweep, store: Store) -> SweepSummary:
    title = f"{sweep.task} {sweep.method}"
    if len(plan.study.base_models) > 1:
        title = f"{sweep.base_model.rsplit('/', 1)[-1]} {title}"
    place = (sweep.base_model, sweep.task, sweep.method)
    selected = selected_of(sweep, store)
    if selected is None:
        state, reason = state_of(sweep.select, store)
        told = f"no choice: {reason}" if state == "failed" else f"not chosen yet, {sweep.num_trials} trials planned"
        return SweepSummary(
            place=place, title=title, chosen=told, against_default="", budget=(), budget_curve="", warnings=()
        )
    trials = [Trial.model_validate(trial) for trial in selected["trials"]]
    task = next(task for task in plan.study.tasks if task.name == sweep.task)
    metric = task.primary_metric
    best = trials[selected["trial"]]
    curve = budget_curve(trials)
    return SweepSummary(
        place=place,
        title=title,
        chosen=_chosen(trials, best, metric),
        against_default=_against_default(trials, best, selected["default_trial"], metric),
        budget=tuple(curve.items()),
        budget_curve=_curve_text(curve, metric),
        warnings=tuple(selected["warnings"]),
    )


def budget_curve(trials: list[Trial]) -> dict[int, Estimate]:
    """Expected best score after k = 1, 2, 4, ... and all trials; pruned trials with the score they were stopped at."""
    ks = sorted({*(2**power for power in range(len(trials).bit_length()) if 2**power < len(trials)), len(trials)})
    return dict(zip(ks, expected_best([trial.score for trial in trials], ks), strict=True))


def _chosen(trials: list[Trial], best: Trial, metric: str) -> str:
    counts = {state: sum(trial.state == state for trial in trials) for state in ("complete", "pruned", "failed")}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    read, planned = sum(trial.num_tokens for trial in trials), sum(trial.num_tokens_planned for trial in trials)
    uncounted = ", failed trials left out" if counts["failed"] else ""
    saved = (
        f"; stopping early saved {1 - read / planned:.0%} of {planned:,} tokens{uncounted}" if read < planned else ""
    )
    error = "" if best.standard_error is None else f" (standard error {shown(best.standard_error, metric, sign=False)})"
    return (
        f"trial {best.number} of {len(trials)} ({told}): {as_text(best.values)}, {metric} {shown(best.score, metric)}{error} "
        f"on {best.num_examples:,} selection rows{saved}"
    )


def _against_default(trials: list[Trial], best: Trial, default: int | None, metric: str) -> str:
    if default is None:
        return ""
    usual = trials[default]
    if usual.score is None:
        return f"default setting {as_text(usual.values)}: {usual.state}, {usual.reason}"
    if usual.number == best.number:
        return "the default setting was the best"
    unit = " points" if SCORES[metric].range in ((0.0, 1.0), (-1.0, 1.0)) else ""
    gain = (best.score or 0.0) - usual.score
    told = f"{100 * gain:+.2f}{unit}" if unit else f"{gain:+.4g}"
    stopped = " when it was stopped" if usual.state == "pruned" else ""
    return (
        f"default setting {as_text(usual.values)}: {metric} {shown(usual.score, metric)}{stopped}; tuned {told}, on the rows "
        "it was chosen by, so at its most flattering"
    )


def _curve_text(curve: dict[int, Estimate], metric: str) -> str:
    points = [f"{k}: {shown(estimate.value, metric)}" for k, estimate in curve.items() if estimate.value is not None]
    return f"expected best after k trials drawn from these: {', '.join(points)}" if points else ""


def shown(value: float | None, metric: str, *, sign: bool = True) -> str:
    """A selection score in the metric's own direction and unit."""
    if value is None:
        return "-"
    score = SCORES[metric]
    own = value if score.higher_is_better or not sign else -value
    return f"{own:.4g}" if score.range[1] == float("inf") else f"{100 * own:.2f}"

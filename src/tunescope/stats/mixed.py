"""A second opinion: one mixed model of all tasks, methods and seeds at once, through statsmodels."""

from __future__ import annotations

import itertools
import math
import warnings as python_warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunescope.stats.checks import check_share, finite_vector
from tunescope.stats.estimate import Estimate

_LEAST_SEED_VARIANCE = 1e-6
"""In units of the residual's: below it the search has run onto the boundary, where its standard errors mean nothing."""
_ROUNDING = 1e-10
"""A residual below this share of the scores is rounding, not spread."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """The difference of two methods, averaged over tasks with equal weight."""

    a: str
    b: str
    difference: Estimate
    """A - B."""
    p_value: float | None
    """Two-sided t test of no difference; None where not estimable."""


@dataclass(frozen=True, kw_only=True)
class MixedModel:
    """What the mixed model says; without contrasts' values where it could not be fitted, and `reason` says why."""

    contrasts: tuple[Contrast, ...]
    """Every pair of methods, in the order they first occur."""
    seed_sd: float | None
    """Standard deviation of a (task, seed) block, shared by the methods; the score's unit. None where not above 0."""
    residual_sd: float | None
    df: int | None
    """Of the contrasts' t intervals: rows less the rank of fixed and random effects together."""
    warnings: tuple[str, ...]
    """What the fit was not sure of, in words."""
    method: str
    reason: str = ""


@dataclass(frozen=True)
class _Fit:
    """What is needed of a fitted model, in the score's unit."""

    effects: np.ndarray
    covariance: np.ndarray
    seed_sd: float | None
    residual_sd: float
    warnings: tuple[str, ...]


def mixed_model(
    scores: Sequence[float] | np.ndarray,
    methods: Sequence[str],
    tasks: Sequence[str],
    seeds: Sequence[int],
    *,
    interaction: bool = True,
    level: float = 0.95,
) -> MixedModel:
    """Fits score ~ method * task + (1 | seed within task) by REML, and contrasts the methods.

    One row per run. A seed shares data order and initial head among the methods of a task, hence its random intercept; the
    same seed on another task is another block. Contrasts average over tasks with equal weight. Intervals and p are of
    Student's t on the containment degrees of freedom, not statsmodels' normal ones, which are too narrow at a few seeds.
    With every method, task and seed present it agrees with the two-way analysis of variance of each task, residual pooled.

    Where statsmodels estimates the seeds' variance at 0, or does not converge, its standard errors mean nothing. The blocks
    are then fixed effects, fitted by least squares: the same contrasts from within the blocks, with no variance to estimate;
    `warnings` and `method` say so.

    Args:
        scores: (r,) one per run, any unit.
        methods: (r,) the method of each run.
        tasks: (r,) its task.
        seeds: (r,) its seed.
        interaction: Whether methods may differ by task (method * task); else method + task, which takes the methods'
            differences to be the same on every task.
        level: Of the intervals.

    Returns:
        Not estimable, with the reason, with one method, a method missing from a task (with `interaction`), no seed shared by
        methods, too few runs, no residual spread, or where methods that are never run together need the seeds' variance and
        it cannot be estimated.

    Raises:
        ValueError: If lengths differ, there are no rows, a score is not finite, a (method, task, seed) occurs twice, or
            `level` is not between 0 and 1.
    """
    y = finite_vector("mixed_model", "scores", scores)
    rows = list(zip(methods, tasks, seeds, strict=False))
    if not len(methods) == len(tasks) == len(seeds) == len(y):
        raise ValueError(
            f"mixed_model: scores, methods, tasks and seeds must be equally long, got {len(y)}, {len(methods)}, "
            f"{len(tasks)} and {len(seeds)}."
        )
    check_share("mixed_model", "level", level)
    if len(set(rows)) != len(rows):
        twice = next(row for row in rows if rows.count(row) > 1)
        raise ValueError(
            f"mixed_model: method {twice[0]!r}, task {twice[1]!r}, seed {twice[2]!r} occurs more than once."
        )
    method_names, task_names = tuple(dict.fromkeys(methods)), tuple(dict.fromkeys(tasks))
    blocks = [(task, seed) for _, task, seed in rows]
    block_names = tuple(dict.fromkeys(blocks))
    words = f"mixed model, score ~ method {'*' if interaction else '+'} task + (1 | seed within task), REML"

    reason = _no_model(rows, method_names, task_names, interaction=interaction)
    design, contrast_rows = _design(rows, method_names, task_names, interaction=interaction)
    block_columns = np.array([[block == name for name in block_names] for block in blocks], dtype=np.float64)
    df = len(y) - int(np.linalg.matrix_rank(np.hstack([design, block_columns])))
    if not reason and np.linalg.matrix_rank(design) < design.shape[1]:
        reason = "methods and tasks are confounded: no task links all methods"
    if not reason and df < 1:
        reason = f"{len(y)} runs leave no degree of freedom; a second seed on some task would"
    fit = None
    if not reason:
        groups = np.array([block_names.index(block) for block in blocks])
        fit, trouble = _random_blocks(y, design, groups)
        if fit is None:
            words = words.replace("(1 | seed within task), REML", "seed within task as fixed effects, least squares")
            fit, reason = _fixed_blocks(y, design, block_columns, contrast_rows, df, trouble)
    num_seeds = len(set(seeds))
    contrasts = tuple(
        _contrast(a, b, row, fit, df=df, level=level, num_seeds=num_seeds, method=words, reason=reason)
        for (a, b), row in zip(itertools.combinations(method_names, 2), contrast_rows, strict=True)
    )
    return MixedModel(
        contrasts=contrasts,
        seed_sd=None if fit is None else fit.seed_sd,
        residual_sd=None if fit is None else fit.residual_sd,
        df=None if fit is None else df,
        warnings=() if fit is None else fit.warnings,
        method=words,
        reason=reason,
    )


def _no_model(
    rows: Sequence[tuple[str, str, int]], methods: Sequence[str], tasks: Sequence[str], *, interaction: bool
) -> str:
    """Why these rows carry no such model; "" where they may."""
    if len(methods) < 2:
        return f"only one method, {methods[0]!r}; two or more are needed"
    cells = {(method, task) for method, task, _ in rows}
    missing = [f"{method} on {task}" for task in tasks for method in methods if (method, task) not in cells]
    if interaction and missing:
        return f"no run of {', '.join(missing)}; leave the task out, or leave out the interaction"
    seen = [(task, seed) for _, task, seed in rows]
    if len(set(seen)) == len(seen):
        return "no seed of a task is shared by two methods, so the seeds' variance cannot be told from the rest"
    if len(set(seen)) <= len(tasks):
        return "one seed per task shows no spread between seeds; two or more are needed"
    return ""


def _design(
    rows: Sequence[tuple[str, str, int]], methods: Sequence[str], tasks: Sequence[str], *, interaction: bool
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Fixed effects (r, p) without an intercept, and for each pair of methods the weights (p,) of their difference."""
    if interaction:
        cells = [(method, task) for method in methods for task in tasks]
        design = np.array([[(method, task) == cell for cell in cells] for method, task, _ in rows], dtype=np.float64)
        means = {m: np.array([method == m for method, _ in cells], dtype=np.float64) / len(tasks) for m in methods}
    else:
        columns = [*methods, *tasks[1:]]
        design = np.array(
            [[method == name for name in methods] + [task == name for name in tasks[1:]] for method, task, _ in rows],
            dtype=np.float64,
        )
        means = {
            m: np.array([index == methods.index(m) for index in range(len(columns))], dtype=np.float64) for m in methods
        }
    return design, [means[a] - means[b] for a, b in itertools.combinations(methods, 2)]


def _random_blocks(y: np.ndarray, design: np.ndarray, groups: np.ndarray) -> tuple[_Fit | None, str]:
    """statsmodels' REML fit, or in words why it is no good."""
    from statsmodels.regression.mixed_linear_model import MixedLM
    from statsmodels.tools.sm_exceptions import ConvergenceWarning

    fixed, *_ = np.linalg.lstsq(design, y, rcond=None)
    unit = float(np.std(y - design @ fixed))
    if unit <= _ROUNDING * float(np.abs(y).max()):
        return None, "every seed of a method and task scores the same"
    try:
        with python_warnings.catch_warnings(record=True) as caught:
            python_warnings.simplefilter("always")
            # In units of the residual, as statsmodels' thresholds are absolute numbers.
            fitted = MixedLM(y / unit, design, groups=groups).fit(reml=True, method=["lbfgs", "bfgs", "powell"])
    except np.linalg.LinAlgError:
        return None, "statsmodels finds the seeds' own variance singular"
    if not fitted.converged:
        return None, "statsmodels' fit did not converge"
    seed_variance = float(np.asarray(fitted.cov_re)[0, 0])
    if not (fitted.scale > 0.0 and seed_variance > _LEAST_SEED_VARIANCE * fitted.scale):
        return None, "the seeds' own variance is estimated at 0"
    covariance = np.asarray(fitted.cov_params())[: design.shape[1], : design.shape[1]] * unit**2
    if any("Hessian" in str(warning.message) for warning in caught):
        return None, "the seeds' own variance is estimated too near 0 for standard errors"
    if not (np.isfinite(covariance).all() and (np.diag(covariance) > 0.0).all()):
        return None, "statsmodels gives no standard errors"
    said = dict.fromkeys(
        "the seeds' own variance is estimated near 0"
        if issubclass(warning.category, ConvergenceWarning) and "on the boundary" in str(warning.message)
        else f"statsmodels: {warning.message}"
        for warning in caught
    )
    fit = _Fit(
        effects=np.asarray(fitted.fe_params) * unit,
        covariance=covariance,
        seed_sd=math.sqrt(seed_variance) * unit,
        residual_sd=math.sqrt(float(fitted.scale)) * unit,
        warnings=tuple(said),
    )
    return fit, ""


def _fixed_blocks(
    y: np.ndarray,
    design: np.ndarray,
    block_columns: np.ndarray,
    contrast_rows: Sequence[np.ndarray],
    df: int,
    trouble: str,
) -> tuple[_Fit | None, str]:
    """Least squares with a column per block, or in words why that is not estimable either."""
    full = np.hstack([design, block_columns])
    inverse = np.linalg.pinv(full)
    num_effects = design.shape[1]
    estimable = (inverse @ full)[:num_effects]
    for row in contrast_rows:
        if not np.allclose(row @ estimable, np.concatenate([row, np.zeros(block_columns.shape[1])]), atol=1e-8):
            return None, f"{trouble}, and some methods share no seed that would do without it"
    effects = inverse @ y
    residual = y - full @ effects
    variance = float(residual @ residual) / df
    if math.sqrt(variance) <= _ROUNDING * float(np.abs(y).max()):
        return None, "methods differ by the same on every seed: no spread to compare with"
    fit = _Fit(
        effects=effects[:num_effects],
        covariance=(inverse @ inverse.T)[:num_effects, :num_effects] * variance,
        seed_sd=None,
        residual_sd=math.sqrt(variance),
        warnings=(f"{trouble}; seeds are taken as fixed effects instead",),
    )
    return fit, ""


def _contrast(
    a: str,
    b: str,
    weights: np.ndarray,
    fit: _Fit | None,
    *,
    df: int,
    level: float,
    num_seeds: int,
    method: str,
    reason: str,
) -> Contrast:
    if fit is None:
        nothing = Estimate(value=None, level=level, method=method, num_seeds=num_seeds, reason=reason)
        return Contrast(a=a, b=b, difference=nothing, p_value=None)
    from scipy.stats import t as student

    value = float(weights @ fit.effects)
    error = math.sqrt(float(weights @ fit.covariance @ weights))
    half_width = float(student.isf((1.0 - level) / 2.0, df)) * error
    difference = Estimate(
        value=value,
        ci_low=value - half_width,
        ci_high=value + half_width,
        level=level,
        method=f"{method}, t interval on {df} degrees of freedom",
        num_seeds=num_seeds,
    )
    return Contrast(a=a, b=b, difference=difference, p_value=float(2.0 * student.sf(abs(value) / error, df)))

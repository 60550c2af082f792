"""Do the 95% intervals cover 95%, and do the tests reject at most 5% of true null hypotheses? By simulation.

    OMP_NUM_THREADS=1 python benchmarks/calibration.py --out benchmarks/results/calibration.md [--blocks 4]

Simulated studies come from `calibration_worlds.py`, where the true difference is known. Each is analysed as `compare` does.
The statistics are computed for many studies at once; the first of every block are computed by the package's own functions
too and must agree. Every finished block is a line of the .jsonl beside --out; started again, the script goes on after the
last. `--blocks` says how many blocks of 500 studies each cell gets, so that more can be added later.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from calibration_report import report
from calibration_worlds import DISAGREEMENT, World
from scipy.special import stdtr, stdtrit

from tunescope.stats.bootstrap import hierarchical_bootstrap, resampled_differences
from tunescope.stats.components import score_of_means
from tunescope.stats.crossed import crossed_interval, effective_df
from tunescope.stats.equivalence import equivalence_test
from tunescope.stats.permutation import label_permutation_test, sign_flip_test

BLOCK = 500
MARGIN = 0.03
ALPHA = 0.05
CHECKED = 1
"""Studies of a block that the package's own functions analyse too."""
BOOTSTRAPPED = {"accuracy": 0.85, "design": "paired", "blocks": 2, "studies": 200, "resamples": 999}
"""Where bootstraps are tried: cells of this accuracy, in the first blocks, so many studies of each."""
SCORES = {name: score_of_means(name) for name in ("accuracy", "f1")}

Cell = tuple[str, float, float, int, int]
"""Design, accuracy, seed sd, examples, seeds."""


def cells() -> list[Cell]:
    sizes = (277, 408, 872), (3, 5, 10)
    paired = itertools.product(("paired",), DISAGREEMENT, (0.002, 0.010, 0.025), *sizes)
    unpaired = itertools.product(("unpaired_seeds",), (0.85,), (0.002, 0.010, 0.025), *sizes)
    return [*paired, *unpaired]


def main() -> None:
    arguments = argparse.ArgumentParser(description="Coverage of intervals and error rates of tests, by simulation.")
    arguments.add_argument("--out", type=Path, required=True, help="the table; the counts go beside it as .jsonl")
    arguments.add_argument("--blocks", type=int, default=4, help=f"blocks of {BLOCK} studies per cell")
    given = arguments.parse_args()
    counts = given.out.with_suffix(".jsonl")
    lines = [json.loads(line) for line in counts.read_text(encoding="utf-8").splitlines()] if counts.exists() else []
    done = {(*line["cell"], line["block"]) for line in lines}
    for block in range(given.blocks):
        for number, cell in enumerate(cells()):
            if (*cell, block) in done:
                continue
            began = time.process_time()
            measured = measure(cell, block, np.random.default_rng([number, block]))
            line = {"cell": cell, "block": block, "cpu_s": round(time.process_time() - began, 2), "counts": measured}
            with counts.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            lines.append(json.loads(json.dumps(line)))
    given.out.write_text(report(lines, why_equivalence_fails()), encoding="utf-8")


def measure(cell: Cell, block: int, rng: np.random.Generator) -> dict[str, dict[str, float]]:
    """By "world, score": of how many studies each interval held the truth, and each test rejected."""
    design, accuracy, seed_sd, num_examples, num_seeds = cell
    found = {}
    for difference in (0.0, MARGIN):
        world = world_of(accuracy, seed_sd, difference, 0.3 if design == "paired" else 0.0)
        studies: dict[str, list[Any]] = {name: [] for name in SCORES}
        for study in range(BLOCK):
            labels, right = world.draw(num_seeds, num_examples, rng)
            for name in SCORES:
                values = influence(name, labels, right)
                studies[name].append(summary(values, design))
                if study < CHECKED and block == 0:
                    check(studies[name][-1], values, _components(name, labels, right), name, design)
            tried = (
                (design, accuracy) == (BOOTSTRAPPED["design"], BOOTSTRAPPED["accuracy"])
                and block < BOOTSTRAPPED["blocks"]
                and difference == 0.0
            )
            if tried and study < BOOTSTRAPPED["studies"]:
                covers = bootstraps(
                    _components("accuracy", labels, right), design, seed=study, compared=study < CHECKED
                )
                found.setdefault("bootstrap", Counter()).update(covers)
        for name in SCORES:
            truth = world.true_difference[name]
            kind = f"{'null' if difference == 0.0 else 'margin'}, {name}"
            found[kind] = tally(np.array(studies[name]), truth, num_seeds, num_examples, design)
    return {kind: {name: float(number) for name, number in counted.items()} for kind, counted in found.items()}


def why_equivalence_fails(studies: int = 4000) -> dict[str, Any]:
    """How often TOST is wrong at the boundary, as it is and with a standard error that does not go with the estimate."""
    num_seeds, num_examples, seed_sd = 10, 277, 0.002
    rows = []
    for accuracy in sorted(DISAGREEMENT):
        world, rng = world_of(accuracy, seed_sd, MARGIN, 0.3), np.random.default_rng(7)
        drawn = [
            summary(influence("accuracy", *world.draw(num_seeds, num_examples, rng)), "paired") for _ in range(studies)
        ]
        estimate, error, df = crossed(np.array(drawn), num_examples, "paired")
        steady = np.sqrt(np.mean(error**2))
        # the margin's other side is too far to matter; the estimate is below this one by chance
        wrong, steadily = (float((stdtr(df, (estimate - MARGIN) / by) <= ALPHA).mean()) for by in (error, steady))
        correlation = float(np.corrcoef(estimate, error)[0, 1])
        rows.append({"accuracy": accuracy, "correlation": correlation, "wrong": wrong, "steady": steadily})
    return {
        "rows": rows,
        "studies": studies,
        "num_seeds": num_seeds,
        "num_examples": num_examples,
        "seed_sd": seed_sd,
    }


@cache
def world_of(accuracy: float, seed_sd: float, difference: float, seed_correlation: float) -> World:
    return World(accuracy, seed_sd, difference, seed_correlation)


def _components(name: str, labels: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(2, S, n, k), as `ScoreOfMeans.components` makes them."""
    if name == "accuracy":
        return right.astype(np.float64)[..., None]
    predicted = np.where(right, labels, 1 - labels)
    return np.stack([predicted * labels, predicted, np.broadcast_to(labels, right.shape)], axis=-1).astype(np.float64)


def influence(name: str, labels: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(2, S, n) what `ScoreOfMeans.influence` gives, in a tenth of its time for F1."""
    if name == "accuracy":
        return right.astype(np.float64)
    n = len(labels)
    hit = right & (labels == 1)
    hits = hit.sum(axis=2, keepdims=True) / n
    false = (right < (labels == 0)).sum(axis=2, keepdims=True) / n  # wrong on a negative
    total = hits + false + labels.mean()  # of F = 2 hits / total
    score = 2.0 * hits / total
    # labels + predicted - their means, times -F / total; 2 hit - mean, over total
    values = np.where(right, 2.0 * labels, 1.0) * (-score / total)  # labels + predicted: 2, 1, 1, 0 for tp, fn, fp, tn
    values += (2.0 / total) * hit
    values += score
    return values


def summary(values: np.ndarray, design: str) -> np.ndarray:
    """All that intervals and tests need of a study, (2 S + 3,): both arms' scores; T, R and R^2 / df of `tunescope.stats.crossed`."""
    num_seeds, n = values.shape[1:]
    by_seed, by_example = values.mean(axis=2), values.mean(axis=1)
    if design == "paired":
        tables = [(values[0] - values[1], by_seed[0] - by_seed[1], by_example[0] - by_example[1])]
    else:
        tables = list(zip(values, by_seed, by_example, strict=True))
    rests = []
    for table, seeds, examples in tables:
        squares = np.vdot(table, table) - n * seeds @ seeds - num_seeds * examples @ examples
        squares += num_seeds * n * seeds.mean() ** 2
        rests.append(squares / ((num_seeds - 1) * (n - 1)) / (num_seeds * n))
    gap = by_example[0] - by_example[1]
    total = (gap @ gap - n * gap.mean() ** 2) / (n - 1) / n
    noise = sum(rest**2 for rest in rests) / ((num_seeds - 1) * (n - 1))
    return np.array([*by_seed.ravel(), total, sum(rests), noise])


def crossed(studies: np.ndarray, num_examples: int, design: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimates, standard errors and df of `crossed_interval`, (studies,) each."""
    num_seeds = (studies.shape[1] - 3) // 2
    a, b = studies[:, :num_seeds], studies[:, num_seeds:-3]
    total, rest, rest_noise = studies[:, -3:].T
    if design == "paired":
        seeds, seeds_df = (a - b).var(axis=1, ddof=1) / num_seeds, np.full(len(a), num_seeds - 1.0)
    else:
        parts = a.var(axis=1, ddof=1) / num_seeds, b.var(axis=1, ddof=1) / num_seeds
        seeds = parts[0] + parts[1]
        seeds_df = seeds**2 * (num_seeds - 1) / np.maximum(parts[0] ** 2 + parts[1] ** 2, 1e-300)
    examples = np.maximum(total - rest, 0.0)
    rest_df = rest**2 / np.maximum(rest_noise, 1e-300)
    flat = seeds + examples <= 1e-26  # all means agree by chance, single cells do not
    seeds, seeds_df = np.where(flat, rest, seeds), np.where(flat, rest_df, np.maximum(seeds_df, 1e-300))
    noise = total**2 / (num_examples - 1) + rest_noise
    df = effective_df(seeds, seeds_df, examples, num_examples - 1, noise)
    return a.mean(axis=1) - b.mean(axis=1), np.sqrt(seeds + examples), df


def tally(
    studies: np.ndarray, truth: float, num_seeds: int, num_examples: int, design: str
) -> Counter[str]:  # fmt: skip
    """Counts over studies; `width` is the sum of the crossed intervals' half-widths."""
    estimate, error, df = crossed(studies, num_examples, design)
    a, b = studies[:, :num_seeds], studies[:, num_seeds:-3]
    p = 2.0 * stdtr(df, -np.abs(estimate) / error)
    half = stdtrit(df, 1.0 - ALPHA / 2.0) * error
    if design == "paired":
        naive_error, naive_df = (a - b).std(axis=1, ddof=1) / np.sqrt(num_seeds), num_seeds - 1
    else:
        naive_error = np.sqrt((a.var(axis=1, ddof=1) + b.var(axis=1, ddof=1)) / num_seeds)
        naive_df = 2 * (num_seeds - 1)
    naive_half = stdtrit(naive_df, 1.0 - ALPHA / 2.0) * naive_error
    examples_half = stdtrit(num_examples - 1, 1.0 - ALPHA / 2.0) * np.sqrt(studies[:, -3])
    permuted = permutation_p(a, b, design)
    tost = np.maximum(stdtr(df, -(truth + estimate) / error), stdtr(df, -(truth - estimate) / error))
    return Counter(
        studies=len(studies),
        crossed_covers=np.count_nonzero(np.abs(estimate - truth) <= half),
        naive_covers=np.count_nonzero(np.abs(estimate - truth) <= naive_half),
        examples_cover=np.count_nonzero(np.abs(estimate - truth) <= examples_half),
        crossed_rejects=np.count_nonzero(p <= ALPHA),
        naive_rejects=np.count_nonzero(np.abs(estimate) > naive_half),
        permutation_rejects=np.count_nonzero(permuted <= ALPHA),
        both_reject=np.count_nonzero(np.maximum(permuted, p) <= ALPHA),
        equivalence_rejects=np.count_nonzero(tost <= ALPHA) if truth > 0.0 else 0,
        width=float(half.sum()),
    )


def permutation_p(a: np.ndarray, b: np.ndarray, design: str) -> np.ndarray:
    """Exact two-sided p of sign flips (paired) or relabellings, (studies,)."""
    values = a - b if design == "paired" else np.concatenate([a, b], axis=1)
    signs = _regroupings(a.shape[1], design)
    tolerance = 1e-12 * np.abs(values).sum(axis=1)
    observed = np.abs(values @ signs[0]) - tolerance
    counted = np.zeros(len(values))
    for start in range(0, len(signs), 2048):
        counted += (np.abs(values @ signs[start : start + 2048].T) >= observed[:, None]).sum(axis=1)
    return counted / len(signs)


@cache
def _regroupings(num_seeds: int, design: str) -> np.ndarray:
    """Signs of every regrouping, up to an overall sign; the first is the grouping as observed."""
    if design == "paired":
        return 1.0 - 2.0 * (np.arange(2 ** (num_seeds - 1))[:, None] >> np.arange(num_seeds) & 1)
    chosen = [(0, *rest) for rest in itertools.combinations(range(1, 2 * num_seeds), num_seeds - 1)]
    signs = np.full((len(chosen), 2 * num_seeds), -1.0)
    np.put_along_axis(signs, np.asarray(chosen), 1.0, axis=1)
    return signs


def bootstraps(
    components: np.ndarray, design: str, *, seed: int, compared: bool
) -> Counter[str]:  # fmt: skip
    """Whether the plain percentile interval and the stretched one hold the true difference, 0."""
    paired = design == "paired"
    a, b = components
    t = crossed_interval(*components[..., 0], paired_by_seed=paired)
    assert t.df is not None
    assert t.standard_error is not None
    draws = resampled_differences(
        a, b, SCORES["accuracy"], paired_by_seed=paired, same_examples=True,
        num_resamples=BOOTSTRAPPED["resamples"], rng=np.random.default_rng(seed),
    )  # fmt: skip
    low, high = np.quantile(draws, [ALPHA / 2.0, 1.0 - ALPHA / 2.0])
    stretch = stdtrit(t.df, 1.0 - ALPHA / 2.0) / 1.959963984540054 * t.standard_error / draws.std(ddof=1)
    at = t.estimate.value
    stretched = at + (low - at) * stretch, at + (high - at) * stretch
    if compared:
        own = hierarchical_bootstrap(
            a, b, SCORES["accuracy"], paired_by_seed=paired, num_resamples=BOOTSTRAPPED["resamples"], seed=seed
        )
        np.testing.assert_allclose(stretched, (own.ci_low, own.ci_high), rtol=1e-9)
    return Counter(
        studies=1, plain_covers=int(low <= 0.0 <= high), stretched_covers=int(stretched[0] <= 0.0 <= stretched[1])
    )


def check(study: np.ndarray, values: np.ndarray, components: np.ndarray, name: str, design: str) -> None:
    """Raises AssertionError where this file's statistics are not the package's."""
    num_seeds, n = values.shape[1:]
    np.testing.assert_allclose(values, SCORES[name].influence(components), rtol=1e-9, atol=1e-12)
    t = crossed_interval(*values, paired_by_seed=design == "paired")
    estimate, error, df = (float(part[0]) for part in crossed(study[None], n, design))
    np.testing.assert_allclose((estimate, error, df), (t.estimate.value, t.standard_error, t.df), rtol=1e-7, atol=1e-12)
    a, b = study[:num_seeds], study[num_seeds:-3]
    own = sign_flip_test(a - b) if design == "paired" else label_permutation_test(a, b, max_exact=2**20)
    np.testing.assert_allclose(permutation_p(a[None], b[None], design)[0], own.p_value, rtol=1e-9)
    tost = max(stdtr(df, -(MARGIN + estimate) / error), stdtr(df, -(MARGIN - estimate) / error))
    np.testing.assert_allclose(tost, equivalence_test(estimate, error, df, margin=MARGIN).p_value, rtol=1e-6)


if __name__ == "__main__":
    main()

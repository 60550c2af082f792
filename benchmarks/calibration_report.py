"""The table of `calibration.py`, from its counts."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

Counts = dict[tuple[Any, ...], dict[str, Counter[str]]]
"""By (design, accuracy, seed sd, examples, seeds), then "world, score"."""

_INTRODUCTION = """# Do the intervals cover, and do the tests keep their level?

Command: `OMP_NUM_THREADS=1 python benchmarks/calibration.py --out benchmarks/results/calibration.md` ({blocks} blocks of 500 studies
per cell, {cpu:.0f} CPU-seconds on one thread). Counts of every block: `calibration.jsonl`.

Simulated studies of two methods with known true difference, 0 or 3 points (`calibration_worlds.py`): accuracies 70, 85 and 92%;
standard deviation over seeds of the accuracy on infinitely many examples ("seed sd") 0.2, 1.0 and 2.5 points; two methods disagree on
15, 10 and 5% of the examples, two seeds of one method on 10, 6 and 3%, and a little more through the seeds' quality. Scores: accuracy, and
F1 of classes of equal size. Paired: the same seeds (correlation 0.3) and examples. Unpaired seeds: the same examples.

Target: 95% intervals cover 93-97%, tests reject at most 5.5% of true null hypotheses. Figures are percent. {studies:,} studies per cell, world
and score (fewest: {fewest:,}): the Monte Carlo error (one standard error) of one cell is {error:.2f} points at 95% or 5%. **Bold**: outside the
target. In brackets, how many are out by more than two Monte Carlo errors; the lowest and highest of so many cells are partly chance.

| what | cells | outside the target |
|---|---:|---:|
{outside}


- **crossed t**: the 95% interval that `compare` reports (`tunescope.stats.crossed`), without and with a difference of 3 points.
- **seeds t**: Student's t over the seeds' differences, for contrast. It takes the examples as given.
- **examples t**: Student's t over examples of the seeds' mean difference, for contrast. It takes the seeds as given.
- **permutation**: exact permutation test over seeds alone, of no difference. It takes the examples as given, so it is no test of a difference
  on other examples; with 3 seeds, or 5 paired ones, it never rejects.
- **t**: the crossed model's p. **both**: the greater of the two p-values, which is what `compare` goes by.
- **TOST**: equivalence within a margin where the true difference is that margin.
- **half**: mean half-width of the crossed t, in points.
"""

_FAILURES = """
## Where it fails

Equivalence (TOST), most at high accuracy with many seeds; out by more than two Monte Carlo errors: {clear}.
The standard error is estimated from the examples on which the methods disagree: where the estimate happens to come out nearer 0
there are fewer of them, and it looks more certain than it is. Other studies ({studies:,} per row, paired, {num_seeds} seeds, {num_examples} examples, seed sd
{seed_sd:.1f}) show it: with every study's standard error replaced by the root mean square of all of them, the errors fall below 5%. So an
equivalence p-value just below 0.05 at high accuracy is weaker evidence than it says.

| accuracy | correlation of estimate and standard error | TOST | TOST with the standard errors' root mean square |
|---:|---:|---:|---:|
{rows}

## What this does not show

Examples and seeds are independent draws here. Test sets with groups (several questions of one passage) and seeds that fail outright (a run at
chance) are not simulated. Neither are scores other than accuracy and F1, 2 seeds, and test sets below 277 examples.
"""


def report(lines: Iterable[dict[str, Any]], why: dict[str, Any]) -> str:
    """Markdown from the lines of the counts file and what `calibration.why_equivalence_fails` found."""
    counts: Counts = defaultdict(lambda: defaultdict(Counter))
    cpu, blocks, seen = 0.0, set(), set()
    for line in lines:
        if (*line["cell"], line["block"]) in seen:  # two processes may have measured the same, to the same end
            continue
        seen.add((*line["cell"], line["block"]))
        cpu += line["cpu_s"]
        blocks.add(line["block"])
        for kind, counted in line["counts"].items():
            counts[tuple(line["cell"])][kind].update(counted)
    studied = [int(kinds["null, accuracy"]["studies"]) for kinds in counts.values()]
    parts = [
        _INTRODUCTION.format(
            blocks=len(blocks), cpu=cpu, studies=max(studied), fewest=min(studied), outside="\n".join(_outside(counts)),
            error=100.0 * math.sqrt(0.05 * 0.95 / min(studied)),
        ),
        "## By number of seeds",
        "Means over all cells of that many seeds, and in brackets the lowest and highest cell.",
        "",
        *_summary(counts),
        "",
        "## Bootstraps",
        "",
        *_bootstraps(counts),
    ]  # fmt: skip
    for design, title in (("paired", "Paired seeds"), ("unpaired_seeds", "Unpaired seeds")):
        for score in ("accuracy", "f1"):
            parts += ["", f"## {title}, {score}", "", *_cells(counts, design, score)]
    return "\n".join(parts) + "\n" + _failures(counts, why)


def _failures(counts: Counts, why: dict[str, Any]) -> str:
    clear = []
    for (design, accuracy, seed_sd, num_examples, num_seeds), kinds in counts.items():
        for kind, counted in kinds.items():
            share = counted["equivalence_rejects"] / counted["studies"]
            if kind.startswith("margin") and share - 0.055 > 2.0 * math.sqrt(
                share * (1.0 - share) / counted["studies"]
            ):
                cell = (
                    f"{100 * accuracy:.0f}%, seed sd {100 * seed_sd:.1f}, n {num_examples}, {num_seeds} {design} seeds"
                )
                clear.append(f"{cell.replace('unpaired_seeds', 'unpaired')}, {kind.split(', ')[1]}: {100 * share:.1f}")
    rows = [
        f"| {100 * row['accuracy']:.0f} | {row['correlation']:.2f} | {100 * row['wrong']:.1f} | {100 * row['steady']:.1f} |"
        for row in why["rows"]
    ]
    return _FAILURES.format(
        clear="; ".join(clear) or "none", rows="\n".join(rows), studies=why["studies"], num_seeds=why["num_seeds"],
        num_examples=why["num_examples"], seed_sd=100 * why["seed_sd"],
    )  # fmt: skip


def _outside(counts: Counts) -> list[str]:
    """Rows: how many cells miss the target, and how many of them by more than two Monte Carlo errors."""
    rows = []
    for what, name, world, low, high in (
        ("crossed t covers", "crossed_covers", "", 0.93, 0.97),
        ("`compare` finds a difference where none is (both)", "both_reject", "null", 0.0, 0.055),
        ("the crossed model's t alone does", "crossed_rejects", "null", 0.0, 0.055),
        ("TOST", "equivalence_rejects", "margin", 0.0, 0.055),
    ):
        cells = missed = clearly = 0
        for kinds in counts.values():
            for kind, counted in kinds.items():
                if kind == "bootstrap" or not kind.startswith(world):
                    continue
                share = counted[name] / counted["studies"]
                distance = max(low - share, share - high)
                cells += 1
                missed += distance > 1e-12
                clearly += distance > 1e-12 + 2.0 * math.sqrt(share * (1.0 - share) / counted["studies"])
        rows.append(f"| {what} | {cells} | {missed} ({clearly}) |")
    return rows


def _cover(counted: Counter[str], name: str) -> str:
    share = counted[name] / counted["studies"]
    return f"{100 * share:.1f}" if 0.93 <= share <= 0.97 else f"**{100 * share:.1f}**"


def _error(counted: Counter[str], name: str) -> str:
    share = counted[name] / counted["studies"]
    return f"{100 * share:.1f}" if share <= 0.055 else f"**{100 * share:.1f}**"


def _cells(counts: Counts, design: str, score: str) -> list[str]:
    rows = [
        "| accuracy | seed sd | n | seeds | crossed t, 0 | crossed t, 3 | half | seeds t | examples t | permutation | t | both | TOST |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for cell in sorted(cell for cell in counts if cell[0] == design):
        _, accuracy, seed_sd, num_examples, num_seeds = cell
        null, margin = counts[cell][f"null, {score}"], counts[cell][f"margin, {score}"]
        shown = (
            f"{100 * accuracy:.0f}", f"{100 * seed_sd:.1f}", str(num_examples), str(num_seeds),
            _cover(null, "crossed_covers"), _cover(margin, "crossed_covers"),
            f"{100 * null['width'] / null['studies']:.2f}",
            _cover(null, "naive_covers"), _cover(null, "examples_cover"), _error(null, "permutation_rejects"),
            _error(null, "crossed_rejects"), _error(null, "both_reject"), _error(margin, "equivalence_rejects"),
        )  # fmt: skip
        rows.append("| " + " | ".join(shown) + " |")
    return rows


def _summary(counts: Counts) -> list[str]:
    columns: list[tuple[str, str, Callable[[Counter[str], str], str]]] = [
        ("null", "crossed_covers", _cover),
        ("margin", "crossed_covers", _cover),
        ("null", "naive_covers", _cover),
        ("null", "examples_cover", _cover),
        ("null", "permutation_rejects", _error),
        ("null", "crossed_rejects", _error),
        ("null", "both_reject", _error),
        ("margin", "equivalence_rejects", _error),
    ]
    rows = [
        "| seeds | score | crossed t, 0 | crossed t, 3 | seeds t | examples t | permutation | t | both | TOST |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for design, score, num_seeds in (
        (design, score, seeds)
        for design in ("paired", "unpaired_seeds")
        for score in ("accuracy", "f1")
        for seeds in (3, 5, 10)
    ):
        chosen = [kinds for cell, kinds in counts.items() if (cell[0], cell[4]) == (design, num_seeds)]
        if not chosen:
            continue
        shown = []
        for world, name, form in columns:
            each = [kinds[f"{world}, {score}"] for kinds in chosen]
            pooled: Counter[str] = sum(each, Counter())
            ranked = sorted(each, key=lambda counted, name=name: counted[name] / counted["studies"])  # type: ignore[misc]
            shown.append(f"{form(pooled, name)} ({form(ranked[0], name)}-{form(ranked[-1], name)})")
        rows.append(f"| {num_seeds}{'' if design == 'paired' else ' unpaired'} | {score} | " + " | ".join(shown) + " |")
    return rows


def _bootstraps(counts: Counts) -> list[str]:
    rows = [
        "Pigeonhole bootstrap over seeds x examples, 999 resamples, accuracy 85%, paired, no difference, pooled over n: the plain percentile",
        "interval, and the one stretched to the crossed model's width (`tunescope.stats.bootstrap.hierarchical_bootstrap`).",
        "",
        "| seed sd | seeds | studies | Monte Carlo error | plain | stretched |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    pooled: dict[tuple[float, int], Counter[str]] = defaultdict(Counter)
    for (_, _, seed_sd, _, num_seeds), kinds in counts.items():
        if "bootstrap" in kinds:
            pooled[seed_sd, num_seeds].update(kinds["bootstrap"])
    for (seed_sd, num_seeds), counted in sorted(pooled.items()):
        n = counted["studies"]
        error = 100.0 * math.sqrt(0.05 * 0.95 / n)
        covers = " | ".join(_cover(counted, name) for name in ("plain_covers", "stretched_covers"))
        rows.append(f"| {100 * seed_sd:.1f} | {num_seeds} | {n:.0f} | {error:.2f} | {covers} |")
    return rows

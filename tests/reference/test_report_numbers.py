"""A report's numbers made again from what the store's files hold, by other means: numpy, scipy, scikit-learn, brute force.

How the expected numbers were made: scores by scikit-learn from the predictions; influence values from the derivative of F1 by
hand; the crossed t from the mean squares of a two-way table, with its df found by root search (docs/decisions/0006, the formulas
at the top of `stats/crossed.py`); permutations and subsets of trials by listing all of them; ratios by `scipy.stats.gmean`. Nothing
of tunescope is called but to make the store and to write the report. On 2026-11-23 the same was done once, by a script of its own,
for a tuned study of real data and for one with drift, weights and retention: of some 9,000 numbers none was wrong.
"""

from __future__ import annotations

import html.parser
import itertools
import json
import math
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import optimize, stats
from sklearn.metrics import accuracy_score, f1_score

from stored_study import StoredStudy
from tunescope.analysis.findings import collect_findings
from tunescope.report.content.contents import report_content
from tunescope.report.folder import write_report

TEXT = """
name: t
base_model: org/decoder
tasks: [mrpc, rte]
methods: {full: {}, lora: {learning_rate: {sweep: [1e-4, 2e-4, 3e-4, 4e-4, 5e-4, 6e-4]}}}
sweep: {num_trials: 6, allow_unequal_budgets: true}
seeds: [1, 2, 3, 4]
baselines: []
compare:
  - {measure: primary, methods: [lora, full], within: 0.08}
  - {measure: f1, methods: [lora, full], tasks: [mrpc]}
  - {measure: train_s, methods: [lora, full], lower_by: 0.2}
"""
TASKS = {"mrpc": ("not_equivalent", "equivalent"), "rte": ("entailment", "not_entailment")}
METHODS, SEEDS, NUM = ("full", "lora"), (1, 2, 3, 4), 120
TRIALS = (0.61, 0.74, 0.66, 0.58, 0.71, 0.69)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The report's folder, and what went into the store: label numbers, seconds of training."""
    folder = tmp_path_factory.mktemp("reference")
    stored = StoredStudy(folder / "store", TEXT)
    rng = np.random.default_rng(20261123)
    answers, seconds = {}, {}
    for task, labels in TASKS.items():
        stored.commit(f"{task}-lora-select", {}, {"selected.json": json.dumps(_selected())})
        truth = (rng.random(NUM) < 0.6).astype(int)
        ease = rng.normal(0.8, 1.0, NUM)
        for method, seed in itertools.product(METHODS, SEEDS):
            hit = ease + rng.normal(0.0, 0.25) + rng.normal(0.0, 0.5, NUM) > 0.0
            guess = np.where(hit, truth, 1 - truth)
            seconds[task, method, seed] = float(rng.uniform(8.0, 10.0) * (0.6 if method == "lora" else 1.0))
            label = f"{task}-{method}-seed{seed}"
            log = [{"event": "step", "step": step, "loss": float(rng.random())} for step in range(1, 4)]
            stored.train(
                label,
                train_s=seconds[task, method, seed],
                trainable=7 if method == "lora" else 100,
                memory=seed,
                log=log,
            )
            scores = {"accuracy": accuracy_score(truth, guess)}
            scores |= {"f1": f1_score(truth, guess)} if task == "mrpc" else {}
            table = {"id": [f"validation-{place}" for place in range(NUM)]}
            table |= {"target": [labels[one] for one in truth], "prediction": [labels[one] for one in guess]}
            facts = {"evaluate_s": 0.5, "num_tokens": 100, "num_examples": NUM, "data_fingerprint": "x", "flags": []}
            facts["truncation"] = {"num_examples": NUM, "num_truncated": 3, "num_tokens_lost": 9}
            metrics = {"scores": scores, "undefined": {}, "num_examples": NUM}
            files = {"metrics.json": json.dumps(metrics), "predictions.parquet": pa.table(table)}
            stored.commit(f"{label}-evaluate", facts, files, seconds=0.75)
            answers[task, method, seed] = (truth, guess)
    findings = collect_findings(stored.plan, stored.store)
    write_report(report_content(findings), findings, stored.store, folder / "report", figures=())
    return folder / "report", answers, seconds


def _selected():
    trials = [
        {"number": number, "values": {"learning_rate": (number + 1) * 1e-4}, "state": "complete", "score": score}
        | {"num_examples": 50, "num_tokens": 100, "num_tokens_planned": 125, "curves": [[[1, score]]]}
        for number, score in enumerate(TRIALS)
    ]
    chosen = {"trial": 1, "values": trials[1]["values"], "score": 0.74, "default_trial": None}
    return chosen | {"num_tokens": 600, "num_tokens_planned": 750, "warnings": [], "trials": trials}


def _influence(truth, guess, metric):
    """(n,) values whose mean is the score, and whose spread is what another draw of examples would add."""
    if metric == "accuracy":
        return (truth == guess).astype(float)
    hits, base = (truth * guess).mean(), guess.mean() + truth.mean()
    slope_hits, slope_base = 2.0 / base, -2.0 * hits / base**2
    centred = guess - guess.mean() + truth - truth.mean()
    return 2.0 * hits / base + slope_hits * (truth * guess - hits) + slope_base * centred


def _crossed(values):
    """Mean, standard error and df of a table of seeds x examples, both drawn at random."""
    num_seeds, num = values.shape
    grand, seeds, examples = values.mean(), values.mean(axis=1), values.mean(axis=0)
    rest = values - seeds[:, None] - examples + grand
    size, df = num_seeds * num, num_seeds - 1
    between = num * ((seeds - grand) ** 2).sum() / df / size
    total = num_seeds * ((examples - grand) ** 2).sum() / (num - 1) / size
    noise = (rest**2).sum() / (df * (num - 1)) / size
    added = max(total - noise, 0.0)
    error = math.sqrt(between + added)
    if added == 0.0:
        return grand, error, df
    satterthwaite = error**4 / (between**2 / df + total**2 / (num - 1) + noise**2 / (df * (num - 1)))
    t_seeds, t_examples = stats.t.ppf(0.975, df), stats.t.ppf(0.975, num - 1)
    hajek = math.sqrt(between * t_seeds**2 + added * t_examples**2) / error
    point = (stats.t.ppf(0.975, satterthwaite) + hajek) / 2.0
    return grand, error, optimize.brentq(lambda one: stats.t.ppf(0.975, one) - point, 0.5, 1e8)


def _values(answers, task, method, metric):
    return np.stack([_influence(*answers[task, method, seed], metric) for seed in SEEDS])


def _table(report, name):
    return pd.read_parquet(report / "data" / f"{name}.parquet")


def _row(frame, **where):
    for column, value in where.items():
        frame = frame[frame[column].isna() if value is None else frame[column] == value]
    assert len(frame) == 1, where
    return frame.iloc[0]


@pytest.mark.parametrize("task,metric", [("mrpc", "accuracy"), ("mrpc", "f1"), ("rte", "accuracy")])
@pytest.mark.parametrize("method", METHODS)
def test_means_spreads_and_intervals_of_scores(made, task, metric, method):
    report, answers, _ = made
    scorer = accuracy_score if metric == "accuracy" else f1_score
    scores = [scorer(*answers[task, method, seed]) for seed in SEEDS]
    mean, error, df = _crossed(_values(answers, task, method, metric))
    half = stats.t.ppf(0.975, df) * error
    row = _row(_table(report, "quality"), task=task, metric=metric, method=method)
    assert mean == pytest.approx(np.mean(scores))
    assert (row["value"], row["sd"]) == pytest.approx((np.mean(scores), np.std(scores, ddof=1)))
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((mean - half, mean + half))


def _expected_comparisons(answers, seconds):
    """Task, measure and claim -> difference, interval, p of the claim or of a difference, in the study's order."""
    found = {}
    for task, metric, claims in (("mrpc", "accuracy", True), ("rte", "accuracy", True), ("mrpc", "f1", False)):
        values = _values(answers, task, "lora", metric) - _values(answers, task, "full", metric)
        mean, error, df = _crossed(values)
        half, by_seed = stats.t.ppf(0.975, df) * error, values.mean(axis=1)
        signs = np.array(list(itertools.product((-1, 1), repeat=len(SEEDS))))
        permuted = (abs(signs @ by_seed) >= abs(by_seed.sum()) - 1e-12).mean()
        p = max(2.0 * stats.t.sf(abs(mean) / error, df), permuted)
        if claims:
            p = max(stats.t.sf((mean + 0.08) / error, df), stats.t.cdf((mean - 0.08) / error, df))
        found[task, metric] = (mean, mean - half, mean + half, p)
    for task in TASKS:
        times = [np.array([seconds[task, method, seed] for seed in SEEDS]) for method in ("lora", "full")]
        logs, gaps = np.log(times[0] / times[1]), times[0] - times[1]
        p = stats.ttest_1samp(logs, math.log(0.8), alternative="less").pvalue
        ends = stats.ttest_1samp(gaps, 0.0).confidence_interval(0.95)
        found[task, "train_s"] = (gaps.mean(), ends.low, ends.high, p)
    return found


def test_comparisons_and_holm_over_the_family(made):
    report, answers, seconds = made
    frame, expected = _table(report, "comparisons"), _expected_comparisons(answers, seconds)
    assert len(frame) == len(expected)
    ordered = sorted(expected, key=lambda place: expected[place][3])
    holm = np.maximum.accumulate([min((len(ordered) - i) * expected[place][3], 1.0) for i, place in enumerate(ordered)])
    for place, adjusted in zip(ordered, holm, strict=True):
        row = _row(frame, task=place[0], measure=place[1])
        told = tuple(row[["difference", "ci_low", "ci_high", "p_value"]])
        assert told == pytest.approx(expected[place], rel=1e-6), place
        assert row["p_holm"] == pytest.approx(adjusted, rel=1e-6)
        assert (row["verdict"] == "undecided") == (adjusted > 0.05)


def test_the_verdict_sentence_is_of_these_numbers(made):
    """Ratio of geometric means with its 90% interval for a claim; ratio of means for what a method costs."""
    report, _, seconds = made
    sentences = [one["text"] for one in json.loads((report / "summary.json").read_text())["verdicts"]]
    logs = np.array([math.log(seconds["rte", "lora", seed] / seconds["rte", "full", seed]) for seed in SEEDS])
    half = stats.t.ppf(0.95, len(SEEDS) - 1) * logs.std(ddof=1) / math.sqrt(len(SEEDS))
    ends = [f"{math.exp(logs.mean() + shift):.2g}" for shift in (0.0, -half, half)]
    (sentence,) = [one for one in sentences if "training time of lora on rte" in one]
    shown = re.search(r": ([\d.]+) times[^\[]*\[([\d.]+), ([\d.]+)\] \(4 seeds, 90% interval\)", sentence)
    assert shown is not None
    assert list(shown.groups()) == ends
    assert "at 1/14 of the trained parameters" in sentence


def test_costs_are_sums_over_records_and_ratios_geometric_means_over_tasks(made):
    report, _, seconds = made
    costs, relative = _table(report, "costs"), _table(report, "relative_costs")
    ratios = []
    for task in TASKS:
        means = {method: np.mean([seconds[task, method, seed] for seed in SEEDS]) for method in METHODS}
        ratios.append(means["lora"] / means["full"])
        row = _row(relative, task=task, method="lora")
        assert (row["train_s"], row["time_ratio"]) == pytest.approx((means["lora"], ratios[-1]))
        for method in METHODS:
            spent = sum(seconds[task, method, seed] + 1.0 for seed in SEEDS)  # `StoredStudy.train` adds a second
            row = _row(costs, kind="train", task=task, method=method)
            assert (row["seconds"], row["num_tokens"], row["peak_memory_gib"]) == pytest.approx((spent, 4000, 4.0))
            assert _row(costs, kind="evaluate", task=task, method=method)["seconds"] == pytest.approx(3.0)
    over = _row(relative, task=None, method="lora")
    assert over["time_ratio"] == pytest.approx(stats.gmean(ratios))
    assert over["parameters_ratio"] == pytest.approx(0.07)


def test_the_best_of_k_trials_is_the_mean_over_all_subsets(made):
    report, _, _ = made
    for row in _table(report, "budget").to_dict("records"):
        best = [max(subset) for subset in itertools.combinations(TRIALS, row["num_trials"])]
        assert row["value"] == pytest.approx(np.mean(best))
    assert set(_table(report, "budget")["num_trials"]) == {1, 2, 4, 6}


def test_examples_answered_differently(made):
    report, answers, _ = made
    frame = _table(report, "disagreements")
    for task, labels in TASKS.items():
        truth = answers[task, "full", 1][0]
        guesses = np.stack([answers[task, method, seed][1] for method in METHODS for seed in SEEDS])
        differ = {f"validation-{place}" for place in np.flatnonzero(guesses.min(axis=0) != guesses.max(axis=0))}
        own = frame[frame["task"] == task]
        assert set(own["example"]) == differ
        shares = {method: (guesses[4 * k : 4 * k + 4] == truth).mean(axis=0) for k, method in enumerate(METHODS)}
        for row in own.to_dict("records"):
            place = int(row["example"].removeprefix("validation-"))
            assert row["target"] == labels[truth[place]]
            assert row["is_right"] == (row["answer"] == row["target"])
            assert row["gap"] == pytest.approx(abs(shares["full"][place] - shares["lora"][place]))


class _Tables(html.parser.HTMLParser):
    """Cells of every table, as a browser without scripts shows them."""

    def __init__(self):
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self._in_cell = False
        self._drawings = 0

    def handle_starttag(self, tag, attrs):
        self._drawings += tag == "svg"
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag):
        self._drawings -= tag == "svg"
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data):
        if self._in_cell and not self._drawings:
            self.tables[-1][-1][-1] += data.strip()


def test_the_page_shows_them_rounded(made):
    report, answers, _ = made
    page = _Tables()
    page.feed((report / "index.html").read_text(encoding="utf-8"))
    (shown,) = [table for table in page.tables if table[0][:4] == ["task", "score", "method", "mean"]]
    for cells in shown[1:]:
        task, metric, method = cells[:3]
        mean, error, df = _crossed(_values(answers, task, method, metric))
        half = stats.t.ppf(0.975, df) * error
        assert cells[3:6] == [f"{100 * one:.1f}" for one in (mean, mean - half, mean + half)]
    (prices,) = [table for table in page.tables if table[0][:3] == ["task", "price in", "method"]]
    told = {tuple(cells[:3]): cells[5] for cells in prices[1:]}
    for task in TASKS:
        means = {method: _values(answers, task, method, "accuracy").mean() for method in METHODS}
        assert told[task, "trained parameters", "lora"] == "yes"
        assert told[task, "trained parameters", "full"] == ("yes" if means["full"] > means["lora"] else "no")
    assert not re.search(r"\bnan\b", json.dumps(page.tables))

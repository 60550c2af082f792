"""A study's comparisons from what its runs left behind: which way round, over what, and what is not estimable."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import f1_score

from made_study import NUM_EXAMPLES, MadeStudy
from tunescope.analysis.hypotheses import compare_study, comparisons_as_table
from tunescope.report.terminal.hypotheses import hypothesis_summary
from tunescope.report.terminal.results import render


class _Compared(MadeStudy):
    def compared(self, **options):
        return compare_study(self.plan, self.store, **options)


@pytest.fixture
def made(tmp_path):
    def make(*changes):
        return _Compared(tmp_path / "store", *changes)

    return make


def test_a_against_b_is_a_minus_b_and_the_verdict_is_on_a(made):
    made = made("compare=[{measure: accuracy, methods: [lora, full]}, {measure: f1, methods: [head_only, full]}]")
    made.run("full", 0.70)
    made.run("lora", 0.85)
    made.run("head_only", 0.55)
    up, down = made.compared()
    assert (up.a, up.b, up.measure, up.is_declared) == ("lora", "full", "accuracy", True)
    assert np.mean(up.comparison.a_scores) == pytest.approx(0.85, abs=0.01)
    assert np.mean(up.comparison.b_scores) == pytest.approx(0.70, abs=0.01)
    assert up.comparison.difference.value == pytest.approx(0.15, abs=0.02)
    assert up.comparison.difference.ci_low > 0.1
    assert up.verdict.answer == "better"
    assert (down.measure, down.verdict.answer) == ("f1", "worse")
    expected = [f1_score(made.targets, made.answers("head_only", seed, 0.55)) for seed in range(1, 9)]
    assert down.comparison.a_scores == pytest.approx(expected)
    assert (up.comparison.num_seeds, up.comparison.num_examples) == ((8, 8), (NUM_EXAMPLES, NUM_EXAMPLES))
    rows = comparisons_as_table([up, down]).to_pylist()
    assert [(row["a"], row["b"], row["verdict"]) for row in rows] == [
        ("lora", "full", "better"),
        ("head_only", "full", "worse"),
    ]
    assert rows[0]["a_mean"] - rows[0]["b_mean"] == pytest.approx(rows[0]["difference"])
    assert rows[0]["p_holm"] == pytest.approx(2 * rows[0]["p_value"])
    assert rows[0]["mcnemar_p"].count("seed ") == 8


def test_claims_are_made_of_the_bounds_that_the_study_names(made):
    made = made(
        "compare=[{measure: train_s, methods: [lora, full], lower_by: 0.2},"
        " {measure: train_s, methods: [full, lora], higher_by: 0.2},"
        " {measure: train_s, methods: [full, lora], lower_by: 0.2},"
        " {measure: accuracy, methods: [lora, full], within: 0.05},"
        " {measure: accuracy, methods: [lora, full], not_worse_by: 0.05}]"
    )
    made.run("full", 0.70, train_s=20.0)
    made.run("lora", 0.71, train_s=12.0)
    lower, higher, wrong, within, not_worse = made.compared()
    assert lower.comparison.claim_test.claim == "A / B < 0.8"
    assert lower.comparison.claim_test.estimate == pytest.approx(0.61, abs=0.01)
    assert higher.comparison.claim_test.claim == "A / B > 1.2"
    assert [one.verdict.answer for one in (lower, higher, wrong)] == ["holds", "holds", "undecided"]
    assert within.comparison.claim_test.claim == "|A - B| < 0.05"
    assert not_worse.comparison.claim_test.claim == "A - B > -0.05"
    assert [within.verdict.answer, not_worse.verdict.answer] == ["equivalent", "not worse"]


def test_of_time_less_is_better(made):
    made = made("compare=[{measure: train_s, methods: [lora, full]}]")
    made.run("full", 0.7, train_s=20.0)
    made.run("lora", 0.7, train_s=12.0)
    for cell in made.plan.runs:  # the difference must vary for a t to be there
        if cell.method == "lora":
            made.store.forget(cell.train.id)
            made.commit(cell.train, {"train_s": 12.0 + cell.seed**2 / 50, "weights_sha256": f"lora{cell.seed}"})
    (found,) = made.compared()
    assert found.verdict.answer == "better"
    assert found.comparison.difference.value < -7.0


def test_one_failed_seed_makes_it_not_estimable_and_leaves_the_family(made):
    made = made("compare=[{methods: [lora, full]}, {methods: [head_only, full]}]")
    made.run("full", 0.70)
    made.run("head_only", 0.55)
    made.run("lora", 0.85, seeds=range(1, 8))
    made.fail("lora", 8, "the loss is nan at step 3")
    failed, other = made.compared()
    assert failed.verdict.answer == "not estimable"
    assert failed.comparison.reason.startswith("1 of 16 runs are not there, the first: lora seed 8: ")
    assert "the loss is nan at step 3" in failed.comparison.reason
    assert other.verdict.adjusted_p == other.verdict.p_value
    shown = " ".join(render(hypothesis_summary([failed, other]), width=160).split())
    assert "comparisons, a family of 2 (1 estimable, Holm is over those), declared in the study" in shown


def test_without_hypotheses_every_pair_is_compared_and_marked(made):
    made = made()
    for method in ("full", "lora", "head_only"):
        made.run(method, 0.7)
    found = made.compared()
    assert [(one.a, one.b, one.is_declared) for one in found] == [
        ("lora", "full", False),
        ("head_only", "full", False),
        ("head_only", "lora", False),
    ]
    assert {one.verdict.answer for one in found} == {"undecided"}
    assert "exploratory" in render(hypothesis_summary(found), width=160)


def test_three_seeds_make_no_difference_real_however_large(made):
    made = made("compare=[{methods: [lora, full]}]", "seeds=[1, 2, 3]")
    made.run("full", 0.5)
    made.run("lora", 0.95)
    (found,) = made.compared()
    assert (found.verdict.answer, found.comparison.permutation.smallest_p) == ("undecided", 0.25)
    assert found.verdict.sentence.endswith("3 seeds allow no p below 0.25; 6 would.")


def test_unequal_budgets_stand_on_every_row_and_above_the_table(made):
    rate = "learning_rate={sweep: [1e-5, 1e-4]}"
    made = made(f"methods.lora.{rate}", "sweep={allow_unequal_budgets: true}", "compare=[{methods: [head_only, full]}]")
    made.run("full", 0.7)
    made.run("head_only", 0.5)
    (found,) = made.compared()
    assert "methods lora are tuned and full, head_only not" in found.caveat
    assert comparisons_as_table([found]).to_pylist()[0]["caveat"] == found.caveat
    shown = " ".join(render(hypothesis_summary([found], notes=[found.caveat, "another note"]), width=160).split())
    assert shown.count("allows unequal tuning budgets") == 1
    assert "another note" in shown


def test_seeds_that_had_no_effect_are_no_sample(made):
    made = made("compare=[{methods: [lora, full]}, {measure: train_s, methods: [lora, full], lower_by: 0.2}]")
    made.run("full", 0.7, train_s=20.0)
    made.run("lora", 0.8)
    for cell in made.plan.runs:
        if cell.method == "lora" and cell.seed in (2, 5):
            made.store.forget(cell.train.id)
            made.commit(cell.train, {"train_s": 10.0, "weights_sha256": "the same"})
    score, time = made.compared()
    assert score.comparison.reason == (
        "seeds 2, 5 of lora ended with identical weights: the seed had no effect, and they are one run"
    )
    assert (score.verdict.answer, time.verdict.answer) == ("not estimable", "holds")


def test_seeds_on_other_examples_are_not_compared(made):
    made = made("compare=[{methods: [lora, full]}]")
    made.run("full", 0.7)
    made.run("lora", 0.8)
    (cell,) = (one for one in made.plan.runs if (one.method, one.seed) == ("lora", 3))
    folder = made.store.artifact(cell.evaluate.kind, cell.evaluate.id)
    table = pq.read_table(folder / "predictions.parquet")
    made.store.forget(cell.evaluate.id)

    def fill(out):
        other = table.set_column(0, "id", pa.array([f"other{i}" for i in range(NUM_EXAMPLES)]))
        pq.write_table(other, out / "predictions.parquet")
        (out / "metrics.json").write_text(json.dumps({"scores": {}, "undefined": {}, "num_examples": NUM_EXAMPLES}))

    made.commit(cell.evaluate, {}, fill)
    (found,) = made.compared()
    assert found.verdict.answer == "not estimable"
    assert found.comparison.reason == "seed 3 of lora was scored on other examples than seed 1"

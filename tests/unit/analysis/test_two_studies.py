"""Two studies side by side: what is the same run, what is paired, what differs in what was asked."""

from __future__ import annotations

import pytest

from made_study import MadeStudy
from tunescope.analysis.two_studies import Side, compare_two
from tunescope.report.content.two_studies import two_studies_content


@pytest.fixture
def sides(tmp_path):
    """Makes the first and the second study, each in a store of its own."""

    def make(first=(), second=(), models=("org/decoder", "org/decoder")):
        made = [
            MadeStudy(tmp_path / name, *changes, model=model)
            for name, changes, model in zip(("one", "two"), (first, second), models, strict=True)
        ]
        return made, [
            Side(name=name, plan=one.plan, store=one.store) for name, one in zip(("one", "two"), made, strict=True)
        ]

    return make


def by_method(found):
    return {cell.method: cell for cell in found.cells}


def test_the_same_jobs_with_the_same_scores_are_told_so(sides):
    made, both = sides()
    for one in made:
        one.run("full", 0.7)
    cell = by_method(compare_two(*both))["full"]
    assert cell.relation == "same runs"
    assert cell.note == "the same jobs, with the same scores"
    assert cell.means == pytest.approx((0.7, 0.7), abs=0.01)


def test_the_same_jobs_with_other_scores_are_not_passed_over(sides):
    made, both = sides()
    made[0].run("full", 0.70)
    made[1].run("full", 0.75)
    assert "with other scores" in by_method(compare_two(*both))["full"].note


def test_the_same_jobs_in_another_order_of_seeds_are_the_same_jobs(sides):
    made, both = sides(second=("seeds=[8, 7, 6, 5, 4, 3, 2, 1]",))
    for one in made:
        one.run("full", 0.7)
    cell = by_method(compare_two(*both))["full"]
    assert (cell.relation, cell.note) == ("same runs", "the same jobs, with the same scores")


def test_more_seeds_of_the_same_settings_are_no_change_to_test(sides):
    """Runs that both arms have are no two samples, and a test of them would be of nothing but the draw of the other seeds."""
    made, both = sides(second=("seeds=[1, 2, 3, 4, 5, 6]",))
    made[0].run("full", 0.70)
    made[1].run("full", 0.70, seeds=range(1, 7))
    cell = by_method(compare_two(*both))["full"]
    assert cell.relation == "same runs"
    assert cell.note == (
        "seeds 1, 2, 3, 4, 5, 6 are the same jobs, with the same scores; the first alone has seeds 7, 8"
    )
    assert cell.verdict.answer == "not estimable"


def test_other_jobs_that_ended_with_the_same_weights_are_the_same_runs(sides):
    """As where one study follows drift through training and the other does not."""
    made, both = sides(second=("drift={every: 0.5}",))
    for one in made:
        one.run("full", 0.7)
    made[0].run("lora", 0.7)
    cells = by_method(compare_two(*both))
    assert cells["full"].comparison.is_estimable
    assert (cells["full"].relation, cells["full"].note) == ("same runs", "the same weights, with the same scores")
    assert cells["lora"].relation == "not comparable"


def test_a_change_that_some_seeds_did_not_feel_is_tested(sides):
    made, both = sides(second=("methods.full.learning_rate=1e-4",))
    made[0].run("full", 0.70)
    made[1].run("full", 0.70, seeds=[1, 2])
    made[1].run("full", 0.85, seeds=range(3, 9))
    cell = by_method(compare_two(*both))["full"]
    assert (cell.relation, cell.note) == ("same examples", "")
    assert cell.verdict.p_value is not None


def test_the_same_runs_leave_the_p_of_what_changed_as_it_is(sides):
    """Holm's correction is over what is tested: here one of three, the other two being the same jobs."""
    made, both = sides(second=("methods.full.learning_rate=1e-4",))
    for one, accuracy in zip(made, (0.70, 0.85), strict=True):
        one.run("full", accuracy)
        one.run("lora", 0.7)
        one.run("head_only", 0.6)
    cells = by_method(compare_two(*both))
    assert [cells[name].relation for name in ("full", "lora", "head_only")] == [
        "same examples",
        "same runs",
        "same runs",
    ]
    verdict = cells["full"].verdict
    assert verdict.adjusted_p == verdict.p_value == cells["full"].comparison.p_value
    assert cells["lora"].verdict.p_value is None


def test_a_setting_that_changed_is_named_and_the_difference_is_second_minus_first(sides):
    made, both = sides(second=("methods.full.learning_rate=1e-4",))
    made[0].run("full", 0.70)
    made[1].run("full", 0.85)
    found = compare_two(*both)
    cell = by_method(found)["full"]
    assert cell.relation == "same examples"
    assert cell.comparison.paired_by_seed
    assert cell.comparison.difference.value == pytest.approx(cell.means[1] - cell.means[0])
    assert cell.comparison.difference.value == pytest.approx(0.15, abs=0.02)
    assert cell.verdict.answer == "better"
    (change,) = found.changes
    assert (change.what, change.first, change.second) == ("methods.full.training.learning_rate", "", "0.0001")


def test_methods_without_runs_are_not_estimable_and_say_which_side(sides):
    made, both = sides()
    made[0].run("lora", 0.7)
    cell = by_method(compare_two(*both))["lora"]
    assert cell.relation == "not comparable"
    assert cell.verdict.answer == "not estimable"
    assert "8 of 16 runs are not there, the first: two: lora seed 1: not run yet" in cell.comparison.reason


def test_another_base_model_is_compared_without_pairing_seeds(sides):
    made, both = sides(models=("org/decoder", "org/larger"))
    made[0].run("full", 0.70)
    made[1].run("full", 0.85)
    cell = by_method(compare_two(*both))["full"]
    assert cell.base_models == ("org/decoder", "org/larger")
    assert not cell.comparison.paired_by_seed
    assert cell.relation == "same examples"


def test_other_report_rows_are_told_and_not_paired(sides):
    made, both = sides(second=("methods.full.learning_rate=1e-4",))
    made[1].fingerprint = "other data"
    made[0].run("full", 0.70)
    made[1].run("full", 0.85)
    cell = by_method(compare_two(*both))["full"]
    assert cell.relation == "other examples"


def test_what_one_side_lacks_is_listed(sides):
    _, both = sides(second=("tasks=[mrpc, rte]", "methods={full: {}, wide: {type: lora, rank: 16}}"))
    found = compare_two(*both)
    assert found.only_first == ("mrpc lora (org/decoder)", "mrpc head_only (org/decoder)")
    told = {change.what: (change.first, change.second) for change in found.changes}
    assert told["methods.wide"] == ("", "there")
    assert told["methods.lora"] == ("there", "")
    assert told["tasks.rte"] == ("", "there")
    assert not any(what.startswith(("methods.wide.", "tasks.rte.")) for what in told)
    assert found.only_second == ("mrpc wide (org/decoder)", "rte full (org/decoder)", "rte wide (org/decoder)")


def test_the_report_says_which_changes_are_real(sides):
    made, both = sides(second=("methods.full.learning_rate=1e-4",))
    made[0].run("full", 0.70)
    made[1].run("full", 0.85)
    report = two_studies_content(compare_two(*both))
    (verdict,) = report.verdicts
    assert verdict.text.startswith("full on mrpc is better in two: +15")
    assert {sentence.tone for sentence in report.undecided} == {"doubt"}
    scores, changes, _ = report.sections
    row = next(row for row in scores.tables[0].rows if row.id == verdict.anchor)
    assert row.cells[6].value == pytest.approx(row.cells[5].value - row.cells[4].value)
    assert [cell.shown for cell in changes.tables[0].rows[0].cells] == [
        "methods.full.training.learning_rate",
        "",
        "0.0001",
    ]

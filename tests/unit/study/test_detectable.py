"""What a study could find rests on its rows, its seeds, its family, and what is known of its seeds."""

from __future__ import annotations

import pytest

from tunescope.report.terminal.detectable import detectable_summary
from tunescope.report.terminal.results import render
from tunescope.stats.power import SEED_SD, smallest_p
from tunescope.study.detectable import SeedSpread, what_it_could_find
from tunescope.study.load import parse_study

from rich.console import Group  # isort: skip

_TEXT = """
name: t
base_model: org/decoder
tasks: [rte, mrpc]
methods: {full: {}, lora: {}}
seeds: [1, 2, 3, 4, 5, 6]
"""


def _found(*changes, **options):
    return what_it_could_find(parse_study(_TEXT, "t", changes), **options)


def _shown(found, num_seeds=6):
    return " ".join(render(Group(*detectable_summary(found, num_seeds)), width=200).split())


def test_rows_margins_and_scores_come_from_the_study():
    compare = (
        "compare=[{methods: [lora, full], within: 0.03}, {methods: [lora, full], not_worse_by: 0.04},"
        " {measure: f1, methods: [lora, full]}]"
    )
    rte, mrpc, f1 = _found(compare, "tasks.rte.max_report=100")
    assert [(one.task, one.metric, one.num_examples) for one in (rte, mrpc, f1)] == [
        ("rte", "accuracy", 100),
        ("mrpc", "accuracy", 408),
        ("mrpc", "f1", 408),
    ]
    assert (rte.margin, mrpc.margin, f1.margin) == (0.03, 0.03, None)
    assert rte.paired.half_width > mrpc.paired.half_width
    assert {one.family for one in (rte, mrpc, f1)} == {5}


def test_a_family_asks_for_more_seeds_as_its_verdicts_do():
    alone, *_ = _found("compare=[{methods: [lora, full], tasks: [rte]}]")
    assert (alone.family, alone.paired.reason) == (1, "")
    family, *_ = _found("methods={full: {}, lora: {}, a: {type: lora}, b: {type: lora}}")
    assert family.family == 12  # six pairs on two tasks
    assert family.paired.detectable is None
    assert family.paired.reason == (
        "6 seeds allow no permutation p below 0.0312; 9 would allow one as small as a family of 12 asks"
    )
    assert smallest_p(9, "paired") <= 0.05 / 12 < smallest_p(8, "paired")
    assert family.paired.half_width == alone.paired.half_width, "the interval is that of one comparison"
    nine, *_ = _found(
        "methods={full: {}, lora: {}, a: {type: lora}, b: {type: lora}}", "seeds=[1, 2, 3, 4, 5, 6, 7, 8, 9]"
    )
    one, *_ = _found("compare=[{methods: [lora, full], tasks: [rte]}]", "seeds=[1, 2, 3, 4, 5, 6, 7, 8, 9]")
    assert nine.paired.detectable > one.paired.detectable
    assert "each test at 5% / 12, as Holm's correction over the study's 12 comparisons asks" in _shown([family])
    assert "5% /" not in _shown([alone])


def test_a_measured_spread_takes_the_place_of_the_assumed_one():
    measured = {("rte", "accuracy"): SeedSpread(sd=0.005, num_runs=6, df=4)}
    (rte, mrpc), (assumed, same) = _found(measured=measured), _found()
    assert (rte.measured, mrpc.measured) == (measured["rte", "accuracy"], None)
    assert rte.paired.half_width < assumed.paired.half_width
    assert mrpc == same
    shown = _shown([rte, mrpc])
    assert (
        "rte accuracy: measured standard deviation over seeds 0.5, from 6 finished runs (4 degrees of freedom, few)"
        in shown
    )
    assert f"elsewhere assumed: a standard deviation over seeds of {100 * SEED_SD:g} points" in shown
    assert "measured standard deviation" not in _shown([assumed])
    assert "assumed: a standard deviation" not in _shown([rte])


@pytest.mark.parametrize("change", ["methods={full: {}}", "methods={lora: {}}"])
def test_one_method_has_nothing_to_be_told_from(change):
    assert _found(change) == []


def test_a_task_that_does_not_say_its_rows_says_so():
    custom = "tasks=[{name: own, kind: classification, dataset: {files: {train: a.csv, validation: b.csv}}, text: t, labels: [x, y]}]"
    (own,) = _found(custom)
    assert (own.paired, own.unpaired) == (None, None)
    assert own.reason == "task own does not say how many rows it reports on (expected: num_report)"

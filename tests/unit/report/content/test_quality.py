"""Quality: every seed is a point, and beside it stand interval, baselines, published figures and expected ranges."""

from __future__ import annotations

from dataclasses import replace

import pytest

from made_findings import TEXT, made_findings, plan_of
from tunescope.analysis.quality import Level
from tunescope.report.content.contents import report_content
from tunescope.report.content.quality import floor_sentences, quality_section
from tunescope.stats.claim import Claim
from tunescope.stats.compare import compare_scores

EXPECTED = """
expected:
  - {task: mrpc, method: full, metric: accuracy, low: 0.75, high: 0.85}
  - {task: mrpc, method: lora, metric: accuracy, low: 0.85, high: 0.9}
"""


@pytest.fixture(scope="module")
def findings():
    return made_findings(plan_of(TEXT + EXPECTED))


def test_the_chart_has_every_seed_the_mean_lines_and_bands(findings):
    chart = quality_section(findings).charts[0]
    assert (chart.id, chart.title, chart.y.label) == ("quality-mrpc", "accuracy on mrpc", "accuracy (percent)")
    assert chart.x.categories == ("full", "lora")
    by_name = {series.name: series for series in chart.series}
    seeds, mean = by_name["full seeds"], by_name["full"]
    assert [point.y for point in seeds.points] == pytest.approx([80.0, 81.0, 82.0])
    assert [point.text for point in seeds.points] == ["seed 1", "seed 2", "seed 3"]
    assert seeds.is_faint
    own = next(one for one in findings.quality if (one.task, one.method, one.metric) == ("mrpc", "full", "accuracy"))
    assert (mean.points[0].y, mean.points[0].low) == (100 * own.estimate.value, 100 * own.estimate.ci_low)
    assert mean.points[0].anchor == "rows-org-decoder-mrpc-full-accuracy"
    assert {line.name: line.value for line in chart.levels} == {
        "always the commonest answer": 50.0,
        "random guess": 50.0,
    }
    assert [(band.name, band.low, band.high) for band in chart.bands] == [
        ("expected of full", 75.0, 85.0),
        ("expected of lora", 85.0, 90.0),
    ]


def test_expected_ranges_say_in_or_out(findings):
    told = [(sentence.text, sentence.tone) for sentence in quality_section(findings).sentences]
    assert ("full on mrpc, accuracy: 81.0 lies inside the expected 75.0 to 85.0.", "good") in told
    assert ("lora on mrpc, accuracy: 79.3 lies outside the expected 85.0 to 90.0.", "doubt") in told


def test_the_table_of_scores_holds_the_stores_numbers(findings):
    table = quality_section(findings).tables[0]
    names = [column.name for column in table.columns]
    for row, one in zip(table.rows, findings.quality, strict=True):
        cells = dict(zip(names, row.cells, strict=True))
        assert cells["mean"].value == one.estimate.value
        assert (cells["low"].value, cells["high"].value) == (one.estimate.ci_low, one.estimate.ci_high)
        assert (cells["score"].shown, cells["method"].shown) == (one.metric, one.method)
    assert names[0] == "task", "one base model is not named in every row"


def test_comparisons_have_rows_that_verdicts_lead_to(findings):
    table = next(table for table in quality_section(findings).tables if table.id == "quality-comparisons")
    assert [row.id for row in table.rows] == ["comparison-1", "comparison-2"]
    names = [column.name for column in table.columns]
    cells = dict(zip(names, table.rows[0].cells, strict=True))
    one = findings.comparisons[0]
    assert cells["A - B"].value == one.comparison.difference.value
    assert cells["mean A"].value == pytest.approx(sum(one.comparison.a_scores) / 3)
    assert cells["mean A"].anchor == "rows-org-decoder-mrpc-lora-accuracy"
    assert "exploratory" in table.caption


def test_published_figures_have_short_names_and_whole_sources(findings):
    source = "RoBERTa-base, full fine-tuning, dev, Table 2 of Hu et al. 2021"
    level = Level(
        base_model=None,
        task="mrpc",
        metric="accuracy",
        name="reference",
        seed=None,
        value=0.9,
        source=source,
        state="done",
        job=findings.levels[0].job,
    )
    section = quality_section(replace(findings, levels=(level,)))
    assert section.charts[0].levels[0].name == "published: RoBERTa-base, full fine-tuning"
    assert section.tables[1].rows[0].cells[-1].shown == source


def test_errors_are_not_in_percent():
    text = TEXT.replace(
        "tasks: [mrpc, rte]",
        "tasks: [{name: own, kind: regression, dataset: {hub: org/x}, text: a, score: b, metrics: [mse]}]",
    )
    chart = quality_section(made_findings(plan_of(text))).charts[0]
    assert chart.y.label == "mse"
    assert chart.series[0].points[0].y == pytest.approx(0.8)
    assert chart.note.endswith("Lower is better.")


def test_methods_that_learnt_nothing_are_named(findings):
    assert not any("takes no training" in sentence.text for sentence in quality_section(findings).sentences)
    levels = tuple(
        replace(level, value=0.8)
        if (level.name, level.task, level.metric) == ("majority", "mrpc", "accuracy")
        else level
        for level in findings.levels
    )
    (told,) = floor_sentences(replace(findings, levels=levels))
    assert told.text == (
        "No better on mrpc than what takes no training (always the commonest answer: 80.0): mean accuracy of lora 79.3."
    )
    assert told.tone == "doubt"
    assert told in quality_section(replace(findings, levels=levels)).sentences
    assert told in report_content(replace(findings, levels=levels)).summary, (
        "a verdict between such methods misleads alone"
    )


def test_a_claim_has_the_interval_it_is_judged_by():
    claimed = made_findings(plan_of(TEXT + "\ncompare:\n  - {methods: [lora, full], within: 0.03}\n"))
    (one, *_) = claimed.comparisons
    claim = Claim(kind="equivalent_within", bound=0.03)
    scores = [0.7, 0.71, 0.69, 0.7], [0.71, 0.7, 0.7, 0.7]
    made = replace(one, comparison=compare_scores(*scores, paired=True, claim=claim, num_resamples=99))
    table = next(
        t for t in quality_section(replace(claimed, comparisons=(made,))).tables if t.id == "quality-comparisons"
    )
    cells = dict(zip((column.name for column in table.columns), table.rows[0].cells, strict=True))
    assert cells["what the claim rests on"].shown.endswith(", 90% interval")
    assert "90% interval" in table.note

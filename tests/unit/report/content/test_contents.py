"""A whole report: in every state of a study its ids are unique, its anchors land, and its cells fit their columns."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from made_findings import TEXT, made_findings, plan_of, score_of_run
from stored_study import StoredStudy
from tunescope.analysis.findings import collect_findings
from tunescope.report.content import numbers
from tunescope.report.content.chart import HeatMap
from tunescope.report.content.contents import report_content
from tunescope.report.content.section import Section

SECTION_IDS = (
    *("quality", "drift", "weights", "retention", "tradeoffs", "sweeps", "cost", "predictions", "curves", "data"),
    *("failures", "settings", "rows", "provenance"),
)
ONE_OF_EACH = """
name: t
base_model: org/decoder
tasks: [rte]
methods: {full: {}}
seeds: [1]
"""
MANY = f"""
name: t
base_models: [org/decoder, other/decoder]
tasks: [{", ".join(f"{{like: rte, name: task{number}}}" for number in range(20))}]
methods: {{full: {{}}, {", ".join(f"lora{number}: {{type: lora, rank: {number + 1}}}" for number in range(9))}}}
seeds: [1]
drift: {{}}
compare: [{{methods: [lora0, full]}}]
"""


def _ids(report):
    found = [*SECTION_IDS]
    for section in report.sections:
        found += [chart.id for chart in section.charts] + [table.id for table in section.tables]
        found += [row.id for table in section.tables for row in table.rows if row.id]
    return found


def _anchors(report):
    sentences = [*report.summary, *report.verdicts, *report.undecided]
    for section in report.sections:
        sentences += section.sentences
        for table in section.tables:
            yield from ((table.id, cell.anchor) for row in table.rows for cell in row.cells)
        for chart in section.charts:
            if not isinstance(chart, HeatMap):
                yield from ((chart.id, point.anchor) for series in chart.series for point in series.points)
    yield from ((sentence.text, sentence.anchor) for sentence in sentences)


def check(report):
    """What holds of every report."""
    assert tuple(section.id for section in report.sections) == SECTION_IDS
    ids = _ids(report)
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch("[a-z0-9][a-z0-9-]*", one) for one in ids)
    lost = [(where, anchor) for where, anchor in _anchors(report) if anchor and anchor not in set(ids)]
    assert not lost
    for section in report.sections:
        if section.missing:
            assert section == replace(Section(id=section.id, title=section.title), missing=section.missing)
        for table in section.tables:
            assert table.rows, table.id
            for row in table.rows:
                assert len(row.cells) == len(table.columns), table.id
                for column, cell in zip(table.columns, row.cells, strict=True):
                    if column.kind == "number":
                        assert (cell.value is None) == (cell.shown == numbers.NOTHING)
                        assert cell.value is None or math.isfinite(cell.value)
        for chart in section.charts:
            check_chart(chart, report.methods)


def check_chart(chart, methods):
    if isinstance(chart, HeatMap):
        assert len(chart.values) == len(chart.rows)
        assert all(len(row) == len(chart.columns) for row in chart.values)
        return
    assert any(not series.is_faint for series in chart.series)
    for series in chart.series:
        assert series.points
        assert series.role != "method" or series.method in methods
        for point in series.points:
            assert math.isfinite(point.y)
            assert point.x in chart.x.categories if chart.x.categories else math.isfinite(point.x)
            assert chart.x.scale == "linear" or point.x > 0.0
            assert (point.low is None) == (point.high is None)
            assert point.low is None or point.low <= point.y <= point.high


def _section(report, section_id):
    return next(section for section in report.sections if section.id == section_id)


def test_a_study_that_has_run_has_every_section_it_asked_for():
    report = report_content(made_findings(plan_of()))
    check(report)
    assert {section.id for section in report.sections if section.missing} == {"retention", "sweeps"}
    assert report.study == "t"
    assert report.question == "Does LoRA <b>cost</b> quality?"
    assert report.methods == ("full", "lora")
    assert report.summary[0].text == "12 of 12 runs done: 2 tasks, 2 methods, 3 seeds; decoder."
    assert "2026-01-02 03:04 UTC to 2026-01-02 04:04 UTC on a processor" in report.summary[1].text


def test_a_study_of_which_nothing_has_run_says_so_everywhere(tmp_path):
    stored = StoredStudy(tmp_path / "store", TEXT)
    report = report_content(collect_findings(stored.plan, stored.store))
    check(report)
    assert report.verdicts == ()
    assert len(report.undecided) == 2
    assert "12 to come" in report.summary[0].text
    without = {section.id for section in report.sections if section.missing}
    assert without == set(SECTION_IDS) - {"data", "failures", "rows", "provenance"}
    assert all("." in _section(report, one).missing for one in without)


def test_a_study_half_done_shows_what_is_there(tmp_path):
    stored = StoredStudy(tmp_path / "store", TEXT.replace("drift: {}", ""))
    targets = ["entailment", "not_entailment"] * 4
    stored.run("rte-full-seed1", targets, targets)
    stored.fail("rte-lora-seed2", "out of memory")
    report = report_content(collect_findings(stored.plan, stored.store))
    check(report)
    assert report.summary[0].text.startswith("1 of 12 runs done, 1 failed, 10 to come")
    assert "out of memory" in " ".join(row.cells[3].shown for row in _section(report, "failures").tables[0].rows)
    assert not _section(report, "quality").missing
    assert len(_section(report, "curves").tables[0].rows) == 1


def test_one_method_one_task_one_seed():
    report = report_content(made_findings(plan_of(ONE_OF_EACH)))
    check(report)
    assert report.verdicts == ()
    assert [sentence.text for sentence in report.undecided] == ["Nothing to compare: the study has one method."]
    assert "one method" in _section(report, "tradeoffs").missing
    assert "No interval: one seed" in _section(report, "quality").charts[0].note


def test_forty_places_and_ten_methods():
    report = report_content(made_findings(plan_of(MANY)))
    check(report)
    assert len(_section(report, "quality").charts) == 40
    assert len({chart.title for chart in _section(report, "quality").charts}) == 40
    assert "first 8 tasks" in " ".join(sentence.text for sentence in _section(report, "drift").sentences)
    assert [sentence.text for sentence in report.undecided] == [
        "40 of 40 comparisons are undecided or not estimable: the table of comparisons has them."
    ]


def test_names_with_the_same_letters_have_ids_of_their_own():
    text = TEXT.replace("[mrpc, rte]", "[{like: rte, name: a_b}, {like: rte, name: a.b}, {like: rte, name: scores}]")
    report = report_content(made_findings(plan_of(text)))
    charts = [chart.id for chart in _section(report, "quality").charts]
    assert charts == ["quality-a-b", "quality-a-b-2", "quality-scores-2"]
    assert _section(report, "quality").tables[0].id == "quality-scores"


def test_a_failed_run_is_no_number():
    plan = plan_of()
    report = report_content(
        made_findings(
            plan, lambda run, metric: None if (run.method, run.seed) == ("lora", 2) else score_of_run(run, metric)
        )
    )
    check(report)
    assert report.summary[0].text.startswith("10 of 12 runs done, 2 failed: ")
    assert report.summary[1].tone == "bad"
    assert len(report.undecided) == 2
    told = " ".join(sentence.text for sentence in _section(report, "quality").sentences)
    assert "lora on mrpc: 2 of 3 seeds have a score, 1 failed." in told


@pytest.mark.parametrize("compare, declared", [("", False), ("compare: [{methods: [lora, full]}]", True)])
def test_exploratory_comparisons_say_so(compare, declared):
    report = report_content(made_findings(plan_of(TEXT + compare)))
    told = [sentence.text for sentence in (*report.verdicts, *report.undecided)]
    assert all(("exploratory" in one) is not declared for one in told)
    assert ("exploratory" in report.summary[-1].text) is not declared

"""Settings in force: as the runs told them, and where methods differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from made_findings import made_findings, plan_of
from tunescope.report.content.settings import settings_section


@pytest.fixture(scope="module")
def findings():
    return made_findings(plan_of())


def test_differences_have_a_column_per_method(findings):
    table = settings_section(findings).tables[0]
    assert [column.name for column in table.columns] == ["task", "setting", "full", "lora"]
    assert [cell.shown for cell in table.rows[0].cells] == ["mrpc", "method.rank", "-", "8"]


def test_values_by_seed_where_they_differ(findings):
    table = settings_section(findings).tables[1]
    assert [row.cells[3].shown for row in table.rows[:2]] == ["AdamW", "1: 0.0001, 2: 0.0002"]
    assert table.rows[0].cells[3].anchor.startswith("job-")


def test_no_difference_is_said(findings):
    section = settings_section(replace(findings, setting_differences=()))
    assert section.sentences[-1].text == "No setting differs between the methods whose runs are done."
    assert len(section.tables) == 1


def test_no_training_yet(findings):
    empty = tuple(replace(one, settings=()) for one in findings.settings)
    assert "no training is done" in settings_section(replace(findings, settings=empty)).missing

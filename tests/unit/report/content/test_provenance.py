"""Provenance: every job with its record, machines, bytes, and the commands with the study's text among them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from made_findings import made_findings, plan_of
from tunescope.report.content.provenance import provenance_section
from tunescope.tasks.spec import Dataset


@pytest.fixture(scope="module")
def findings():
    return made_findings(plan_of())


def test_every_job_leads_to_its_record(findings):
    table = provenance_section(findings).tables[-1]
    assert [row.id for row in table.rows] == [f"job-{job.id}" for job in findings.jobs]
    job = findings.jobs[0]
    assert table.rows[0].cells[-1].shown == f"artifacts/{job.kind}/{job.id}/record.json"


def test_a_job_that_two_tasks_ask_for_has_one_id(findings):
    twice = replace(findings, jobs=(findings.jobs[0], findings.jobs[0]))
    assert [row.id for row in provenance_section(twice).tables[-1].rows] == [f"job-{findings.jobs[0].id}", ""]


def test_the_commands_hold_the_study(findings):
    commands = provenance_section(findings).commands
    assert commands[1] == "cat > t.yaml <<'STUDY_'\nname: t\n# STUDY\nSTUDY_"
    assert commands[2].startswith("tunescope run t.yaml")
    without = replace(findings, provenance=replace(findings.provenance, study_text=""))
    assert provenance_section(without).commands == findings.provenance.commands


def test_what_is_odd_is_told(findings):
    (one,) = findings.provenance.environments
    model = replace(findings.provenance.models[0], fingerprints=("a", "b"))
    odd = replace(
        findings.provenance,
        environments=(replace(one, is_dirty=True, num_jobs=3), replace(one, commit="d" * 40, gpus=None)),
        models=(model,),
    )
    section = provenance_section(replace(findings, provenance=odd))
    told = [sentence.text for sentence in section.sentences]
    assert "3 jobs ran from sources that differ from their commit." in told
    assert "org/decoder: jobs read 2 different sets of weights." in told
    assert any("several commits" in line for line in told)
    assert [row.cells[5].shown for row in section.tables[0].rows] == ["none", "unknown: the driver did not answer"]


def test_libraries_with_several_versions_stand_out(findings):
    (one,) = findings.provenance.environments
    newer = replace(one, versions=(("torch", "2.14.0"),))
    section = provenance_section(replace(findings, provenance=replace(findings.provenance, environments=(one, newer))))
    cell = section.tables[1].rows[0].cells[1]
    assert (cell.shown, cell.tone) == ("2.13.0, 2.14.0", "doubt")


def test_files_of_the_studys_own_are_named_beside_the_commands(findings):
    assert not any("files of the study's own" in one.text for one in provenance_section(findings).sentences)
    study = findings.plan.study
    tasks = (study.tasks[0].model_copy(update={"dataset": Dataset(files={"train": "a.csv", "validation": "b.csv"})}),)
    plan = replace(findings.plan, study=study.model_copy(update={"tasks": tasks}))
    told = provenance_section(replace(findings, plan=plan)).sentences[-1]
    assert told.text == "The commands below need files of the study's own, where it names them: a.csv, b.csv."

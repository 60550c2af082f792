"""Tidy tables: a row per thing measured, whole numbers, and the job that each comes from."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from made_findings import made_findings, plan_of
from stored_study import StoredStudy
from tunescope.analysis.findings import collect_findings
from tunescope.analysis.makespan import RunCommand, RunHistory
from tunescope.report.export.tidy import encoded
from tunescope.report.export.tidy_tables import tidy_tables


@pytest.fixture(scope="module")
def findings():
    return made_findings(plan_of())


@pytest.fixture(scope="module")
def tables(findings):
    return tidy_tables(findings)


def test_results_are_the_rows(tables, findings):
    assert tables["results"].column("value").to_pylist() == [row.value for row in findings.rows]
    assert tables["results"].column("job").to_pylist() == [row.job for row in findings.rows]


def test_quality_holds_estimate_and_expectation(tables, findings):
    for row, one in zip(tables["quality"].to_pylist(), findings.quality, strict=True):
        assert (row["value"], row["ci_low"], row["ci_high"]) == (
            one.estimate.value,
            one.estimate.ci_low,
            one.estimate.ci_high,
        )
        assert row["num_seeds"] == one.num_seeds
        assert row["is_inside"] == (None if one.expected is None else one.expected.is_inside)


def test_curves_and_examples_have_a_row_per_point(tables, findings):
    assert tables["loss"].num_rows == sum(len(curve.loss) for curve in findings.curves)
    assert tables["selection"].num_rows == sum(len(curve.selection) for curve in findings.curves)
    answers = [answer for found in findings.disagreements for one in found.examples for answer in one.answers]
    assert tables["disagreements"].num_rows == len(answers) > 0
    assert tables["disagreements"].column("job").to_pylist() == [answer.job for answer in answers]


def test_jobs_are_all_there(tables, findings):
    assert tables["jobs"].column("id").to_pylist() == [line.id for line in findings.jobs]


def test_every_table_can_be_written(tables):
    for table in tables.values():
        for form in ("parquet", "csv"):
            assert len(encoded(table, form)) > 20
        assert not any(pa.types.is_null(field.type) or pa.types.is_nested(field.type) for field in table.schema)


def test_nothing_measured_gives_no_empty_tables(tmp_path):
    stored = StoredStudy(tmp_path / "store")
    tables = tidy_tables(collect_findings(stored.plan, stored.store))
    assert {"results", "jobs"} <= set(tables)
    assert not {"loss", "layers", "weights", "disagreements"} & set(tables)


def test_run_commands_are_rows_where_there_are_any(findings):
    assert "run_commands" not in tidy_tables(findings)
    moment = datetime(2026, 1, 2, 3, tzinfo=UTC)
    command = RunCommand(
        started_at=moment,
        ended_at=moment,
        host="node-a",
        executor="local",
        num_workers=2,
        shard=None,
        ending="whole",
        num_done=8,
        num_reused=1,
        num_failed=0,
        num_blocked=0,
        num_left=0,
        num_retried=2,
        predicted_s=80.0,
        makespan_s=100.0,
        ratio=1.25,
        job_seconds=150.0,
        busy_share=0.75,
    )
    told = tidy_tables(replace(findings, history=RunHistory(commands=(command,))))["run_commands"]
    (row,) = told.to_pylist()
    assert row == vars(command) | {"started_at": moment.isoformat(), "ended_at": moment.isoformat()}
    assert encoded(told, "csv")

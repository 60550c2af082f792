"""All tables side by side: from a store where nothing ran, where half ran, and of a study that asks for everything."""

from __future__ import annotations

import dataclasses

import pytest

from stored_study import TEXT, StoredStudy
from tunescope.analysis.findings import Findings, collect_findings

MORE = """
drift: {}
retention: {texts: [{name: plain, file: plain.txt}]}
compare: [{measure: primary, methods: [lora, full], within: 0.03}]
"""


def test_a_study_of_which_nothing_ran_has_all_its_tables(tmp_path):
    stored = StoredStudy(tmp_path / "store", TEXT + MORE)
    found = collect_findings(stored.plan, stored.store)
    assert {field.name for field in dataclasses.fields(Findings)} == set(vars(found))
    assert len(found.quality) == 2
    assert all(one.estimate.value is None and one.estimate.reason for one in found.quality)
    assert [one.verdict.answer for one in found.comparisons] == ["not estimable"]
    assert len(found.drift) == 7
    assert len(found.retention) == 4
    assert (found.curves, found.updates, found.layers) == ((), (), ())
    assert {line.state for line in found.jobs} == {"missing"}
    assert found.provenance.num_done == 0


def test_half_a_study_tells_what_it_has(tmp_path):
    stored = StoredStudy(tmp_path / "store", TEXT + MORE)
    targets = ["entailment", "not_entailment"] * 10
    stored.run("rte-full-seed1", targets, targets)
    stored.run("rte-lora-seed1", targets[::-1], targets)
    stored.fail("rte-lora-seed2")
    found = collect_findings(stored.plan, stored.store)
    assert [one.estimate.value for one in found.quality] == [1.0, 0.0]
    assert found.comparisons[0].verdict.answer == "not estimable"
    assert "2 of 4 runs are not there" in found.comparisons[0].comparison.reason
    assert found.disagreements[0].num_differing == 20
    assert len(found.curves) == 2
    assert {line.state for line in found.jobs} == {"done", "failed", "missing"}


def test_reading_changes_nothing(tmp_path):
    stored = StoredStudy(tmp_path / "store")
    stored.run("rte-full-seed1", ["entailment"], ["entailment"])
    before = {path: path.stat().st_mtime_ns for path in stored.store.path.rglob("*")}
    assert collect_findings(stored.plan, stored.store) == collect_findings(stored.plan, stored.store)
    assert {path: path.stat().st_mtime_ns for path in stored.store.path.rglob("*")} == before


@pytest.mark.parametrize("cut", ["record.json", "metrics.json", "predictions.parquet"])
def test_damage_to_one_job_hides_no_other(tmp_path, cut):
    stored = StoredStudy(tmp_path / "store")
    targets = ["entailment", "not_entailment"] * 10
    for method in ("full", "lora"):
        for seed in (1, 2):
            stored.run(f"rte-{method}-seed{seed}", targets, targets)
    job = stored.jobs["rte-lora-seed1-evaluate"]
    file = stored.store.artifact(job.kind, job.id) / cut
    file.write_bytes(file.read_bytes()[:-3])
    found = collect_findings(stored.plan, stored.store)
    (line,) = [line for line in found.jobs if line.state == "failed"]
    assert (line.id, line.record) == (job.id, "")
    assert "tunescope forget" in line.reason
    full, lora = found.quality
    assert (full.num_seeds, lora.num_seeds, lora.num_failed) == (2, 1, 1)
    assert found.comparisons[0].verdict.answer == "not estimable"

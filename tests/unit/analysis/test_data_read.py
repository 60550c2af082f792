"""What is told of a task's data: from the job that describes it, else from the runs, else why not."""

from __future__ import annotations

import pytest

from stored_study import StoredStudy
from tunescope.analysis.data_read import collect_data

TEXT = """
name: t
base_models: [org/decoder, org/other]
tasks: [rte, {name: mine, kind: classification, labels: [a, b], dataset: {files: {train: t.csv, validation: v.csv}}}]
methods: {full: {}}
seeds: [1]
"""


@pytest.fixture
def stored(tmp_path, monkeypatch):
    from tunescope.study import configs

    monkeypatch.setattr(configs, "_hash_of", lambda file, hashes: "ab")
    return StoredStudy(tmp_path / "store", TEXT)


def test_before_anything_ran_the_study_says_what_it_is_to_read(stored):
    rte, mine = collect_data(stored.plan, stored.store)
    assert (rte.source, rte.config, rte.kind) == ("nyu-mll/glue", "rte", "classification")
    assert (mine.source, mine.config, mine.license) == ("t.csv, v.csv", None, "unknown")
    assert [(part.part, part.split, part.num_examples) for part in rte.parts] == [
        ("train", "train", None),
        ("selection", "train", None),
        ("report", "validation", None),
    ]
    assert (rte.truncated, rte.train_fingerprint, rte.num_seen_before, rte.reason) == ((), "", None, "not run yet")


def test_the_job_that_describes_the_data_is_asked_first(stored):
    stored.examples("rte-examples", {"sentence1": ["x", "y"]}, ["a", "b"])
    rte = collect_data(stored.plan, stored.store)[0]
    assert [part.num_examples for part in rte.parts] == [20, 4, 2]
    assert rte.parts[2].label_balance == {"a": 1, "b": 3}
    assert (rte.num_seen_before, rte.share_seen_before) == (1, 0.5)
    assert rte.selection_kin["num_sharing"] == 1
    assert (rte.train_fingerprint, rte.report_fingerprint) == ("train bytes", "report bytes")
    assert (rte.reason, rte.job) == ("", stored.jobs["rte-examples"].id)


def test_runs_tell_what_they_read_where_no_such_job_is_done(stored):
    stored.fail("rte-examples", "no such file")
    stored.run("decoder-rte-full-seed1", ["a"] * 8, ["a"] * 8)
    rte = collect_data(stored.plan, stored.store)[0]
    assert [part.num_examples for part in rte.parts] == [20, 4, 8]
    assert all(part.label_balance == {} for part in rte.parts)
    assert (rte.train_fingerprint, rte.report_fingerprint) == ("train bytes", "report bytes")
    assert "no such file" in rte.reason


def test_truncation_is_told_by_base_model(stored):
    stored.run("decoder-rte-full-seed1", ["a"] * 8, ["a"] * 8)
    stored.train("other-rte-full-seed1")
    rte = collect_data(stored.plan, stored.store)[0]
    assert [(one.base_model, one.part, one.num_truncated, one.share_truncated) for one in rte.truncated] == [
        ("org/decoder", "train", 5, 0.25),
        ("org/decoder", "selection", 0, 0.0),
        ("org/decoder", "report", 1, 0.125),
        ("org/other", "train", 5, 0.25),
        ("org/other", "selection", 0, 0.0),
    ]
    assert rte.truncated[2].job == stored.jobs["decoder-rte-full-seed1-evaluate"].id

"""Probes as a user sees them: what runs on one task of the demo world leave of the others."""

from __future__ import annotations

import shutil
from collections import Counter

import pyarrow.parquet as pq
import pytest
import yaml

from tunescope.analysis.probes import collect_probes
from tunescope.cli import main
from tunescope.drift.kept import PROBE_NAME
from tunescope.errors import RunError
from tunescope.hub.source import Source
from tunescope.report.terminal.probes import probe_summary
from tunescope.report.terminal.results import render
from tunescope.steps import STEPS
from tunescope.store import Store
from tunescope.study.load import load_study
from tunescope.study.plan import make_plan
from tunescope.tasks.data import load_report_data, load_training_data

SHORT = {"max_train": 60, "max_selection": 20, "max_report": 40}
STUDY = {
    "name": "probed",
    "base_model": "tunescope/demo-llama",
    "tasks": [{"name": name} | SHORT for name in ("demo_paraphrase", "demo_sentiment", "demo_qa")],
    "methods": {
        "full": {"learning_rate": 1e-3},
        "head_only": {"learning_rate": 1e-2},
        "wild": {"type": "full", "learning_rate": 0.1},
    },
    "seeds": [1],
    "baselines": [],
    "training": {"batch_size": 16, "steps": 2},
    "compute": {"device": "cpu", "num_threads": 1},
    "retention": {"probes": True, "probe_examples": 50},
}
"""9 trainings, 3 of which fail, and 2 probes of the base model, 8 of runs that ended."""


def _fail_wild_trainings(patched):
    """Lets the trainings of the method `wild` end as a diverging run does."""
    train = STEPS["train"]

    def fails(config, inputs, out, scratch, context):
        if config.training.learning_rate == 0.1:
            raise RunError("the loss is not finite")
        return train(config, inputs, out, scratch, context)

    patched.setitem(STEPS, "train", fails)


@pytest.fixture(scope="module")
def _probed_world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probed") / "desk"
    folder.mkdir()
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        _fail_wild_trainings(patched)
        assert main(["run", str(folder / "study.yaml"), "--store", str(folder / "store")]) == 1
    return folder


@pytest.fixture
def probed(desk, _probed_world):
    """A fresh copy of the study after it has run."""
    shutil.rmtree(desk.folder)
    shutil.copytree(_probed_world, desk.folder)
    return desk


def _plan(desk):
    return make_plan(load_study(desk.path), {"tunescope/demo-llama": True})


def _rows(desk):
    return collect_probes(_plan(desk), Store.open(desk.store, create=False))


def _predictions(desk, id):
    return pq.read_table(desk.store / "artifacts" / "probe" / id / PROBE_NAME).to_pylist()


def test_every_run_is_probed_for_the_tasks_it_was_not_trained_on_and_a_second_run_starts_no_probe(probed, monkeypatch):
    kinds = Counter(name.split("/")[0] for name in probed.artifacts())
    assert (kinds["train"], kinds["probe"]) == (6, 2 + 8)
    rows = _rows(probed)
    assert Counter((row.trained_on, row.probe_task) for row in rows) == {
        (trained_on, task): 3
        for task in ("demo_paraphrase", "demo_sentiment")
        for trained_on in ("demo_paraphrase", "demo_sentiment", "demo_qa")
        if trained_on != task
    }
    assert {(row.layer, row.num_train, row.num_examples) for row in rows} == {("final_norm", 50, 40)}
    before = probed.artifacts()
    _fail_wild_trainings(monkeypatch)
    assert probed.run().code == 1, "what failed fails again"
    assert probed.artifacts() == before


def test_a_head_alone_leaves_every_prediction_as_the_base_models(probed):
    own = [row for row in _rows(probed) if row.method == "head_only"]
    assert len(own) == 4
    for row in own:
        assert row.accuracy == row.base_accuracy
        assert _predictions(probed, row.job) == _predictions(probed, row.base_job)


def test_a_moved_backbone_is_read_anew(probed):
    records = probed.records()
    losses = {
        label: record["facts"]["log_losses"] for label, record in records.items() if "log_losses" in record["facts"]
    }
    for trained_on in ("demo_paraphrase", "demo_qa"):
        base, tuned = losses["demo_sentiment-base-probe"], losses[f"{trained_on}-full-seed1-probe-demo_sentiment"]
        assert tuned != base
    for row in _rows(probed):
        if row.accuracy is not None:
            kept = _predictions(probed, row.job)
            assert row.accuracy == sum(one["correct"] for one in kept) / 40


def test_a_run_that_failed_has_its_reason_and_never_a_number(probed):
    failed = [row for row in _rows(probed) if row.method == "wild"]
    assert len(failed) == 4
    for row in failed:
        assert (row.accuracy, row.state) == (None, "missing")
        assert row.reason.startswith(f"waits for {row.trained_on}-wild-seed{row.seed}, which failed: ")
        assert row.base_accuracy is not None
    text = render(probe_summary(_rows(probed), load_study(probed.path)), width=160)
    wild = [line.split() for line in text.splitlines() if " wild " in line and "waits" not in line]
    assert len(wild) == 4
    assert all(line[-5:] == ["-", "-", "0", "of", "1"] for line in wild)
    assert "not measured: waits for demo_qa-wild-seed1, which failed" in " ".join(text.split())
    assert "no probe of demo_qa: its answers are spans" in text


def test_a_probes_rows_are_the_train_part_and_its_scores_the_report_rows(probed):
    source = Source(study_folder=probed.folder)
    for cell in _plan(probed).probes:
        config = cell.job.config
        training, report = load_training_data(config.task, source), load_report_data(config.task, source)
        scored = [one["id"] for one in _predictions(probed, cell.job.id)] if cell.method != "wild" else []
        assert cell.method == "wild" or scored == list(report.report.ids)
        assert len(training.train) == 50
        assert not set(training.train.ids) & {*training.selection.ids, *report.report.ids}


def test_a_study_without_another_task_is_told_before_anything_runs(desk, study):
    desk.path = desk.write(study | {"retention": {"probes": True}, "tasks": study["tasks"][:1]})
    (line,) = desk.refused()
    assert "retention.probes: a run is probed for the study's other classification tasks, and there is none" in line

"""What of a plan is told, and with which jobs."""

from __future__ import annotations

from stored_study import StoredStudy
from tunescope.trackers.subjects import JobRef, Subject, subjects_of

TEXT = """
name: t
base_model: org/decoder
tasks: [rte]
methods: {full: {}, lora: {learning_rate: {sweep: [1e-4, 3e-4]}}}
sweep: {allow_unequal_budgets: true}
seeds: [1]
drift: {num_examples: 50}
"""


def test_trainings_trials_and_baselines_are_told_once_each(tmp_path):
    made = StoredStudy(tmp_path / "store", TEXT)
    subjects = {subject.label: subject for subject in subjects_of(made.plan)}
    assert {subject.job.kind for subject in subjects.values()} == {"train", "trial", "baseline"}
    assert len({subject.job.id for subject in subjects.values()}) == len(subjects)
    train = subjects["rte-full-seed1"]
    assert train.job == JobRef(kind="train", id=made.jobs["rte-full-seed1"].id)
    assert train.evaluate == JobRef(kind="evaluate", id=made.jobs["rte-full-seed1-evaluate"].id)
    assert train.drift == JobRef(kind="drift", id=made.jobs["rte-full-seed1-drift"].id)
    assert train.about["seed"] == 1
    assert train.config["method_kind"] == "full"
    trial = subjects["rte-lora-trial0"]
    assert trial.select is not None
    assert trial.evaluate is None
    assert subjects["rte-majority"].evaluate is None


def test_subjects_cross_to_another_process_as_text(tmp_path):
    subject = subjects_of(StoredStudy(tmp_path / "store", TEXT).plan)[0]
    assert Subject.model_validate_json(subject.model_dump_json()) == subject

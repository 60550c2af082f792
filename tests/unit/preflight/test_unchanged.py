"""What of a finished job's inputs is taken again, to see whether it is still what it was."""

from __future__ import annotations

from pathlib import Path

from tunescope.hub.source import Source
from tunescope.preflight.unchanged import _fingerprints
from tunescope.steps.inputs import forget_inputs
from tunescope.study.load import parse_study
from tunescope.study.plan import make_plan

TEXT = """
name: n
base_model: tunescope/demo-llama
tasks: [demo_sentiment, demo_paraphrase]
methods: {full: {}}
seeds: [1]
retention: {probes: true}
"""


def test_a_probe_is_of_train_rows_report_rows_and_weights(tmp_path: Path) -> None:
    forget_inputs()
    plan = make_plan(parse_study(TEXT, "s"), {"tunescope/demo-llama": True})
    source = Source(study_folder=tmp_path)
    jobs = {job.label: job for job in plan.jobs}
    probed, trained = (
        _fingerprints(jobs[label], source) for label in ("demo_sentiment-base-probe", "demo_sentiment-full-seed1")
    )
    assert {name: what for name, (what, _) in probed.items()} == {
        "data_fingerprint": "the validation split of task demo_sentiment",
        "train_fingerprint": "the train split of task demo_sentiment",
        "model_fingerprint": "base model tunescope/demo-llama",
    }
    taken = {name: take() for name, (_, take) in probed.items()}
    assert taken["train_fingerprint"] == trained["data_fingerprint"][1](), "the same split, however few of its rows"
    assert len(set(taken.values())) == 3

"""A job of a probe: its own task's train rows, another task's model, and every prediction kept."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from pydantic import TypeAdapter

from tiny import tiny_network
from tunescope.drift.kept import PROBE_NAME
from tunescope.errors import RunError
from tunescope.methods import Full, HeadOnly, Lora
from tunescope.models.base import BaseModelSpec
from tunescope.models.saving import save_tuned
from tunescope.steps import probe
from tunescope.steps.inputs import forget_inputs
from tunescope.study.configs import ProbeConfig, as_probed
from tunescope.study.spec import Compute
from tunescope.tasks.spec import TaskSpec

ANIMALS, DEEDS, PLACES = ("cat", "dog", "bird"), ("sat", "ran", "flew"), ("on the mat", "under the tree", "where ?")
TEXTS = [
    f"{article} {animal} {deed} {place} {end}"
    for article in ("the", "a")
    for animal in ANIMALS
    for deed in DEEDS
    for place in PLACES
    for end in ("is good", "was bad")
]


def _write(desk, name, texts, label=lambda text: "yes" if "cat" in text else "no"):
    with (desk.folder / name).open("w", newline="") as file:
        csv.writer(file).writerows([["text", "label"], *([text, label(text)] for text in texts)])
    forget_inputs()


def _config(**more):
    said = {
        "name": "other",
        "kind": "classification",
        "dataset": {"files": {"train": "train.csv", "validation": "report.csv"}},
        "text": "text",
        "labels": ["no", "yes"],
        "metrics": ["accuracy"],
        "max_length": 32,
    }
    task: TaskSpec = TypeAdapter(TaskSpec).validate_python(said)
    given = {
        "base_model": BaseModelSpec(name="./base"),
        "task": as_probed(task, 1000),
        "pooling": "mean",
        "run_kind": None,
        "run_labels": None,
    }
    return ProbeConfig(**(given | more))


def _probe(desk, run=None, **more):
    inputs = {} if run is None else {"run": run}
    if run is not None:
        more = {"run_kind": "classification", "run_labels": 2} | more
    facts, out = desk.does(probe.run, _config(**more), **inputs)
    return facts, pq.read_table(out / PROBE_NAME).to_pylist()


@pytest.fixture
def desk(bench, request):
    made = bench(getattr(request, "param", "llama"))
    _write(made, "train.csv", TEXTS[::2])
    _write(made, "report.csv", TEXTS[1::2])
    return made


@pytest.mark.parametrize("desk", ["llama", "gpt2", "bert"], indirect=True)
def test_every_report_row_has_its_prediction(desk):
    facts, rows = _probe(desk)
    assert len(rows) == facts["num_examples"] == 54
    assert facts["num_train"] + round(0.1 * 54) == 54, "the selection rows are held out"
    assert [row["target"] for row in rows] == ["yes" if "cat" in text else "no" for text in TEXTS[1::2]]
    assert [row["correct"] for row in rows] == [row["target"] == row["prediction"] for row in rows]
    assert facts["accuracy"] == np.mean([row["correct"] for row in rows])
    assert facts["majority_accuracy"] == pytest.approx(2 / 3)
    assert facts["accuracy"] > facts["majority_accuracy"], "which word is there can be read off a mean"
    assert all(len(facts[f"{what}_fingerprint"]) == 64 for what in ("train", "data", "model"))


@pytest.mark.parametrize("desk", ["llama", "bert"], indirect=True)
def test_a_head_alone_leaves_every_answer_as_it_was(desk):
    facts, rows = _probe(desk)
    again, same = _probe(desk, desk.tuned(HeadOnly()))
    assert same == rows
    del facts["probe_s"], again["probe_s"]
    assert again == facts


@pytest.mark.parametrize("method", [Full(), Lora(rank=2)], ids=("full", "lora"))
def test_a_moved_backbone_is_another_to_read(desk, method):
    facts, _ = _probe(desk)
    moved, _ = _probe(desk, desk.tuned(method, by=0.3))
    assert moved["log_losses"] != facts["log_losses"]


@pytest.mark.parametrize("kind, labels", [("question_answering", None), ("regression", None), ("classification", 5)])
def test_the_run_may_have_any_head(desk, kind, labels):
    out = desk.folder / "run"
    out.mkdir()
    network = tiny_network(desk.base, task_kind=kind, num_labels=labels or 1)
    with torch.no_grad():
        network.model.base_model.layers[0].mlp.down_proj.weight.add_(0.5)
    save_tuned(network.model, "full", out)
    facts, _ = _probe(desk, out, run_kind=kind, run_labels=labels)
    base, _ = _probe(desk)
    assert facts["num_examples"] == base["num_examples"]
    assert facts["log_losses"] != base["log_losses"], "the run's weights were read, not the base model's"


def test_report_rows_are_never_fitted_on(desk):
    facts, _ = _probe(desk)
    _write(desk, "report.csv", TEXTS[1::2], label=lambda text: "no" if "cat" in text else "yes")
    turned, _ = _probe(desk)
    assert turned["log_losses"] == facts["log_losses"]
    assert turned["accuracy"] == pytest.approx(1.0 - facts["accuracy"])


def test_no_more_train_rows_than_asked_for(desk):
    config = _config()
    few, _ = desk.does(probe.run, config.model_copy(update={"task": as_probed(config.task, 20)}))
    assert few["num_train"] == 20


def test_batches_bear_on_nothing(desk):
    facts, _ = _probe(desk)
    desk.context = replace(desk.context, compute=Compute(evaluation_batch_tokens=9999))
    again, _ = _probe(desk)
    assert again["accuracy"] == facts["accuracy"]
    assert list(again["log_losses"].values()) == pytest.approx(list(facts["log_losses"].values()), abs=1e-4)


def test_states_that_say_nothing_and_labels_that_are_too_rare_are_told(desk):
    with pytest.raises(
        RunError, match=r"probe of other in final_norm \(first_token\) of ./base.*constant.*probe_pooling"
    ):
        _probe(desk, pooling="first_token")
    _write(desk, "train.csv", TEXTS[::2], label=lambda text: "yes" if text == TEXTS[4] else "no")
    with pytest.raises(RunError, match=r"label 1 has one.*retention\.probe_examples"):
        _probe(desk)

"""Model cards: what the hub reads is right, what a person reads is whole, and nothing of this machine is in them."""

from __future__ import annotations

import pytest
import yaml
from huggingface_hub import ModelCard

from stored_study import StoredStudy
from tunescope.analysis.findings import collect_findings
from tunescope.errors import StoreError
from tunescope.report.export.model_card import model_card, saved_as

TEXT = """
name: t
question: Does <b>LoRA</b> do?
base_model: {name: org/decoder, revision: abc}
tasks: [rte]
methods: {full: {}, lora: {}}
seeds: [1, 2]
"""
TARGETS = ["entailment", "not_entailment"] * 10
KEPT = {"lora": "adapter/adapter_model.safetensors", "full": "model/model.safetensors"}


def _stored(folder, text=TEXT):
    stored = StoredStudy(folder / "store", text)
    for method in ("full", "lora"):
        for seed in (1, 2):
            label = f"rte-{method}-seed{seed}"
            stored.train(label, settings={"optimiser": "AdamW", "peak_learning_rate": 3e-4}, kept=KEPT[method])
            right = 18 if seed == 1 else 16
            answers = TARGETS[:right] + TARGETS[: 20 - right][::-1]
            stored.evaluate(f"{label}-evaluate", TARGETS, answers)
    return stored


def _card(stored, method, seed=1):
    findings = collect_findings(stored.plan, stored.store)
    (run,) = (run for run in stored.plan.runs if (run.method, run.seed) == (method, seed))
    return model_card(run, findings, stored.store), run, findings


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return _stored(tmp_path_factory.mktemp("cards"))


def test_the_hub_reads_base_model_data_and_scores(stored):
    text, run, findings = _card(stored, "lora")
    data = ModelCard(text).data
    assert (data.base_model, data.library_name, data.base_model_relation) == ("org/decoder", "peft", "adapter")
    assert data.datasets == ["nyu-mll/glue"]
    assert data.pipeline_tag == "text-classification"
    (result,) = data.eval_results
    (row,) = (row for row in findings.rows if row.job == run.evaluate.id)
    assert result.metric_value == row.value
    assert (result.metric_type, result.dataset_config, result.dataset_split) == ("accuracy", "rte", "validation")
    assert data.model_name == "rte-lora-seed1"


def test_a_whole_model_is_a_finetune_of_transformers(stored):
    text, _, _ = _card(stored, "full")
    data = ModelCard(text).data
    assert (data.library_name, data.base_model_relation) == ("transformers", "finetune")


def test_a_person_reads_scores_settings_licence_and_where_it_came_from(stored):
    text, run, findings = _card(stored, "lora")
    record = stored.store.record(run.train.kind, run.train.id)
    for part in (
        "Does &lt;b&gt;LoRA&lt;/b&gt; do?",
        "| accuracy (percent) | ",
        "| peak_learning_rate | 0.0003 |",
        f"`{record.facts['data_fingerprint']}`",
        f"`{record.facts['model_fingerprint']}`",
        f"artifacts/train/{run.train.id}",
        "## Drift from the base model\n\nNot measured.",
        run.task.license,
        'task_kind="classification", num_labels=2, seed=1',
        "revision='abc'",
    ):
        assert part in text, part
    mean = next(one for one in findings.quality if one.method == "lora").estimate
    assert f"{100 * mean.value:.1f} [" in text


def test_a_base_model_of_a_folder_names_no_place_of_this_machine(tmp_path):
    text, _, _ = _card(_stored(tmp_path, TEXT.replace("org/decoder", "/home/me/models/decoder")), "lora")
    assert "/home" not in text
    assert "base_model" not in yaml.safe_load(text.split("---")[1])
    assert "decoder" in text


def test_a_training_that_is_not_there_has_no_card(tmp_path):
    stored = StoredStudy(tmp_path / "store", TEXT)
    with pytest.raises(StoreError, match="there is no artifact"):
        _card(stored, "lora")


def test_what_a_run_left(stored):
    records = {run.method: stored.store.record(run.train.kind, run.train.id) for run in stored.plan.runs}
    assert {method: saved_as(record) for method, record in records.items()} == {"full": "model", "lora": "adapter"}

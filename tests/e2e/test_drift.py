"""Drift as a user sees it: in a study with its controls, and between any two models by `tunescope drift`."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, LlamaForCausalLM

from tiny import tiny_bert, tiny_llama
from tunescope.cli import main

CKA = "debiased_linear_cka"
TEXT = "\n\n".join(
    f"the {animal} {deed} {place} ."
    for animal in ("cat", "dog", "bird")
    for deed in ("sat", "ran")
    for place in ("on the mat", "under the tree", "where the cat was")
)
STUDY = {
    "name": "drifting",
    "base_model": "./model",
    "tasks": [
        {
            "name": "same",
            "kind": "classification",
            "dataset": {"files": {"train": "same-train.csv", "validation": "same-dev.csv"}},
            "text": "first",
            "text_pair": "second",
            "labels": ["no", "yes"],
            "metrics": ["accuracy"],
            "max_length": 32,
        }
    ],
    "methods": {"full": {"learning_rate": 1e-3}, "lora": {"rank": 4, "learning_rate": 1e-2}},
    "seeds": [1, 2],
    "baselines": [],
    "training": {"batch_size": 8, "steps": 2},
    "compute": {"device": "cpu", "num_threads": 1},
    "drift": {"measures": [CKA, "relative_change"], "layer_pairs": False},
    "retention": {"texts": [{"name": "plain", "file": "plain.txt"}], "window": 16},
    "compare": [{"measure": "drift", "methods": ["lora", "full"]}],
}
"""4 trainings and evaluations, 1 reading of the base model, 4 drifts, 2 pairs of seeds, 1 job of controls, 4 retentions, and
the task's examples."""


@pytest.fixture(scope="module")
def _drifted_world(_small_world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("drifted") / "desk"
    shutil.copytree(_small_world, folder)
    (folder / "plain.txt").write_text(TEXT, encoding="utf-8")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False), encoding="utf-8")
    assert main(["run", str(folder / "study.yaml"), "--store", str(folder / "store")]) == 0
    return folder


@pytest.fixture
def drifted(desk, _drifted_world):
    """A fresh copy of the study after it has run."""
    shutil.rmtree(desk.folder)
    shutil.copytree(_drifted_world, desk.folder)
    return desk


def _artifact(desk, label):
    (record,) = (
        path for path in desk.store.glob("artifacts/*/*/record.json") if json.loads(path.read_text())["label"] == label
    )
    return record.parent


def _drift(desk, base, tuned, *more):
    return desk.tunescope("drift", base, tuned, *more)


def _refused(said):
    """The one line that a wrong wish is told."""
    assert said.code == 2, said
    assert said.out == ""
    assert "Traceback" not in said.err
    (line,) = said.err.rstrip("\n").split("\n")
    assert line.startswith("tunescope: ")
    return line


def test_a_study_measures_every_run_and_a_second_run_starts_no_job(drifted):
    kinds = Counter(name.split("/")[0] for name in drifted.artifacts())
    assert kinds == {
        "examples": 1,
        "represent": 1,
        "train": 4,
        "evaluate": 4,
        "drift": 6,
        "drift_controls": 1,
        "retention": 4,
    }
    before = drifted.artifacts()
    said = drifted.run()
    assert said.code == 0, said.err
    assert "21 jobs: 21 there already, 0 to do" in said.out
    assert drifted.artifacts() == before
    for told in ("seed against seed", "random update of its length", "base model, read again", "random weights"):
        assert told in drifted.tunescope("results", drifted.path, "--store", drifted.store, "--drift").out

    records = drifted.records()
    controls = records["same-drift-controls"]["facts"]["drift"]
    assert abs(controls["base_again"]) < 1e-6
    assert abs(controls["untrained lora"]) < 1e-6
    read = {record["facts"]["token_ids_sha256"] for record in records.values() if "drift" in record["facts"]}
    assert len(read) == 1, "all read the same tokens"
    for seed in (1, 2):
        plain = records[f"same-full-seed{seed}-retention"]["facts"]["retention"]["plain"]
        assert plain["kl"] > 0.0
    weights = pq.read_table(_artifact(drifted, "same-lora-seed1-drift") / "weights.parquet")
    assert max(weights["effective_rank"].to_pylist()) <= 4.0 + 1e-6


def test_results_tell_what_each_run_forgot(drifted):
    said = drifted.tunescope("results", drifted.path, "--store", drifted.store, "--retention", "--format", "json")
    assert said.code == 0, said.err
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [(row["method"], row["seed"], row["text"], row["state"]) for row in rows] == [
        (method, seed, "plain", "done") for method in ("full", "lora") for seed in (1, 2)
    ]
    records = drifted.records()
    for row in rows:
        facts = records[f"same-{row['method']}-seed{row['seed']}-retention"]["facts"]["retention"]["plain"]
        assert (row["tuned_loss"], row["kl"]) == (facts["tuned_loss"], facts["kl"])
    assert "KL from base" in drifted.tunescope("results", drifted.path, "--store", drifted.store, "--retention").out


def test_results_have_a_row_per_layer_and_measure(drifted):
    said = drifted.tunescope("results", drifted.path, "--store", drifted.store, "--drift", "--format", "json")
    assert said.code == 0, said.err
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert {(row["compared"], row["measure"]) for row in rows} >= {("tuned", CKA), ("seeds", "relative_change")}
    one = [row for row in rows if (row["compared"], row["method"], row["seed"]) == ("tuned", "lora", 1)]
    assert Counter(row["measure"] for row in one) == {CKA: 3, "relative_change": 3}
    assert {row["num_examples"] for row in one} == {12}
    block = next(row for row in one if (row["state"], row["measure"]) == ("block_01", CKA))
    facts = drifted.records()["same-lora-seed1-drift"]["facts"]
    assert facts["drift"]["tuned"] == pytest.approx(1.0 - block["value"]), "one block"
    assert block["ci_low"] < block["value"] < block["ci_high"]
    table = drifted.tunescope("results", drifted.path, "--store", drifted.store, "--drift").out
    assert "untrained adapter of lora" in table


def test_methods_are_compared_by_drift(drifted):
    said = drifted.tunescope("compare", drifted.path, "--store", drifted.store, "--format", "json")
    assert said.code == 0, said.err
    (row,) = (json.loads(line) for line in said.out.splitlines())
    facts = {label: record["facts"] for label, record in drifted.records().items()}
    means = {
        method: sum(facts[f"same-{method}-seed{seed}-drift"]["drift"]["tuned"] for seed in (1, 2)) / 2
        for method in ("lora", "full")
    }
    assert (row["measure"], row["num_seeds"]) == ("drift", 2)
    assert row["difference"] == pytest.approx(means["lora"] - means["full"])


def test_a_change_of_drift_alone_trains_nothing(drifted):
    said = drifted.run("--set", "drift.pooling=[mean, all_tokens]", "--set", "drift.num_examples=8")
    assert said.code == 0, said.err
    assert "8 jobs done, 13 were there, 0 failed" in said.out


@pytest.mark.parametrize("what", ["full", "lora"])
def test_a_run_of_a_store_is_as_far_from_its_base_as_the_study_says(drifted, what, tmp_path):
    base = drifted.folder / "model"
    run = _artifact(drifted, f"same-{what}-seed1")
    out, figure = tmp_path / "drift.parquet", tmp_path / "drift.svg"
    (drifted.folder / "lines.txt").write_text(TEXT, encoding="utf-8")
    said = _drift(drifted, base, run, "--text", drifted.folder / "lines.txt", "--output", out, "--figure", figure)
    assert said.code == 0, said.err
    assert "18 examples, last_token" in said.out
    assert "parameters changed" in said.out
    assert "block_01" in said.out
    assert figure.stat().st_size > 1000
    rows = pq.read_table(out).to_pylist()
    assert {row["num_examples"] for row in rows} == {18}
    inside = run / ("model" if what == "full" else "adapter")
    again = _drift(drifted, base, inside, "--text", drifted.folder / "lines.txt", "--output", tmp_path / "again.json")
    assert again.code == 0, again.err
    other = [json.loads(line) for line in (tmp_path / "again.json").read_text().splitlines()]
    assert [row["value"] for row in other] == pytest.approx([row["value"] for row in rows], abs=1e-6)


@pytest.mark.parametrize("ending", ["parquet", "csv", "json"])
def test_the_weights_are_written_beside_the_layers(drifted, ending, tmp_path):
    run = next(path for path in drifted.store.glob("artifacts/train/*") if (path / "adapter").is_dir())
    out = tmp_path / f"far.{ending}"
    lines = tmp_path / "lines.txt"
    lines.write_text(TEXT, encoding="utf-8")
    words = ("--text", lines, "--output", out, "--weight-directions")
    said = _drift(drifted, drifted.folder / "model", run, *words)
    assert said.code == 0, said.err
    assert "intruders left, right" in " ".join(said.out.split())
    beside = tmp_path / f"far-weights.{ending}"
    if ending == "parquet":
        rows = pq.read_table(beside).to_pylist()
    elif ending == "csv":
        rows = list(csv.DictReader(beside.read_text(encoding="utf-8").splitlines()))
        assert json.loads(rows[0]["thresholds"])[0] == 0.1
    else:
        rows = [json.loads(line) for line in beside.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 2  # query and value projection of the one layer
    assert all(float(row["relative_norm"]) > 0.0 for row in rows)


def test_other_tools_models_and_adapters_on_a_task_and_on_tokens(desk, tmp_path):
    base = tiny_bert(tmp_path / "bert")
    model = AutoModelForSequenceClassification.from_pretrained(base)
    with torch.no_grad():
        weight = model.bert.encoder.layer[1].output.dense.weight
        weight += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    model.save_pretrained(tmp_path / "whole")
    adapted = get_peft_model(AutoModelForSequenceClassification.from_pretrained(base), LoraConfig(task_type="SEQ_CLS"))
    adapted.save_pretrained(tmp_path / "adapter")
    task = ("--task", "demo_sentiment", "--num-examples", "12")
    whole = _drift(desk, base, tmp_path / "whole", *task, "--pooling", "mean")
    assert whole.code == 0, whole.err
    lines = {line.split()[0]: line.split() for line in whole.out.splitlines() if line.strip()}
    assert lines["block_01"][1] == "0.0000"
    assert float(lines["block_02"][1]) > 0.0
    assert "bert.encoder.layer.1.output.dense.weight" in whole.out or "encoder.layer.1.output.dense.weight" in whole.out
    untrained = _drift(desk, base, tmp_path / "adapter", *task, "--no-weights")
    assert untrained.code == 0, untrained.err
    assert "drift 0.0000" in untrained.out
    tokens = _drift(desk, base, tmp_path / "whole", *task, "--pooling", "all_tokens")
    assert tokens.code == 0, tokens.err
    assert "12 examples, all_tokens" in tokens.out
    assert re.search(r"block_02 +0\.\d+ +0\.\d+ to 0\.\d+", tokens.out), "an interval over texts"


def test_models_of_other_depth_and_width_have_their_nearest_layers(desk, tmp_path):
    base, other = tiny_llama(tmp_path / "a"), tiny_llama(tmp_path / "b", num_hidden_layers=3, hidden_size=16)
    (tmp_path / "plain.txt").write_text(TEXT)
    said = _drift(desk, base, other, "--text", tmp_path / "plain.txt", "--output", tmp_path / "a.csv")
    assert said.code == 0, said.err
    assert "the models differ in depth" in said.out
    assert "no comparison of the weights" in said.out
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 1 + 4 * 5
    drawn = _drift(desk, base, other, "--text", tmp_path / "plain.txt", "--figure", tmp_path / "a.svg")
    assert drawn.code == 2
    assert "nothing to draw" in drawn.err


def test_the_first_token_of_a_decoder_has_no_number_and_says_why(desk, tmp_path):
    (tmp_path / "plain.txt").write_text(TEXT)
    base = desk.folder / "model"
    said = _drift(desk, base, base, "--text", tmp_path / "plain.txt", "--pooling", "first_token")
    assert said.code == 0, said.err
    assert "drift not defined" in said.out
    assert f"{CKA}: the base model's states are the same for all examples" in " ".join(said.out.split())


class TestBadInput:
    """One clear line each, exit 2, and no number."""

    @pytest.fixture
    def pair(self, tmp_path):
        base, tuned = tiny_llama(tmp_path / "base"), tiny_llama(tmp_path / "tuned", seed=1)
        (tmp_path / "plain.txt").write_text(TEXT)
        return base, tuned, tmp_path / "plain.txt"

    def test_too_few_examples(self, desk, pair):
        base, tuned, text = pair
        said = _drift(desk, base, tuned, "--text", text, "--num-examples", "3")
        assert "needs at least 4 examples for a debiased CKA, got 3" in _refused(said)

    @pytest.mark.parametrize(
        "content, told",
        [(b"", "is empty"), (b" \n\n ", "is empty"), (b"caf\xe9 cat\n", "expected UTF-8, found byte 0xe9")],
    )
    def test_a_text_file_that_is_none(self, desk, pair, content, told):
        base, tuned, text = pair
        text.write_bytes(content)
        assert told in _refused(_drift(desk, base, tuned, "--text", text))

    def test_a_text_file_that_is_not_there(self, desk, pair):
        base, tuned, text = pair
        assert "cannot be read" in _refused(_drift(desk, base, tuned, "--text", text.parent / "no.txt"))

    def test_other_token_ids(self, desk, pair):
        base, tuned, text = pair
        path = tuned / "tokenizer.json"
        said = json.loads(path.read_text())
        words = said["model"]["vocab"]
        words["cat"], words["dog"] = words["dog"], words["cat"]
        path.write_text(json.dumps(said))
        line = _refused(_drift(desk, base, tuned, "--text", text))
        assert "example 1 is other tokens to the tuned model" in line
        assert "Use one tokenizer for both" in line

    def test_fewer_embeddings_than_tokens(self, desk, pair):
        base, tuned, text = pair
        small = LlamaForCausalLM.from_pretrained(tuned)
        small.resize_token_embeddings(20)
        small.save_pretrained(tuned)
        assert "27 tokens and the model embeddings for 20" in _refused(_drift(desk, base, tuned, "--text", text))

    def test_a_state_that_is_not_finite(self, desk, pair):
        base, tuned, text = pair
        path = tuned / "model.safetensors"
        weights = load_file(path)
        weights["model.layers.1.mlp.down_proj.weight"][0, 0] = float("nan")
        save_file(weights, path, metadata={"format": "pt"})
        line = _refused(_drift(desk, base, tuned, "--text", text))
        assert "hidden state block_02 (last_token) of model 2 of 2 is not finite for example" in line

    def test_an_adapter_for_another_base(self, desk, pair, tmp_path):
        base, _, text = pair
        wide = tiny_llama(tmp_path / "wide", hidden_size=64)
        model = get_peft_model(
            AutoModelForSequenceClassification.from_pretrained(wide), LoraConfig(task_type="SEQ_CLS")
        )
        model.save_pretrained(tmp_path / "adapter")
        line = _refused(_drift(desk, base, tmp_path / "adapter", "--text", text))
        assert "does not fit the network" in line

    def test_a_run_on_another_base_of_the_same_shape(self, drifted, pair):
        _, _, text = pair
        other = tiny_llama(drifted.folder / "other", num_hidden_layers=1, seed=3)
        line = _refused(_drift(drifted, other, _artifact(drifted, "same-lora-seed1"), "--text", text))
        assert "was tuned from other files" in line

    def test_texts_longer_than_the_models_positions(self, desk, tmp_path):
        bert = tiny_bert(tmp_path / "bert")
        (tmp_path / "plain.txt").write_text("\n\n".join(["the cat sat " * 60] * 5))
        line = _refused(_drift(desk, bert, bert, "--text", tmp_path / "plain.txt"))
        assert "the longest text is 182 tokens, and the model has 128 positions" in line
        said = _drift(desk, bert, bert, "--text", tmp_path / "plain.txt", "--max-length", "128", "--pooling", "mean")
        assert said.code == 0, said.err
        assert "truncated: 100.0%" in said.out

    def test_models_folders_and_tasks_that_are_not_there(self, desk, pair):
        base, tuned, text = pair
        assert "no such folder" in _refused(_drift(desk, base, base.parent / "none", "--text", text))
        assert "no such folder" in _refused(_drift(desk, base.parent / "none", tuned, "--text", text))
        empty = base.parent / "empty"
        empty.mkdir()
        assert "no model (config.json), no adapter" in _refused(_drift(desk, base, empty, "--text", text))
        assert "Did you mean 'rte'" in _refused(_drift(desk, base, tuned, "--task", "rtee"))

    def test_endings_that_name_no_format_before_any_work(self, desk, pair):
        base, tuned, text = pair
        assert "--figure a.jpg" in _refused(_drift(desk, base, tuned, "--text", text, "--figure", "a.jpg"))
        assert "--output a.doc" in _refused(_drift(desk, base, tuned, "--text", text, "--output", "a.doc"))

    def test_folders_that_are_not_there_before_any_work(self, desk, pair):
        base, tuned, text = pair
        for option, name in (("--output", "gone/a.parquet"), ("--figure", "gone/a.svg")):
            assert f"{option} gone/a." in _refused(_drift(desk, base, tuned, "--text", text, option, name))

    def test_neither_or_both_of_task_and_text(self, desk, pair):
        base, tuned, text = pair
        assert _drift(desk, base, tuned).code == 2
        assert _drift(desk, base, tuned, "--task", "rte", "--text", text).code == 2
        assert _drift(desk, base, tuned, "--text", text, "--num-examples", "0").code == 2

    def test_more_neighbours_than_examples_have_no_number_and_say_so(self, desk, pair):
        base, tuned, text = pair
        said = _drift(desk, base, tuned, "--text", text, "--num-examples", "8")
        assert said.code == 0, said.err
        assert "mutual_knn: k must be at least 1 and at most n - 2 = 6 for 8 examples" in " ".join(said.out.split())


@pytest.mark.parametrize(
    "content, told",
    [(b"\n  \n", "is empty"), (b"caf\xe9 is not UTF-8", "UTF-8"), (None, "plain.txt")],
)
def test_texts_that_cannot_be_read_are_told_before_anything_runs(desk, study, content, told):
    desk.path = desk.write(study | {"retention": {"texts": [{"name": "plain", "file": "plain.txt"}], "window": 16}})
    if content is not None:
        (desk.folder / "plain.txt").write_bytes(content)
    (line,) = desk.refused()
    assert told in line


def test_a_window_longer_than_the_model_reads_is_told_before_anything_runs(desk, study):
    (desk.folder / "plain.txt").write_text("the cat sat on the mat", encoding="utf-8")
    desk.path = desk.write(study | {"retention": {"texts": [{"name": "plain", "file": "plain.txt"}], "window": 4096}})
    (line,) = desk.refused()
    assert "retention.window is 4096" in line
    assert "positions" in line


def test_check_reads_the_texts_of_retention_too(desk, study):
    asked = {"texts": [{"name": "plain", "file": "plain.txt"}], "window": 16}
    desk.path = desk.write(study | {"retention": asked, "drift": {"num_examples": 8}})
    missing = desk.tunescope("check", desk.path, "--store", desk.store)
    assert missing.code == 1, missing.err
    assert "plain.txt" in missing.out
    assert "Traceback" not in missing.err
    (desk.folder / "plain.txt").write_text("the cat sat on the mat .", encoding="utf-8")
    found = desk.tunescope("check", desk.path, "--store", desk.store)
    assert "plain.txt" not in found.out, found.out
    assert found.err == ""

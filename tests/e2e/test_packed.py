"""A study that packs its full models: the same results and drift to the last bit, and plain models on request."""

from __future__ import annotations

import json
import shutil

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tiny import tiny_llama
from tunescope.cli import main

TEXT = "\n\n".join(f"the {animal} {deed} on the mat ." for animal in ("cat", "dog", "bird") for deed in ("sat", "ran"))
STUDY = {
    "name": "packed",
    "base_model": "./model",
    "tasks": [
        {
            "name": "same",
            "kind": "classification",
            "dataset": {"files": {"train": "same-train.csv", "validation": "same-dev.csv"}},
            "text": "first",
            "text_pair": "second",
            "labels": ["no", "yes"],
            "metrics": ["accuracy", "f1"],
            "max_length": 32,
        }
    ],
    "methods": {"full": {"learning_rate": 1e-3}, "lora": {"rank": 2, "learning_rate": 1e-2}, "head_only": {}},
    "seeds": [1, 2],
    "baselines": [],
    "training": {"batch_size": 8, "steps": 2},
    "compute": {"device": "cpu", "num_threads": 1},
    "drift": {"measures": ["debiased_linear_cka", "relative_change"], "layer_pairs": False},
    "retention": {"texts": [{"name": "plain", "file": "plain.txt"}], "window": 16},
}
TIMES = {"train_s", "evaluate_s", "peak_memory_gib"}


@pytest.fixture(scope="module")
def _two_worlds(_small_world, tmp_path_factory):
    """The study run twice in one folder: into `store` packed, into `plain-store` not."""
    folder = tmp_path_factory.mktemp("packed") / "desk"
    shutil.copytree(_small_world, folder)
    (folder / "plain.txt").write_text(TEXT, encoding="utf-8")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False), encoding="utf-8")
    run = ["run", str(folder / "study.yaml")]
    assert main([*run, "--store", str(folder / "store"), "--set", "compute.pack_weights=true"]) == 0
    assert main([*run, "--store", str(folder / "plain-store")]) == 0
    return folder


@pytest.fixture
def packed(desk, _two_worlds):
    """A fresh copy of the study and of both stores."""
    shutil.rmtree(desk.folder)
    shutil.copytree(_two_worlds, desk.folder)
    return desk


def _trained(store, label):
    (record,) = (
        path for path in store.glob("artifacts/train/*/record.json") if json.loads(path.read_text())["label"] == label
    )
    return record.parent


def _rows(desk, store, *more):
    said = desk.tunescope("results", desk.path, "--store", store, "--format", "json", *more)
    assert said.code == 0, said.err
    rows = [json.loads(line) for line in said.out.splitlines()]
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def test_results_drift_updates_and_retention_are_the_plain_ones_bit_for_bit(packed):
    plain = packed.folder / "plain-store"
    folders = {path.parents[1].name for path in packed.store.glob("artifacts/train/*/packed/config.json")}
    assert len(folders) == 2
    assert {path.parents[1].name for path in plain.glob("artifacts/train/*/model/config.json")} == folders, (
        "one id, two forms"
    )
    assert not list(packed.store.glob("artifacts/*/*/model"))
    for question in ((), ("--drift",), ("--retention",)):
        rows = _rows(packed, packed.store, *question)
        assert len(rows) >= 6
        assert rows == _rows(packed, plain, *question)
    tables = sorted(path.relative_to(plain) for path in plain.glob("artifacts/drift*/*/*.parquet"))
    assert len(tables) > 6
    for table in tables:
        assert pq.read_table(packed.store / table).equals(pq.read_table(plain / table)), table


def test_a_packed_store_is_whole_and_a_plain_run_takes_it_as_it_is(packed):
    before = packed.artifacts()
    said = packed.run()
    assert said.code == 0, said.err
    assert " 0 to do" in said.out
    assert packed.artifacts() == before
    card = next((packed.store / "report").rglob("cards/same-full-seed1/README.md"), None)
    if card is None:
        assert packed.tunescope("report", packed.path, "--store", packed.store).code == 0
        (card,) = (packed.store / "report").rglob("cards/same-full-seed1/README.md")
    told = card.read_text()
    assert "The weights are `packed/`" in told
    assert "tunescope unpack artifacts/train/" in told


def test_drift_between_any_two_reads_a_packed_run(packed):
    told = {}
    for name, store in (("packed", packed.store), ("plain", packed.folder / "plain-store")):
        out = packed.folder / f"{name}.csv"
        said = packed.tunescope(
            *(
                "drift",
                packed.folder / "model",
                _trained(store, "same-full-seed1"),
                "--text",
                packed.folder / "plain.txt",
            ),
            *("--output", out),
        )
        assert said.code == 0, said.err
        told[name] = (out.read_text(), out.with_stem(f"{name}-weights").read_text())
    assert told["packed"] == told["plain"]
    assert len(told["plain"][1].splitlines()) > 5


def test_unpack_writes_the_plain_model(packed, monkeypatch):
    plain = _trained(packed.folder / "plain-store", "same-full-seed1")
    run = _trained(packed.store, "same-full-seed1")
    monkeypatch.chdir(packed.folder)  # the study names its base by a relative path
    said = packed.tunescope("unpack", run.name[:8], "--store", packed.store, "--output", "one")
    assert said.code == 0, said.err
    assert "wrote one" in said.out
    monkeypatch.chdir(packed.folder.parent)
    said = packed.tunescope("unpack", run, "--base", packed.folder / "model", "--output", packed.folder / "two")
    assert said.code == 0, said.err
    for name in ("one", "two"):
        there = packed.folder / name
        for file in ("model.safetensors", "config.json"):
            assert (there / file).read_bytes() == (plain / "model" / file).read_bytes()
    model = AutoModelForSequenceClassification.from_pretrained(packed.folder / "one")
    other = AutoModelForSequenceClassification.from_pretrained(plain / "model")
    tokens = AutoTokenizer.from_pretrained(packed.folder / "one")("the cat sat on the mat", return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(model.eval()(**tokens).logits, other.eval()(**tokens).logits)
    assert not list(packed.folder.glob(".tmp-*"))


def _refused(said, *told):
    assert said.code == 2, said
    assert "Traceback" not in said.err
    for part in told:
        assert part in said.err


def test_unpack_says_what_is_wrong_and_leaves_nothing(packed, monkeypatch):
    monkeypatch.chdir(packed.folder)
    full, lora = (_trained(packed.store, f"same-{method}-seed1") for method in ("full", "lora"))
    plain = _trained(packed.folder / "plain-store", "same-full-seed1")

    def unpack(run, *more, output="out"):
        return packed.tunescope("unpack", run, "--store", packed.store, "--output", output, *more)

    _refused(unpack(lora), "there is nothing to unpack: the run keeps adapter")
    _refused(unpack(plain), "there is nothing to unpack: the run keeps model")
    _refused(unpack("full"), "expected a run's artifact folder, or the first 4 or more hex digits")
    _refused(unpack("0000000000000000"), "no training of", "has an id that starts so. It holds:")
    _refused(unpack(full, output="model"), "model: is there already")
    _refused(unpack(packed.folder / "model"), "record.json is missing")
    _refused(
        unpack(next(packed.store.glob("artifacts/drift/*"))), "there is nothing to unpack: the run keeps no weights"
    )
    tiny_llama(packed.folder / "other", seed=9, num_hidden_layers=1)
    _refused(unpack(full, "--base", "./other"), "this run was tuned from other files than those of")
    (weights,) = (full / "packed").glob("*.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.chmod(0o644)
    weights.write_bytes(content)
    _refused(unpack(full), "packed-00001-of-00001.safetensors is damaged")
    assert not (packed.folder / "out").exists()
    assert not list(packed.folder.glob(".tmp-*"))

"""A drift job's numbers against plain transformers: their own hidden states, pooled by hand, CKA from n x n Gram matrices in float64."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from peft import PeftModel
from pydantic import TypeAdapter
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from fake_steps import fake_context
from tiny import TINY, tiny_network
from tunescope.drift import compare_states as compare_module
from tunescope.drift import kept
from tunescope.drift.row import DriftRow, table_as_rows
from tunescope.hub.source import Source
from tunescope.methods import Full, Lora
from tunescope.models.base import BaseModelSpec
from tunescope.models.saving import save_tuned
from tunescope.steps import drift, represent
from tunescope.steps.context import StepContext
from tunescope.steps.inputs import forget_inputs
from tunescope.study.configs import DriftConfig, RepresentConfig
from tunescope.study.spec import Compute
from tunescope.tasks.spec import TaskSpec

CKA = "debiased_linear_cka"
TEXTS = [
    f"the {animal} {deed} {place}" + " the tree" * extra
    for extra, animal in enumerate(("cat", "dog", "bird"))
    for deed in ("sat", "ran", "flew")
    for place in ("on the mat", "under the tree .", "where ?")
]
_TOLERANCE = 2e-6
"""Both sides' states are float32 forward passes, of other batches and attention kernels: 1e-6 of a state's size and less."""


def hsic_1(K: np.ndarray, L: np.ndarray) -> float:
    """Song et al. 2012, equation 5, term by term."""
    n = len(K)
    K, L = K.copy(), L.copy()
    np.fill_diagonal(K, 0.0)
    np.fill_diagonal(L, 0.0)
    one = np.ones(n)
    first = np.trace(K @ L)
    second = (one @ K @ one) * (one @ L @ one) / ((n - 1) * (n - 2))
    third = 2.0 * (one @ K @ L @ one) / (n - 2)
    return float((first + second - third) / (n * (n - 3)))


def reference_cka(X: np.ndarray, Y: np.ndarray, *, debiased: bool = True) -> float:
    """From whole Gram matrices; the mean is taken off first, which changes neither."""
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    K, L = X @ X.T, Y @ Y.T
    if debiased:
        return float(hsic_1(K, L) / np.sqrt(hsic_1(K, K) * hsic_1(L, L)))
    return float(np.sum(K * L) / np.sqrt(np.sum(K * K) * np.sum(L * L)))


class Case:
    """A base model, a run of it and a task in a folder."""

    def __init__(self, folder: Path, name: str, method: Any) -> None:
        self.folder, self.method, self.base = folder, method, TINY[name](folder / "base")
        with (folder / "dev.csv").open("w", newline="") as file:
            csv.writer(file).writerows(
                [["text", "label"], *([text, ("no", "yes")[row % 2]] for row, text in enumerate(TEXTS))]
            )
        forget_inputs()
        (folder / "run").mkdir()
        model = method.apply(tiny_network(self.base).model, "classification", 1)
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(5)
            for weight in model.parameters():
                if weight.requires_grad:
                    weight.add_(0.1 * torch.randn_like(weight))
        save_tuned(model, method.kind, folder / "run")

    def job(self, *, batch_tokens: int = 4096, **more: Any) -> tuple[dict[str, Any], list[DriftRow]]:
        """The job's facts and rows."""
        task: TaskSpec = TypeAdapter(TaskSpec).validate_python(
            {
                "name": "small",
                "kind": "classification",
                "dataset": {"files": {"validation": "dev.csv"}},
                "text": "text",
                "labels": ["no", "yes"],
                "metrics": ["accuracy"],
                "max_length": 64,
                "train_split": "unread",
            }
        )
        said: dict[str, Any] = {
            "base_model": BaseModelSpec(name="./base"),
            "task": task,
            "measures": (CKA, "linear_cka", "cosine", "relative_change", "norm_ratio"),
            "pooling": ("last_token", "mean"),
            "num_examples": None,
            "layer_pairs": True,
            "weights": False,
            "weight_directions": False,
            "random_update": False,
            "keep_states": False,
        }
        context = StepContext(
            source=Source(study_folder=self.folder),
            compute=Compute(evaluation_batch_tokens=batch_tokens),
            device="cpu",
            num_threads=1,
            report=fake_context().report,
        )
        number = len(list(self.folder.glob("out-*")))
        base, out = (self.folder / f"{name}-{number}" for name in ("base-read", "out"))
        for made in (base, out):
            made.mkdir()
        asked = {name: said[name] for name in ("base_model", "task", "pooling", "num_examples", "keep_states")}
        represent.run(RepresentConfig(**asked), {}, base, base, context)
        inputs = {"run": self.folder / "run", "base": base}
        facts = drift.run(DriftConfig(**(said | more)), inputs, out, out, context)
        return facts, table_as_rows(pq.read_table(out / kept.STATES_NAME))

    def states(self) -> tuple[dict[tuple[str, str], np.ndarray], dict[tuple[str, str], np.ndarray]]:
        """Base and tuned states by plain transformers and peft, text by text, without padding or a batch."""
        plain = AutoModelForSequenceClassification.from_pretrained(self.base, num_labels=2, attn_implementation="eager")
        if self.method.kind == "full":
            tuned: Any = AutoModelForSequenceClassification.from_pretrained(
                self.folder / "run" / "model", attn_implementation="eager"
            )
        else:
            inside = AutoModelForSequenceClassification.from_pretrained(
                self.base, num_labels=2, attn_implementation="eager"
            )
            tuned = PeftModel.from_pretrained(inside, self.folder / "run" / "adapter")
        tokenizer = AutoTokenizer.from_pretrained(self.base)
        return self._of(plain, tokenizer), self._of(tuned, tokenizer)

    @staticmethod
    def _of(model: Any, tokenizer: Any) -> dict[tuple[str, str], np.ndarray]:
        kept: dict[tuple[str, str], list[np.ndarray]] = {}
        model.eval()
        for text in TEXTS:
            with torch.no_grad():
                layers = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
            for number, layer in enumerate(layers):
                rows = layer[0].double().numpy()
                name = f"block_{number:02d}" if number else "embeddings"
                kept.setdefault((name, "last_token"), []).append(rows[-1])
                kept.setdefault((name, "mean"), []).append(rows.mean(axis=0))
        return {key: np.stack(rows) for key, rows in kept.items()}


@pytest.fixture(params=[("llama", Full()), ("llama", Lora(rank=2)), ("bert", Full()), ("bert", Lora(rank=2))])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    return Case(tmp_path, *request.param)


def _of_plain(rows: list[DriftRow]) -> dict[tuple[str, str, str, str], float | None]:
    return {(row.state, row.other_state, row.pooling, row.measure): row.value for row in rows}


def test_every_layers_numbers_are_those_of_plain_transformers(case: Case) -> None:
    facts, rows = case.job()
    found = _of_plain(rows)
    base, tuned = case.states()
    # Hugging Face's last entry is after a final norm where there is one: the last block's own is not in it.
    has_norm = any(state == "final_norm" for state, *_ in found)
    blocks = []
    for (state, pooling), X in base.items():
        own = "final_norm" if has_norm and state == "block_02" else state
        Y = tuned[state, pooling]
        key = (own, own, pooling)
        if own == "embeddings" and found[*key, CKA] is None:
            assert np.ptp(X, axis=0).max() < 1e-6, "a token that all texts end on"
        else:
            assert found[*key, CKA] == pytest.approx(reference_cka(X, Y), abs=_TOLERANCE), key
            assert found[*key, "linear_cka"] == pytest.approx(reference_cka(X, Y, debiased=False), abs=_TOLERANCE)
        lengths = np.linalg.norm(X, axis=1), np.linalg.norm(Y, axis=1)
        cosine = ((X * Y).sum(axis=1) / lengths[0] / lengths[1]).mean()
        assert found[*key, "cosine"] == pytest.approx(cosine, abs=_TOLERANCE)
        assert found[*key, "relative_change"] == pytest.approx(
            np.linalg.norm(Y - X) / np.linalg.norm(X), abs=_TOLERANCE
        )
        assert found[*key, "norm_ratio"] == pytest.approx(np.linalg.norm(Y) / np.linalg.norm(X), abs=_TOLERANCE)
        if pooling == "mean":
            for other, Z in ((name, tuned[name, pooling]) for name, read in base if read == pooling):
                theirs = "final_norm" if has_norm and other == "block_02" else other
                value = found[own, theirs, pooling, "layer_pairs"]
                assert value == pytest.approx(reference_cka(X, Z), abs=_TOLERANCE), (own, theirs)
    blocks = [
        value
        for (state, other, pooling, measure), value in found.items()
        if state.startswith("block_") and state == other and (pooling, measure) == ("last_token", CKA)
    ]
    assert facts["drift"]["tuned"] == pytest.approx(1.0 - np.mean(np.array(blocks, dtype=float)), abs=1e-12)


def test_held_and_summed_states_agree(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    held = _of_plain(case.job(layer_pairs=False)[1])
    for module in (compare_module, represent):
        monkeypatch.setattr(module, "held_limit", lambda num_features: 4)
    summed = _of_plain(case.job(layer_pairs=False)[1])
    assert held.keys() == summed.keys()
    for key, value in held.items():
        assert (value is None) == (summed[key] is None)
        if value is not None:
            assert summed[key] == pytest.approx(value, abs=1e-7), key


@pytest.mark.parametrize("batch_tokens", [1, 40, 150])
def test_any_batches_give_the_same_numbers(case: Case, batch_tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _of_plain(case.job(layer_pairs=False)[1])
    for module in (compare_module, represent):
        monkeypatch.setattr(module, "held_limit", lambda num_features: 4)
    cut = _of_plain(case.job(batch_tokens=batch_tokens, layer_pairs=False)[1])
    for key, value in whole.items():
        assert (value is None) == (cut[key] is None)
        if value is not None:
            assert cut[key] == pytest.approx(value, abs=_TOLERANCE), key


def test_the_issues_reference_values_hold_for_this_reference_too() -> None:
    """np.random.seed(1337); X = randn(100, 10); Y = randn(100, 10) + X."""
    drawn = np.random.RandomState(1337)
    X = drawn.randn(100, 10)
    Y = drawn.randn(100, 10) + X
    assert reference_cka(X, Y, debiased=False) == pytest.approx(0.5576132566117588, abs=1e-12)
    assert reference_cka(X, Y) == pytest.approx(0.5134564895055259, abs=1e-12)
    x, y = np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([[1.0], [3.0], [2.0], [4.0]])
    assert reference_cka(x, y) == pytest.approx(-1.0 / 26.0, abs=1e-12)

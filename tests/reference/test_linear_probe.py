"""A probe job's numbers against plain transformers and scipy: states pooled by hand, the penalised loss minimised from its formula.

Tolerances: both sides' states are float32 forward passes of other batches, and both stop where the mean loss' gradient is about
1e-6; a cross-validated loss in nats moves by 1e-4 at most from both, and no prediction here is that near to a tie.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from peft import PeftModel
from pydantic import TypeAdapter
from scipy.optimize import minimize
from sklearn.model_selection import StratifiedKFold
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from fake_steps import fake_context
from tiny import TINY, tiny_network
from tunescope.drift.kept import PROBE_NAME
from tunescope.hub.source import Source
from tunescope.methods import Full, Lora
from tunescope.models.base import BaseModelSpec
from tunescope.models.saving import save_tuned
from tunescope.steps import probe
from tunescope.steps.inputs import forget_inputs
from tunescope.study.configs import ProbeConfig, as_probed
from tunescope.tasks.data import load_training_data
from tunescope.tasks.spec import TaskSpec

STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
TEXTS = [
    f"{article} {animal} {deed} {place} {end}"
    for article in ("the", "a")
    for animal in ("cat", "dog", "bird")
    for deed in ("sat", "ran", "flew")
    for place in ("on the mat", "under the tree", "where ?")
    for end in ("is good", "was bad")
]


def _loss(flat: np.ndarray, X: np.ndarray, Y: np.ndarray, C: float) -> tuple[float, np.ndarray]:
    """C sum -log p + |W|^2 / 2 and its gradient; Y (n, c) is one-hot, and with c = 2 the first label's weights are 0."""
    c = Y.shape[1]
    free = 1 if c == 2 else c
    W, b = flat[: free * X.shape[1]].reshape(free, -1), flat[free * X.shape[1] :]
    scores = X @ W.T + b
    if c == 2:
        scores = np.hstack([np.zeros((len(X), 1)), scores])
    log_p = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    slope = C * (np.exp(log_p) - Y)[:, c - free :]
    gradient = np.concatenate([(slope.T @ X + W).ravel(), slope.sum(axis=0)])
    return float(-C * (Y * log_p).sum() + 0.5 * (W * W).sum()), gradient


def _log_p(X: np.ndarray, labels: np.ndarray, C: float, Z: np.ndarray) -> np.ndarray:
    """(m, c) log probabilities of the rows of Z under the regression fitted to X."""
    Y = np.eye(int(labels.max()) + 1)[labels]
    free = 1 if Y.shape[1] == 2 else Y.shape[1]
    scale = max(C * len(X), 1e-3)  # so that tolerances are of the mean loss
    found = minimize(
        lambda flat: tuple(part / scale for part in _loss(flat, X, Y, C)),
        np.zeros(free * (X.shape[1] + 1)),
        jac=True,
        method="BFGS",
        options={"gtol": 1e-8, "maxiter": 20_000},
    )
    assert np.abs(found.jac).max() < 1e-6, found.message
    W, b = found.x[: free * X.shape[1]].reshape(free, -1), found.x[free * X.shape[1] :]
    scores = Z @ W.T + b
    if free == 1:
        scores = np.hstack([np.zeros((len(Z), 1)), scores])
    return np.asarray(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))


def _states(model: Any, tokenizer: Any, texts: list[str], pooling: str) -> np.ndarray:
    """The last of Hugging Face's hidden states, text by text, without padding or a batch."""
    model.eval()
    rows = []
    for text in texts:
        with torch.no_grad():
            state = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states[-1][0]
        state = state.double().numpy()
        rows.append({"last_token": state[-1], "first_token": state[0], "mean": state.mean(axis=0)}[pooling])
    return np.stack(rows)


@pytest.mark.parametrize(
    "name, pooling, method, labels",
    [
        ("llama", "last_token", None, ["no", "yes"]),
        ("llama", "last_token", Lora(rank=2), ["dog", "cat", "bird"]),
        ("gpt2", "mean", Full(), ["no", "yes"]),
        ("bert", "first_token", None, ["dog", "cat", "bird"]),
        ("bert", "first_token", Full(), ["no", "yes"]),
    ],
)
def test_losses_penalty_and_predictions_are_those_of_the_formulas(
    tmp_path: Path, name: str, pooling: str, method: Any, labels: list[str]
) -> None:
    base = TINY[name](tmp_path / "base")
    by_text = {text: (text.split()[1] if len(labels) == 3 else ("yes" if "cat" in text else "no")) for text in TEXTS}
    by_text |= {text: labels[len(text) % len(labels)] for text in TEXTS[::5]}  # some that no reader can tell
    for file, texts in (("train.csv", TEXTS[::2]), ("report.csv", TEXTS[1::2])):
        with (tmp_path / file).open("w", newline="") as out:
            csv.writer(out).writerows([["text", "label"], *([text, by_text[text]] for text in texts)])
    forget_inputs()
    plain = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2, attn_implementation="eager")
    inputs = {}
    if method is not None:
        inputs["run"] = tmp_path / "run"
        inputs["run"].mkdir()
        model = method.apply(tiny_network(base).model, "classification", 1)
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(5)
            for weight in model.parameters():
                if weight.requires_grad:
                    weight.add_(0.2 * torch.randn_like(weight))
        save_tuned(model, method.kind, inputs["run"])
        if method.kind == "full":
            plain = AutoModelForSequenceClassification.from_pretrained(
                inputs["run"] / "model", attn_implementation="eager"
            )
        else:
            plain = PeftModel.from_pretrained(plain, inputs["run"] / "adapter")
    task: TaskSpec = TypeAdapter(TaskSpec).validate_python(
        {
            "name": "small",
            "kind": "classification",
            "dataset": {"files": {"train": "train.csv", "validation": "report.csv"}},
            "text": "text",
            "labels": labels,
            "max_length": 64,
        }
    )
    config = ProbeConfig(
        base_model=BaseModelSpec(name="./base"),
        task=as_probed(task, 1000),
        pooling=pooling,
        run_kind=None if method is None else "classification",
        run_labels=None if method is None else 2,
    )
    context = replace(fake_context(), source=Source(study_folder=tmp_path))
    (tmp_path / "out").mkdir()
    facts = probe.run(config, inputs, tmp_path / "out", tmp_path / "out", context)

    train = load_training_data(config.task, context.source).train
    texts = list(train.texts["text"])
    assert set(texts) < set(TEXTS[::2])
    tokenizer = AutoTokenizer.from_pretrained(base)
    X, Z = (_states(plain, tokenizer, one, pooling) for one in (texts, TEXTS[1::2]))
    y = np.array([labels.index(by_text[text]) for text in texts])
    X, Z = (X - X.mean(axis=0)) / X.std(axis=0), (Z - X.mean(axis=0)) / X.std(axis=0)
    losses = np.zeros(len(STRENGTHS))
    for seen, held in StratifiedKFold(5, shuffle=True, random_state=0).split(X, y):
        for which, C in enumerate(STRENGTHS):
            losses[which] -= _log_p(X[seen], y[seen], C, X[held])[np.arange(len(held)), y[held]].sum() / len(X)
    assert list(facts["log_losses"].values()) == pytest.approx(list(losses), abs=1e-4)
    best = STRENGTHS[int(losses.argmin())]
    assert facts["C"] == best
    predicted = [labels[number] for number in _log_p(X, y, best, Z).argmax(axis=1)]
    kept = pq.read_table(tmp_path / "out" / PROBE_NAME).to_pylist()
    assert [row["prediction"] for row in kept] == predicted
    assert [row["target"] for row in kept] == [by_text[text] for text in TEXTS[1::2]]
    assert facts["accuracy"] == np.mean([a == by_text[text] for a, text in zip(predicted, TEXTS[1::2], strict=True)])
    assert (facts["num_train"], facts["num_examples"]) == (len(texts), 54)

"""The loss of training rows is the same with and without padding, for every kind of task; a refusal is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tiny import TINY, tiny_bert, tiny_llama, tiny_network
from tunescope.methods import AnyPeft, Full, Method
from tunescope.models import padding_free
from tunescope.models.base import BaseModelSpec
from tunescope.steps.objective import Objective
from tunescope.study.configs import TrainConfig
from tunescope.study.settings import TrainingSettings
from tunescope.tasks.data import Answers, Examples
from tunescope.tasks.encode import encode
from tunescope.tasks.spec import Classification, QuestionAnswering, Regression

TEXTS = tuple("the cat sat on the mat . who is the good dog ?"[: 5 + 7 * number] for number in range(6))
IDS = tuple(map(str, range(len(TEXTS))))
WHERE = {"dataset": {"hub": "a/b"}}
TASKS: dict[str, tuple[Any, Examples]] = {
    "classification": (
        Classification.model_validate({"name": "c", "labels": ["no", "yes"], **WHERE}),
        Examples(ids=IDS, texts={"text": TEXTS}, targets=np.arange(len(TEXTS)) % 2),
    ),
    "regression": (
        Regression.model_validate({"name": "r", **WHERE}),
        Examples(ids=IDS, texts={"text": TEXTS}, targets=np.linspace(-1.0, 1.0, len(TEXTS))),
    ),
    "question_answering": (
        QuestionAnswering.model_validate(
            {"name": "q", "max_length": 28, "stride": 4, "max_question_tokens": 8, **WHERE}
        ),
        Examples(
            ids=IDS,
            texts={"question": ("who sat ?",) * len(TEXTS), "context": TEXTS},
            targets=tuple(Answers(texts=("the",), starts=(0,)) if row % 2 else Answers() for row in range(len(TEXTS))),
        ),
    ),
}

SAME = Examples(ids=IDS, texts={"text": ("the",) * len(IDS)}, targets=np.arange(len(IDS)) % 2)


@pytest.mark.parametrize("precision, tolerance", [("fp32", 1e-5), ("bf16", 2e-2)])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("kind", TASKS)
def test_the_same_loss_with_and_without_padding(
    kind: str, name: str, label_smoothing: float, precision: str, tolerance: float, tmp_path: Path
) -> None:
    folder = TINY[name](tmp_path)
    settings = {"label_smoothing": label_smoothing if kind != "regression" else 0.0, "precision": precision}
    padded, free = (_objective(kind, folder, Full(), padding_free=wanted, **settings) for wanted in (False, True))
    assert (padded.padding_free, padded.padded_because) == (False, "compute.padding_free is false")
    assert (free.padding_free, free.padded_because) == (True, None)
    for rows in (np.array([5, 0, 3]), np.array([2]), np.arange(6)):
        torch.testing.assert_close(free(rows), padded(rows), rtol=tolerance, atol=tolerance)


def test_a_method_that_needs_padding_is_told_and_computed_with_it(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path)
    method = AnyPeft(config_class="PromptTuningConfig", config={"num_virtual_tokens": 3})
    padded, asked = (_objective("classification", folder, method, padding_free=wanted) for wanted in (False, True))
    assert (asked.padding_free, asked.padded_because) == (
        False,
        "the method gives every row learned vectors of its own",
    )
    assert torch.equal(asked(np.arange(6)), padded(np.arange(6)))


def test_rows_that_are_all_the_same_hide_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = padding_free.attend_within_rows

    def leaking(module: Any, query: Any, key: Any, value: Any, mask: Any, **kwargs: Any) -> Any:
        if kwargs.get("tunescope_rows") is None:
            return real(module, query, key, value, mask, **kwargs)
        kwargs["tunescope_rows"] = padding_free.Rows(lengths=(query.shape[2],), device="cpu")
        return real(module, query, key, value, mask, **kwargs)

    monkeypatch.setattr(padding_free, "attend_within_rows", leaking)
    monkeypatch.setitem(TASKS, "the same", (TASKS["classification"][0], SAME))
    objective = _objective("the same", tiny_bert(tmp_path), Full(), padding_free=True)
    assert objective.padded_because is not None
    assert re.match(r"its states would be off by \S+ of the largest", objective.padded_because)


def test_a_trial_that_runs_out_of_memory_says_nothing_of_the_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(padding_free, "_row_by_row", full)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        _objective("classification", tiny_llama(tmp_path), Full(), padding_free=True)


def _objective(kind: str, folder: Path, method: Method, *, padding_free: bool, **settings: Any) -> Objective:
    task, examples = TASKS[kind]
    network = tiny_network(folder, task_kind=task.kind, num_labels=2)
    config = TrainConfig(
        base_model=BaseModelSpec(name="./model"),
        task=task,
        method_kind=method.kind,
        method=method,
        training=TrainingSettings(learning_rate=1e-3, epochs=1, **settings),
        seed=3,
    )
    encoded = encode(task, examples, network.tokenizer, is_decoder=network.is_decoder)
    model = method.apply(network.model, task.kind, seed=3).eval()  # no dropout: its masks follow the shapes
    return Objective(model, network, config, encoded, padding_free=padding_free)

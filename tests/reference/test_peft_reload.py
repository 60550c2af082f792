"""What a run saved is what it was: plain peft gives the same logits, and a new process the same scores and predictions.

`python test_peft_reload.py FOLDER` is the new process: it evaluates every run below FOLDER once more.
"""

from __future__ import annotations

import csv
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tiny import TINY, WORDS
from tunescope.hub.source import Source
from tunescope.inference.score import METRICS_NAME
from tunescope.methods import AnyPeft, Full, HeadOnly, Lora, Method
from tunescope.models.base import BaseModelSpec
from tunescope.models.saving import load_tuned
from tunescope.steps import evaluate, train
from tunescope.steps.context import StepContext
from tunescope.steps.evaluate import PREDICTIONS_NAME
from tunescope.steps.inputs import network_for
from tunescope.study.configs import EvaluateConfig, TrainConfig
from tunescope.study.settings import TrainingSettings
from tunescope.study.spec import Compute
from tunescope.tasks.spec import Classification, QuestionAnswering

ADAPTERS: dict[str, Method] = {
    "lora": Lora(rank=4, dropout=0.1),
    "dora": Lora(rank=4, use_dora=True),
    "ia3": AnyPeft(config_class="IA3Config"),
}
OTHERS: dict[str, Method] = {"full": Full(), "head_only": HeadOnly()}
MODELS = ("bert", "llama")
PAIRS = Classification.model_validate(
    {
        "name": "pairs",
        "dataset": {"files": {"train": "pairs-train.csv", "validation": "pairs-validation.csv"}},
        "text": "first",
        "text_pair": "second",
        "labels": ["no", "yes"],
        "metrics": ["accuracy", "f1", "matthews"],
    }
)
QUESTIONS = QuestionAnswering.model_validate(
    {
        "name": "questions",
        "dataset": {"files": {"train": "questions-train.csv", "validation": "questions-validation.csv"}},
        "answer_text": "answer",
        "answer_start": "start",
        "max_length": 48,
        "max_question_tokens": 16,
        "stride": 8,
        "metrics": ["squad_f1", "squad_exact"],
    }
)
RUNS: dict[str, tuple[str, Method, Classification | QuestionAnswering]] = {
    **{f"{model}-{name}": (model, method, PAIRS) for model in MODELS for name, method in (ADAPTERS | OTHERS).items()},
    **{f"{model}-lora-questions": (model, ADAPTERS["lora"], QUESTIONS) for model in MODELS},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models, two tasks, and every run of `RUNS`: trained in `<name>/run`, evaluated in `<name>/evaluated`."""
    folder = tmp_path_factory.mktemp("reload")
    for model in MODELS:
        TINY[model](folder / model)
    _write_tasks(folder)
    for name, (model, method, task) in RUNS.items():
        run, scratch = folder / name / "run", folder / name / "scratch"
        run.mkdir(parents=True)
        scratch.mkdir()
        config = TrainConfig(
            base_model=BaseModelSpec(name=f"./{model}"),
            task=task,
            method_kind=method.kind,
            method=method,
            training=TrainingSettings(learning_rate=2e-2, batch_size=8, steps=12),
            seed=11,
        )
        train.run(config, {}, run, scratch, _context(folder))
        _evaluate(folder, name, "evaluated")
    return folder


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("method", ADAPTERS)
def test_plain_peft_gives_the_same_logits(method: str, model: str, world: Path) -> None:
    run = world / f"{model}-{method}" / "run"
    tokenizer = AutoTokenizer.from_pretrained(world / model)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.unk_token
    rows = _read_pairs(world / "pairs-validation.csv")
    texts = [[row["first"] for row in rows], [row["second"] for row in rows]]
    if model == "llama":
        texts = [[f"{first}\n{second}" for first, second in zip(*texts, strict=True)]]
    batch = tokenizer(*texts, padding=True, return_tensors="pt")

    with torch.random.fork_rng():
        torch.manual_seed(0)  # draws a head, which the adapter must replace
        base = AutoModelForSequenceClassification.from_pretrained(
            world / model, num_labels=2, pad_token_id=tokenizer.pad_token_id
        )
    untuned = _logits(base, batch)
    plain = _logits(PeftModel.from_pretrained(base, run / "adapter"), batch)
    network = network_for(BaseModelSpec(name=f"./{model}"), PAIRS, Source(study_folder=world), seed=3, device="cpu")
    ours = _logits(load_tuned(network, run), batch)

    assert np.abs(plain - untuned).max() > 0.1, "training changed too little for equal logits to mean anything"
    np.testing.assert_allclose(plain, ours, rtol=0, atol=1e-6)
    kept = pq.read_table(world / f"{model}-{method}" / "evaluated" / PREDICTIONS_NAME)
    recorded = np.stack([kept[f"logit_{label}"].to_numpy() for label in PAIRS.labels], axis=1)
    np.testing.assert_allclose(plain, recorded, rtol=0, atol=1e-5)  # those were computed in other batches
    assert [row["label"] for row in rows] == kept["target"].to_pylist()


def test_a_new_process_reproduces_scores_and_predictions(world: Path) -> None:
    again = subprocess.run(
        [sys.executable, __file__, str(world)],
        env=os.environ
        | {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": str(torch.get_num_threads())},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert again.returncode == 0, again.stderr
    for name in RUNS:
        first, second = world / name / "evaluated", world / name / "again"
        assert (first / METRICS_NAME).read_bytes() == (second / METRICS_NAME).read_bytes(), name
        one, other = (pq.read_table(folder / PREDICTIONS_NAME) for folder in (first, second))
        assert one.num_rows > 0
        assert one.equals(other), name


def main(folder: Path) -> None:
    """Evaluates every run once more, into `<name>/again`."""
    for name in RUNS:
        _evaluate(folder, name, "again")


def _evaluate(folder: Path, name: str, out_name: str) -> None:
    model, _, task = RUNS[name]
    out, scratch = folder / name / out_name, folder / name / f"{out_name}-scratch"
    out.mkdir()
    scratch.mkdir()
    config = EvaluateConfig(base_model=BaseModelSpec(name=f"./{model}"), task=task)
    evaluate.run(config, {"run": folder / name / "run"}, out, scratch, _context(folder))


def _context(folder: Path) -> StepContext:
    return StepContext(
        source=Source(study_folder=folder),
        compute=Compute(device="cpu", micro_batch_tokens=200, evaluation_batch_tokens=200),
        device="cpu",
        num_threads=1,
        report=lambda progress: None,
    )


def _logits(model: torch.nn.Module, batch: Any) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(model.eval()(**batch).logits.numpy())


def _write_tasks(folder: Path) -> None:
    draw = random.Random(2)

    def words(low: int, high: int) -> list[str]:
        return draw.choices(WORDS[:18], k=draw.randint(low, high))  # without punctuation

    for split, num_rows in (("train", 60), ("validation", 25)):
        pairs = [(" ".join(words(2, 12)), " ".join(words(2, 12)), draw.choice(["no", "yes"])) for _ in range(num_rows)]
        _write(folder / f"pairs-{split}.csv", ("first", "second", "label"), pairs)
        questions = []
        for row in range(num_rows):
            context = words(20, 50)
            place = draw.randrange(len(context))
            answer, start = context[place], len("".join(f"{word} " for word in context[:place]))
            is_answerable = row % 3 > 0
            questions.append(
                (
                    f"{split}{row}",
                    " ".join(words(3, 6)),
                    " ".join(context),
                    answer if is_answerable else "",
                    start if is_answerable else "",
                )
            )
        _write(folder / f"questions-{split}.csv", ("id", "question", "context", "answer", "start"), questions)


def _write(path: Path, header: tuple[str, ...], rows: list[Any]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def _read_pairs(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

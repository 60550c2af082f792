"""The demo's four small data sets, in the shapes of MRPC, SST-2, RTE and SQuAD v2, as rows with the hub's column names.

`rows("demo_paraphrase", "train")` gives what the shipped Parquet files hold. Splits and pretraining text are drawn with seeds of
their own, from the same grammar; no first text stands twice in a data set, but its words do, in every combination.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Literal

from tunescope.demo.passages import inference, opinion, paraphrase, reading, story

Split = Literal["train", "validation"]
Row = dict[str, Any]

PROMPTS = {
    "demo_paraphrase": "Sentence 1: {sentence1}\nSentence 2: {sentence2}\nSame meaning:",
    "demo_sentiment": "Review: {sentence}\nFeeling:",
    "demo_entailment": "Premise: {sentence1}\nClaim: {sentence2}\nIt follows:",
    "demo_qa": "{question} {context}\nAnswer:",
}
"""Task -> the template that pretraining used, so the text a decoder should be fine-tuned and asked with."""
LABEL_WORDS = {
    "demo_paraphrase": (" no", " yes"),
    "demo_sentiment": (" bad", " good"),
    "demo_entailment": (" yes", " no"),
}
"""Task -> the continuation of its prompt that says label 0, 1."""
NO_ANSWER = " none"
"""The continuation of the QA prompt that says there is no answer."""
LABEL_NAMES = {
    "demo_paraphrase": ("not_equivalent", "equivalent"),
    "demo_sentiment": ("negative", "positive"),
    "demo_entailment": ("entailment", "not_entailment"),
}
"""Task -> names of label 0, 1."""
NUM_ROWS: dict[Split, int] = {"train": 1000, "validation": 300}
NUM_STORIES = 500
LABEL_NOISE = 0.03
"""Share of labels of the three classification tasks that are turned round, in both splits: annotators err."""


def rows(task: str, split: Split) -> list[Row]:
    """All rows of one split of one task, the same on every call.

    Args:
        task: One of `PROMPTS`.
        split: "train" (1000 rows) or "validation" (300 rows).

    Returns:
        Dictionaries with the hub's columns: `sentence1, sentence2, label, idx`; `sentence, label, idx`; or `id, title,
        context, question, answers {text, answer_start}`, where a question without an answer has two empty lists. `idx` counts
        through both splits. No sentence, first sentence or context stands twice.

    Raises:
        KeyError: If the task is not one of `PROMPTS`.
    """
    draw = _DRAW[task]
    rng = random.Random(f"{task}-{split}")
    taken: set[str] = set()
    if split == "validation":
        taken = {_text(row) for row in rows(task, "train")}
    first = NUM_ROWS["train"] if split == "validation" else 0
    made: list[Row] = []
    while len(made) < NUM_ROWS[split]:
        row = draw(rng, first + len(made))
        if _text(row) not in taken:
            taken.add(_text(row))
            made.append(row)
    return made


def stories() -> list[str]:
    """Stories on which a language model's loss is measured, the same on every call; pretraining draws others."""
    rng = random.Random("demo-text")
    return [story(rng) for _ in range(NUM_STORIES)]


def _text(row: Row) -> str:
    """The text that stands once in a data set: the sentence, the first of two, the context."""
    return next(str(row[column]) for column in ("sentence", "sentence1", "context") if column in row)


def _label(rng: random.Random, label: int) -> int:
    return 1 - label if rng.random() < LABEL_NOISE else label


def _paraphrase(rng: random.Random, number: int) -> Row:
    equivalent = rng.random() < 2 / 3
    pair = paraphrase(rng, equivalent)
    return {"sentence1": pair.first, "sentence2": pair.second, "label": _label(rng, int(equivalent)), "idx": number}


def _sentiment(rng: random.Random, number: int) -> Row:
    positive = rng.random() < 0.5
    return {"sentence": opinion(rng, positive), "label": _label(rng, int(positive)), "idx": number}


def _entailment(rng: random.Random, number: int) -> Row:
    entailed = rng.random() < 0.5
    pair = inference(rng, entailed)
    return {"sentence1": pair.first, "sentence2": pair.second, "label": _label(rng, int(not entailed)), "idx": number}


def _qa(rng: random.Random, number: int) -> Row:
    passage = reading(rng, answerable=rng.random() < 0.5)
    found = bool(passage.answer)
    return {
        "id": f"demo-qa-{number:05d}",
        "title": passage.title,
        "context": passage.context,
        "question": passage.question,
        "answers": {
            "text": [passage.answer] if found else [],
            "answer_start": [passage.answer_start] if found else [],
        },
    }


_DRAW: dict[str, Callable[[random.Random, int], Row]] = {
    "demo_paraphrase": _paraphrase,
    "demo_sentiment": _sentiment,
    "demo_entailment": _entailment,
    "demo_qa": _qa,
}

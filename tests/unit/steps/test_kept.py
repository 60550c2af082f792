"""What jobs read again is made once, stays within its bound, and is counted about right."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tunescope.steps.kept import Kept, bytes_of_encoded, bytes_of_examples
from tunescope.tasks.encoded import Encoded, Truncation, Windows
from tunescope.tasks.examples import Answers, Examples


def _get(kept: Kept, made: list[str], *keys: str, size: int = 10) -> None:
    def make(key: str) -> str:
        made.append(key)
        return key.upper()

    for key in keys:
        assert kept.get(key, lambda key=key: make(key), lambda _: size) == key.upper()


def test_a_value_is_made_once() -> None:
    kept, made = Kept(100), []
    _get(kept, made, "a", "b", "a", "b")
    assert made == ["a", "b"]
    assert kept.num_bytes == 20
    kept.forget()
    assert kept.num_bytes == 0
    _get(kept, made, "a")
    assert made == ["a", "b", "a"]


def test_what_was_least_recently_used_goes_first() -> None:
    kept, made = Kept(30), []
    _get(kept, made, "a", "b", "c", "a", "d")  # b goes
    _get(kept, made, "a", "c", "d")
    assert made == ["a", "b", "c", "d"]
    _get(kept, made, "b")
    assert made[-1] == "b"
    assert kept.num_bytes == 30


def test_the_latest_stays_however_large() -> None:
    kept, made = Kept(30), []
    _get(kept, made, "a", "b")
    _get(kept, made, "huge", size=1000)
    assert kept.num_bytes == 1000
    _get(kept, made, "huge", size=1000)
    assert made == ["a", "b", "huge"]


def test_a_study_that_alternates_two_models_and_four_tasks_makes_each_once() -> None:
    """Eight trainings and evaluations in turn, three seeds: 24 parts of tokens, of which an earlier bound kept 6."""
    kept, made = Kept(100), []
    keys = [f"{model}-{task}-{part}" for model in "AB" for task in "1234" for part in ("train", "selection", "report")]
    for _ in range(3):
        _get(kept, made, *keys, size=4)
    assert made == keys


@pytest.mark.parametrize("kind", ["text", "question"])
def test_bytes_are_counted_about_right(kind: str) -> None:
    """Within a third of what Python says it allocated, for rows of 40 tokens of a vocabulary of 30000."""
    draw = np.random.default_rng(0)
    tracemalloc.start()
    encoded, examples = _encoded(draw, kind), _examples(kind)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert bytes_of_encoded(encoded) + bytes_of_examples(examples) == pytest.approx(held, rel=1 / 3)


def _encoded(draw: np.random.Generator, kind: str, num: int = 2000) -> Encoded:
    rows = draw.integers(300, 30_000, size=(num, 40)).tolist()
    places = np.arange(num, dtype=np.int64)
    windows = Windows(
        context_start=places,
        context_end=places,
        null_position=places,
        offsets=[np.zeros((30, 2), dtype=np.int64) for _ in range(num)],
        num_answerable=0,
        num_inexact=0,
        num_unreachable=0,
    )
    return Encoded(
        input_ids=rows,
        token_types=[[0] * 40 for _ in range(num)] if kind == "text" else None,
        example_index=places,
        targets=places,
        windows=windows if kind == "question" else None,
        truncation=Truncation(num_examples=num, num_truncated=0, num_tokens_lost=0),
    )


def _examples(kind: str, num: int = 2000) -> Examples:
    ids = tuple(f"train-{row}" for row in range(num))
    if kind == "text":
        return Examples(
            ids=ids, texts={"text": tuple(f"{row} cats sat" * 9 for row in range(num))}, targets=np.zeros(num)
        )
    context = " ".join(map(str, range(500)))
    answers = tuple(Answers(texts=(f"{row} cats",), starts=(0,)) for row in range(num))
    texts = {"question": tuple(f"who sat on {row} ?" for row in range(num)), "context": (context,) * num}
    return Examples(ids=ids, texts=texts, targets=answers)

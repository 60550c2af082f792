"""The majority class on the real validation splits: the figures every GLUE and SQuAD v2 paper starts from.

Source: the label counts of the data sets themselves (MRPC 279 of 408, SST-2 444 of 872, RTE 146 of 277, SQuAD v2 5,945
of 11,873); to four digits .6838 accuracy and .8122 F1, .5092, .5271, .5007. The majority class is taken from train.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tunescope.tasks.scores import SCORES

pytestmark = pytest.mark.mirror


@pytest.mark.parametrize(
    "task,score,expected,published",
    [
        ("mrpc", "accuracy", 279 / 408, 0.6838),
        ("mrpc", "f1", 558 / 687, 0.8122),
        ("mrpc", "macro_f1", 279 / 687, 0.4061),
        ("mrpc", "matthews", 0.0, 0.0),
        ("sst2", "accuracy", 444 / 872, 0.5092),
        ("rte", "accuracy", 146 / 277, 0.5271),
    ],
)
def test_majority_class_of_glue(mirror: Path, task: str, score: str, expected: float, published: float) -> None:
    majority = np.bincount(_labels(mirror, task, "train")).argmax()
    targets = _labels(mirror, task, "validation")

    value = SCORES[score].function(targets, np.full_like(targets, majority))

    assert value == pytest.approx(expected, abs=1e-12)
    assert round(value, 4) == published


@pytest.mark.parametrize("score", ["squad_exact", "squad_f1"])
def test_never_answering_on_squad_v2(mirror: Path, score: str) -> None:
    (path,) = (mirror / "datasets/rajpurkar/squad_v2").glob("validation-*.parquet")
    rows = pq.read_table(path, columns=["id", "answers"]).to_pylist()
    gold = {row["id"]: row["answers"]["text"] for row in rows}

    value = SCORES[score].function(gold, dict.fromkeys(gold, ""))

    assert value == pytest.approx(5945 / 11873, abs=1e-12)
    assert round(value, 4) == 0.5007


def _labels(mirror: Path, task: str, split: str) -> np.ndarray:
    (path,) = (mirror / "datasets/nyu-mll/glue" / task).glob(f"{split}-*.parquet")
    return np.asarray(pq.read_table(path, columns=["label"])["label"].to_numpy())

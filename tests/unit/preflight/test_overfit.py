"""Ten examples are learnt by whatever can learn, and what cannot is told."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tiny import TINY
from tunescope.hub.source import Source
from tunescope.methods import Full, HeadOnly, Lora
from tunescope.models.base import BaseModelSpec
from tunescope.preflight import overfit as module
from tunescope.preflight.overfit import OverfitResult, judge_overfit, overfit, target_loss
from tunescope.preflight.trial import Trial
from tunescope.study.configs import TrainConfig
from tunescope.study.settings import TrainingSettings
from tunescope.study.spec import Compute
from tunescope.tasks.data import Examples
from tunescope.tasks.spec import Classification, Regression

TEXTS = tuple(f"the {one} sat on the {other} ." for one in ("cat", "dog", "bird") for other in ("mat", "tree", "cat"))
PAIRS = Classification.model_validate({"name": "pairs", "dataset": {"hub": "a/b"}, "labels": ["bad", "good"]})


def _trial(folder, method, learning_rate):
    rows = Examples(ids=tuple(map(str, range(9))), texts={"text": TEXTS}, targets=np.arange(9) % 2)
    config = TrainConfig(
        base_model=BaseModelSpec(name="./model"),
        task=PAIRS,
        method_kind=method.kind,
        method=method,
        training=TrainingSettings(learning_rate=learning_rate, epochs=1, label_smoothing=0.1),
        seed=3,
    )
    return Trial(
        config=config,
        compute=Compute(device="cpu", num_threads=1),
        source=Source(study_folder=folder),
        device="cpu",
        num_threads=1,
        train=rows,
        selection=rows,
    )


@pytest.mark.parametrize(
    "method,learning_rate",
    [(Full(), 1e-2), (Lora(rank=4, target_modules="all-linear"), 1e-2), (HeadOnly(), 1e-2)],
    ids=["full", "lora", "head_only"],
)
@pytest.mark.parametrize("name", TINY)
def test_every_method_learns_ten_examples(tmp_path, name, method, learning_rate):
    TINY[name](tmp_path / "model")
    result = overfit(_trial(tmp_path, method, learning_rate))
    assert result.learned
    assert result.best_loss <= result.target < result.first_loss
    assert result.num_steps <= module.MAX_STEPS


def test_a_rate_far_too_low_learns_nothing_even_tenfold(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_STEPS", 5)
    TINY["llama"](tmp_path / "model")
    result = overfit(_trial(tmp_path, Full(), 1e-7))
    assert not result.learned
    assert (result.factor, result.num_steps) == (10.0, 5)
    assert result.first_loss == pytest.approx(result.best_loss, rel=1e-2)


def test_targets_are_a_fifth_of_the_start_or_a_tenth_of_chance():
    chance = math.log(2)
    assert target_loss(PAIRS, "full", 5.0) == pytest.approx(1.0)
    assert target_loss(PAIRS, "full", 0.1) == pytest.approx(chance / 10)
    assert target_loss(PAIRS, "head_only", 1.0) == pytest.approx(0.9)
    regression = Regression.model_validate({"name": "r", "dataset": {"hub": "a/b"}})
    assert target_loss(regression, "lora", 2.0) == pytest.approx(0.4)


RESULT = OverfitResult(learned=True, first_loss=0.7, best_loss=0.06, target=0.14, num_steps=30, factor=1.0)


@pytest.mark.parametrize(
    "result,status,words",
    [
        (RESULT, "ok", "10 examples are learnt in 30 steps at learning rate 0.001: loss 0.700 -> 0.060"),
        (replace(RESULT, factor=10.0), "note", "only at 10 times the learning rate (learning rate 0.01)"),
        (replace(RESULT, learned=False, factor=10.0), "fault", "10 examples are not learnt in 30 steps"),
    ],
)
def test_each_outcome_has_its_words(result, status, words):
    finding = judge_overfit("tiny", "full", 1e-3, result)
    assert finding.status == status
    assert words in finding.message

"""What drift is measured on: the lesser of two limits, the same rows whoever asks, and a hash of what was read."""

from __future__ import annotations

import pytest

from tunescope.models.base import BaseModelSpec
from tunescope.steps.drift_inputs import drift_inputs
from tunescope.study.configs import DriftControlsConfig


def _read(desk, num_examples=None, max_report=None):
    config = DriftControlsConfig(
        base_model=BaseModelSpec(name="./base"),
        task=desk.task.model_copy(update={"max_report": max_report}),
        measures=("debiased_linear_cka",),
        pooling=("mean",),
        num_examples=num_examples,
        controls=("bf16",),
        untrained={},
    )
    return drift_inputs(config, desk.context)


@pytest.mark.parametrize(
    "num_examples, max_report, expected", [(None, None, 14), (5, None, 5), (None, 7, 7), (9, 6, 6), (99, 99, 14)]
)
def test_the_lesser_limit_holds(bench, num_examples, max_report, expected):
    read = _read(bench("bert"), num_examples, max_report)
    assert len(read.ids) == len(read.encoded) == expected


def test_a_smaller_sample_is_part_of_a_larger_one_and_has_its_own_hash(bench):
    desk = bench("bert")
    few, many, again = (_read(desk, num) for num in (5, 9, 5))
    assert set(few.ids) < set(many.ids)
    assert few.ids == again.ids
    assert few.token_ids_sha256 == again.token_ids_sha256 != many.token_ids_sha256
    assert few.model_fingerprint == many.model_fingerprint


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert"])
def test_the_width_is_the_models(bench, name):
    assert _read(bench(name)).num_features == 32

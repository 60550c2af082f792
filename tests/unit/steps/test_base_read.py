"""Statistics of a base model are taken over by those whose examples, tokens and weights they are of, and by nobody else."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tunescope.drift import kept
from tunescope.errors import StoreError
from tunescope.models.base import BaseModelSpec
from tunescope.representations.kept_states import StateWriter
from tunescope.steps.base_read import base_read, num_examples_of
from tunescope.steps.drift_inputs import drift_inputs
from tunescope.study.configs import RepresentConfig


@pytest.fixture
def made(bench):
    """The artifact of a represent job that keeps states, and what a job of drift on the same examples reads."""
    desk = bench("bert")
    config = RepresentConfig(
        base_model=BaseModelSpec(name="./base"),
        task=desk.task,
        pooling=("mean",),
        num_examples=None,
        keep_states=True,
    )
    return desk.read_base(config, keep=True), drift_inputs(config, desk.context)


def test_what_is_ones_own_is_taken_over(made):
    folder, read = made
    base = base_read(folder, read)
    assert base.states is not None
    assert base.states.names == tuple(base.statistics.terms)
    assert num_examples_of(folder) == 14
    (folder / kept.KEPT_STATES_NAME).unlink()
    assert base_read(folder, read).states is None


@pytest.mark.parametrize(
    "change, told",
    [
        (
            lambda read: {"ids": read.ids[::-1]},
            "other examples than are compared here, 'validation-0' and 'validation-13'",
        ),
        (lambda read: {"ids": read.ids[:-1]}, "other examples than are compared here, 14 and 13 examples"),
        (
            lambda read: {"token_ids_sha256": "ab"},
            r"another token_ids_sha256 \([0-9a-f]{64}\) than is compared here \(ab\)",
        ),
        (lambda read: {"model_fingerprint": "cd"}, r"another model_fingerprint \(.*\) than is compared here \(cd\)"),
    ],
    ids=("order", "fewer", "tokens", "weights"),
)
def test_what_is_of_something_else_is_refused_and_both_are_named(made, change, told):
    folder, read = made
    with pytest.raises(StoreError, match=told):
        base_read(folder, replace(read, **change(read)))


@pytest.mark.parametrize("harm", ["ids", "no ids", "map", "statistics", "states", "fewer states", "other states"])
def test_what_is_damaged_is_refused(made, harm):
    folder, read = made
    ids, statistics, states = (folder / name for name in (kept.IDS_NAME, kept.STATISTICS_NAME, kept.KEPT_STATES_NAME))
    if harm == "ids":
        ids.write_text(ids.read_text()[:-2])
    elif harm == "no ids":
        ids.unlink()
    elif harm == "map":
        ids.write_text(json.dumps({"a": 1}))
    elif harm == "statistics":
        statistics.write_bytes(statistics.read_bytes()[:100])
    elif harm == "states":
        states.write_bytes(states.read_bytes()[:-1])
    elif harm == "other states":
        with StateWriter(states, 14) as writer:
            writer.add(np.arange(14), {("block_09", "mean"): np.ones((14, 32))})
    else:
        five = np.arange(5)
        rows = base_read(folder, read).states.rows(five)
        with StateWriter(states, 5) as writer:
            writer.add(five, rows)
    with pytest.raises(
        StoreError, match=r"not a (whole )?(list|file)|5 examples' states are kept, of 14|other states are kept"
    ):
        base_read(folder, read)

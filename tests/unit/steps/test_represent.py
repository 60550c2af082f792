"""A base model is read once: statistics, ids and, where they are kept, the states themselves."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tunescope.drift import kept
from tunescope.drift.base_statistics import load_statistics
from tunescope.errors import DataError
from tunescope.models.base import BaseModelSpec
from tunescope.representations.extract import extract
from tunescope.representations.kept_states import KeptStates
from tunescope.steps import represent
from tunescope.steps.drift_inputs import drift_inputs
from tunescope.study.configs import RepresentConfig


def _config(desk, **more):
    said = {
        "base_model": BaseModelSpec(name="./base"),
        "task": desk.task,
        "pooling": ("last_token", "mean"),
        "num_examples": None,
        "keep_states": False,
    }
    return RepresentConfig(**(said | more))


@pytest.mark.parametrize("name, num_states", [("llama", 4), ("bert", 3)])
def test_every_state_and_pooling_has_its_terms_and_nothing_else_is_kept(bench, name, num_states):
    desk = bench(name)
    facts, out = desk.does(represent.run, _config(desk))
    assert {path.name for path in out.iterdir()} == {kept.IDS_NAME, kept.STATISTICS_NAME}
    statistics, about = load_statistics(out / kept.STATISTICS_NAME)
    assert [f"{state}/{read}" for state, read in statistics.terms] == facts["states"]
    assert len(statistics.terms) == 2 * num_states
    assert about == {name: facts[name] for name in ("token_ids_sha256", "model_fingerprint")}
    assert len(json.loads((out / kept.IDS_NAME).read_text())) == facts["num_examples"] == 14
    assert facts["kept_bytes"] == 0


def test_what_is_kept_is_what_the_model_made_of_the_examples_in_their_order(bench):
    desk = bench("llama")
    config = _config(desk, keep_states=True)
    facts, out = desk.does(represent.run, config)
    path = out / kept.KEPT_STATES_NAME
    assert path.stat().st_size == facts["kept_bytes"] == pytest.approx(4 * 14 * 32 * 4 * 2, rel=0.1)
    read = drift_inputs(config, desk.context)
    expected = extract(read.network.model, read.network, read.encoded, how=config.pooling, batch_tokens=64)
    for (state, pooling), rows in KeptStates(path).rows(np.arange(14)).items():
        assert np.array_equal(rows, expected[f"{state}/{pooling}"])


def test_single_tokens_have_terms_and_are_not_kept(bench):
    desk = bench("bert")
    facts, out = desk.does(represent.run, _config(desk, keep_states=True, pooling=("all_tokens", "mean")))
    assert {pooling for _, pooling in KeptStates(out / kept.KEPT_STATES_NAME).names} == {"mean"}
    assert "block_01/all_tokens" in facts["states"]


def test_too_few_examples_fail_before_anything_is_read(bench):
    desk = bench("bert")
    with pytest.raises(DataError, match="needs at least 4 examples for a debiased CKA, got 3"):
        desk.does(represent.run, _config(desk, num_examples=3))

"""What a study may ask of drift and retention, and what it is told where it may not."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tunescope.similarity.measures import MEASURES
from tunescope.study.drift import CONTROLS, DRIFT_MEASURE, DriftSettings, RetentionSettings


def test_asking_for_nothing_in_particular_gives_measures_that_there_are_and_every_control():
    settings = DriftSettings()
    assert set(settings.measures) <= set(MEASURES)
    assert settings.measures[0] == DRIFT_MEASURE
    assert settings.controls == CONTROLS
    assert (settings.pooling, settings.num_examples, settings.weight_directions) == (("last_token",), None, False)


@pytest.mark.parametrize(
    "said, told",
    [
        (
            {"measures": ["debiased_linear_cka", "linear_ckaa"]},
            "unknown measure 'linear_ckaa'. Did you mean 'linear_cka'",
        ),
        ({"measures": ["cosine"]}, "measures lacks debiased_linear_cka"),
        ({"measures": []}, "at least 1 item"),
        ({"measures": ["debiased_linear_cka"] * 2}, "measures must differ from each other"),
        ({"pooling": ["mean", "mean"]}, "pooling must differ from each other"),
        ({"pooling": ["max"]}, "last_token"),
        ({"controls": ["seeds", "seeds"]}, "controls must differ from each other"),
        ({"controls": ["moon"]}, "base_again"),
        ({"num_examples": 0}, "num_examples"),
        ({"every": 0.0}, "every"),
        ({"keep_representations": "all"}, "keep_representations"),
        ({"keep_representations": True, "pooling": ["all_tokens"]}, "single tokens are never kept"),
        ({"every": 0.5, "pooling": ["all_tokens", "mean"]}, "followed on pooled states"),
        ({"metrics": []}, "metrics"),
    ],
)
def test_a_wrong_wish_is_told(said, told):
    with pytest.raises(ValidationError) as caught:
        DriftSettings.model_validate(said)
    assert told in str(caught.value)


def test_tokens_may_stand_beside_what_is_followed():
    assert DriftSettings(every=0.5, pooling=("mean", "all_tokens")).pooling == ("mean", "all_tokens")


@pytest.mark.parametrize(
    "said, told",
    [
        ({}, "asks for nothing. Give texts"),
        ({"probes": False}, "asks for nothing"),
        ({"texts": []}, "at least 1 item"),
        ({"texts": [{"name": "a", "file": "a.txt"}, {"name": "a", "file": "b.txt"}]}, "names that differ"),
        ({"texts": [{"name": "a"}]}, "give either 'hub' or 'file'"),
        ({"texts": [{"name": "a", "file": "a.txt"}], "window": 4}, "window"),
    ],
)
def test_a_wrong_wish_of_retention_is_told(said, told):
    with pytest.raises(ValidationError) as caught:
        RetentionSettings.model_validate(said)
    assert told in str(caught.value)


def test_retention_may_be_of_texts_of_probes_or_of_both():
    text = {"name": "a", "file": "a.txt"}
    assert RetentionSettings.model_validate({"probes": True}).texts == ()
    assert RetentionSettings.model_validate({"texts": [text]}).probes is False
    both = RetentionSettings.model_validate({"texts": [text], "probes": ["mrpc", "rte"]})
    assert (both.probes, both.probe_examples, both.probe_pooling) == (("mrpc", "rte"), 1000, None)

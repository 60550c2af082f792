"""The `trackers:` section: what it takes, and what it refuses."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tunescope.study.trackers import Trackers


def test_empty_settings_take_every_default():
    trackers = Trackers.model_validate({"mlflow": {}, "tensorboard": {}, "trackio": {}})
    assert list(trackers.wanted()) == ["mlflow", "tensorboard", "trackio"]


def test_what_is_disabled_is_not_wanted():
    assert Trackers.model_validate({"wandb": {"project": "p", "mode": "disabled"}}).wanted() == {}


@pytest.mark.parametrize(
    "trackers,told",
    [
        ({"wandb": {"project": "a/b"}}, "must be a name without"),
        ({"wandb": {"project": ".."}}, "must be a name without"),
        ({"wandb": {"project": "p", "tags": ["x" * 65]}}, "at most 64"),
        ({"wandb": {"project": "p", "api_key": "k"}}, "api_key"),
        ({"mlflow": {"tracking_uri": "https://me:secret@host"}}, "must not hold a password"),
        ({"trackio": {"project": "../x"}}, "pattern"),
    ],
)
def test_what_leads_out_or_holds_a_secret_is_refused(trackers, told):
    with pytest.raises(ValidationError, match=told):
        Trackers.model_validate(trackers)

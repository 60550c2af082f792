"""A trial is the mean of its trainings; one that failed or has no score makes it failed, never 0."""

from __future__ import annotations

import pytest

from tunescope.search.trial import TrialTraining, combined


def training(replicate, score, state="complete", **more):
    given = {
        "number": 4,
        "replicate": replicate,
        "seed": replicate,
        "values": {"rank": 4},
        "state": state,
        "score": score,
        "standard_error": 0.01 * (1 + replicate),
        "num_examples": 60,
        "curve": ((1, 0.1), (2, 0.2)),
        "num_tokens": 100,
        "num_tokens_planned": 150,
    }
    return TrialTraining(**(given | more))


def test_the_mean_of_its_trainings():
    trial = combined(4, {"rank": 4}, [training(0, 0.5), training(1, 0.7)])
    assert (trial.state, trial.score, trial.standard_error) == ("complete", pytest.approx(0.6), 0.02)
    assert (trial.num_tokens, trial.num_tokens_planned, trial.num_examples) == (200, 300, 60)
    assert len(trial.curves) == 2


def test_one_pruned_training_prunes_the_trial():
    trial = combined(4, {"rank": 4}, [training(0, 0.5), training(1, 0.3, "pruned")])
    assert (trial.state, trial.score) == ("pruned", pytest.approx(0.4))


def test_a_lost_training_fails_the_trial_without_a_score():
    trial = combined(4, {"rank": 4}, [training(0, 0.5), None, None])
    assert (trial.state, trial.score, trial.reason) == ("failed", None, "2 of 3 trainings failed")
    assert trial.curves == (((1, 0.1), (2, 0.2)), (), ())
    assert trial.num_tokens == 100
    assert combined(4, {}, [None]).num_examples is None


def test_an_undefined_score_fails_the_trial_with_its_reason():
    trial = combined(4, {"rank": 4}, [training(0, None, "undefined", note="only one label was predicted")])
    assert (trial.state, trial.score, trial.reason) == (
        "failed",
        None,
        "no selection score: only one label was predicted",
    )


def test_an_unknown_error_stays_unknown():
    assert combined(4, {}, [training(0, 0.5), training(1, 0.5, standard_error=None)]).standard_error is None

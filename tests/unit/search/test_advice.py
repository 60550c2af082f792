"""Warnings in words: an optimum on its edge, too few trials, noise, few rows; silence where all is well."""

from __future__ import annotations

import pytest

from tunescope.search.advice import advice
from tunescope.search.settings import SearchSettings
from tunescope.search.space import Choice, Range
from tunescope.search.trial import Trial

SPACES = {"learning_rate": Range(low=1e-4, high=1e-2, log=True), "rank": Choice(values=(4, 8))}


def told(scores, best, *, spaces=SPACES, rate=1e-3, wave_size=2, startup=2, sampler="tpe", rows=1000, error=0.001):
    trials = [
        Trial(
            number=number,
            values={"learning_rate": rate, "rank": 4},
            state="failed" if score is None else "complete",
            score=score,
            standard_error=error,
            num_examples=rows,
            reason="" if score is not None else "the loss is nan",
        )
        for number, score in enumerate(scores)
    ]
    settings = SearchSettings(
        sampler=sampler, wave_size=wave_size, num_startup_trials=startup, seeds_per_trial=1, seed=0, pruner=None
    )
    return advice(spaces, settings, trials, trials[best])


def test_nothing_to_say_of_a_clear_winner_inside_its_range():
    assert told([0.5, 0.6, 0.7, 0.9], 3) == []


@pytest.mark.parametrize("rate, way", [(1.05e-4, "lower"), (9.5e-3, "higher")])
def test_an_optimum_on_the_edge_says_which_way_to_widen(rate, way):
    (warning,) = told([0.5, 0.6, 0.7, 0.9], 3, rate=rate)
    assert "lies on the" in warning
    assert f"better values may lie {way}. Widen it beyond" in warning


def test_a_whole_number_on_its_edge_is_written_whole():
    spaces = {"learning_rate": SPACES["learning_rate"], "rank": Range(low=4, high=2048, integer=True)}
    (warning,) = told([0.5, 0.6, 0.7, 0.9], 3, spaces=spaces)
    assert warning.startswith("the best rank, 4, lies on the lower edge of its range (4 to 2048)")


def test_a_sampler_that_never_learned_is_said():
    (warning,) = told([0.1, 0.2, 0.3, 0.9], 3, startup=4)
    assert warning.startswith(
        "no trial was chosen in the light of others: tpe learns from results after num_startup_trials (4)"
    )
    assert told([0.1, 0.2, 0.3, 0.4, 0.9], 4, wave_size=4, startup=4) == []
    assert len(told([0.1, 0.2, 0.3, 0.4, 0.9], 4, wave_size=3, startup=4)) == 1, "the last wave knew of three"
    assert told([0.1, 0.2, 0.3, 0.9], 3, startup=4, sampler="random") == []


def test_failed_trials_and_few_rows_are_said():
    failed, few = told([0.1, None, 0.3, 0.4, 0.9], 4, rows=50)
    assert failed == "1 of 5 trials failed: the loss is nan"
    assert few.startswith("50 selection rows are few: one row is 2.0 points")


def test_a_tie_is_said_even_where_no_score_could_vary():
    (warning,) = told([0.1, 0.9, 0.8, 0.9], 1, error=0.001)
    assert warning.startswith("1 other trial scores the same as the winner, which was taken for being the first")
    ceiling = told([1.0] * 8, 0, error=0.0, rows=12)
    assert any("7 other trials score the same as the winner" in warning for warning in ceiling)


def test_a_perfect_score_has_an_error_too():
    (few, noise) = told([0.1, 0.2, 0.92, 1.0], 3, error=0.0, rows=12)
    assert few.startswith("12 selection rows are few")
    assert "a standard error of 0.0827: 2 of 4 complete trials are within one of the best" in noise
    assert told([0.1, 0.2, 0.92, 1.0], 3, error=0.0, rows=1000) == []


def test_a_lead_within_the_noise_is_said():
    (warning,) = told([0.1, 0.885, 0.895, 0.9], 3, error=0.01)
    assert warning.startswith("the winner leads the next by 0.0050")
    assert "2 of 4 complete trials are within one of the best" in warning
    assert told([0.9], 0, startup=1, sampler="random", error=0.5) == []

"""A wave is proposed from the wave before and its trainings; those that failed are told as failed."""

from __future__ import annotations

import json

import pytest

from fake_steps import fake_context
from tunescope.errors import RunError
from tunescope.search.settings import SearchSettings
from tunescope.search.space import Choice, Range
from tunescope.search.trial import TrialTraining
from tunescope.steps import propose, select
from tunescope.study.configs import ProposeConfig, SelectConfig

SPACES = {"learning_rate": Range(low=1e-4, high=1e-2, log=True, default=1e-3), "rank": Choice(values=(4, 8), default=4)}
SETTINGS = SearchSettings(sampler="tpe", wave_size=2, num_startup_trials=2, seeds_per_trial=2, seed=0, pruner=None)


class Sweep:
    """The folders of a sweep, made wave by wave."""

    def __init__(self, folder, settings=SETTINGS):
        self.folder, self.settings, self.inputs, self.first = folder, settings, {}, 0

    def wave(self, scores):
        """One more wave, whose trials have these scores; None fails a training."""
        config = ProposeConfig(spaces=SPACES, settings=self.settings, first=self.first, num=2)
        out = self._made(f"wave{self.first}")
        facts = propose.run(config, self.inputs, out, out, fake_context())
        self.inputs = {"previous": out}
        for offset, score in enumerate(scores):
            for replicate in range(self.settings.seeds_per_trial):
                self._train(self.first + offset, replicate, score, facts["values"][offset])
        self.first += len(scores)
        return facts["values"]

    def select(self, num_trials):
        out = self._made("select")
        config = SelectConfig(spaces=SPACES, settings=self.settings, num_trials=num_trials)
        facts = select.run(config, self.inputs, out, out, fake_context())
        return facts, json.loads((out / "selected.json").read_text())

    def _train(self, number, replicate, score, values):
        if score is None and replicate:
            return
        out = self._made(f"trial{number}-{replicate}")
        told = TrialTraining(
            number=number,
            replicate=replicate,
            seed=1,
            values=values,
            state="pruned" if score is not None and score < 0 else "complete",
            score=0.5 if score is None else abs(score),
            standard_error=0.01,
            num_examples=500,
            curve=((1, 0.1),),
            num_tokens=10,
            num_tokens_planned=20,
        )
        (out / "trial.json").write_text(told.model_dump_json())
        self.inputs[f"trial_{number}_{replicate}"] = out

    def _made(self, name):
        out = self.folder / name
        out.mkdir()
        return out


def test_a_wave_hands_on_every_trial_before_it(tmp_path):
    sweep = Sweep(tmp_path)
    first = sweep.wave([0.5, None])
    assert first[0] == {"learning_rate": 1e-3, "rank": 4}
    sweep.wave([-0.2, 0.7])
    sweep.wave([0.1, 0.1])
    wave = propose.read_wave(tmp_path / "wave4")
    assert [(trial.number, trial.state, trial.score) for trial in wave.trials] == [
        (0, "complete", 0.5),
        (1, "failed", None),
        (2, "pruned", 0.2),
        (3, "complete", 0.7),
    ]
    assert wave.trials[1].reason == "1 of 2 trainings failed"
    assert wave.first == 4


def test_a_wave_that_lacks_the_one_before_is_our_own_fault(tmp_path):
    config = ProposeConfig(spaces=SPACES, settings=SETTINGS, first=2, num=2)
    with pytest.raises(AssertionError, match="0 trials before trial 2"):
        propose.run(config, {}, tmp_path, tmp_path, fake_context())


def test_a_sweep_may_end_within_a_wave(tmp_path):
    sweep = Sweep(tmp_path)
    sweep.wave([0.5, 0.6])
    sweep.wave([0.7])
    facts, kept = sweep.select(3)
    assert (facts["trial"], len(kept["trials"])) == (2, 3)


def test_the_choice_is_the_best_complete_trial_the_first_of_equals(tmp_path):
    sweep = Sweep(tmp_path)
    sweep.wave([0.6, -0.9])
    sweep.wave([0.6, None])
    facts, kept = sweep.select(4)
    assert (facts["trial"], facts["score"], facts["default_trial"]) == (0, 0.6, 0)
    assert facts["values"] == {"learning_rate": 1e-3, "rank": 4}
    assert (facts["num_tokens"], facts["num_tokens_planned"]) == (70, 140)
    assert [trial["state"] for trial in kept["trials"]] == ["complete", "pruned", "complete", "failed"]
    assert any("1 of 4 trials failed" in warning for warning in facts["warnings"])


@pytest.mark.parametrize("scores, why", [([None, None], "1 of 2 trainings failed"), ([-0.5, -0.6], "all were pruned")])
def test_a_sweep_without_a_complete_trial_has_no_choice(tmp_path, scores, why):
    sweep = Sweep(tmp_path)
    sweep.wave(scores)
    with pytest.raises(RunError, match=f"none of the sweep's 2 trials is complete \\({why}\\)"):
        sweep.select(2)

"""Proposals follow from spaces, settings and earlier trials alone: whole or by waves, in any process, after any crash."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from tunescope.errors import RunError
from tunescope.search.propose import default_setting, play_again, propose, quiet_optuna
from tunescope.search.settings import SearchSettings
from tunescope.search.space import Choice, Range
from tunescope.search.trial import Trial, derived_seed

SPACES = {
    "learning_rate": Range(low=1e-5, high=1e-2, log=True, default=1e-3),
    "rank": Range(low=1, high=64, log=True, integer=True, default=8),
    "use_dora": Choice(values=(False, True), default=False),
    "target_modules": Choice(values=(["q_proj"], ["q_proj", "v_proj"], None), default=["q_proj"]),
    "dropout": Range(low=0.0, high=0.3, default=0.1, when={"use_dora": (True,)}),
    "schedule": Choice(values=("linear", "cosine"), default="linear"),
}
SAMPLERS = ["random", "tpe", "qmc"] + (["cmaes"] if importlib.util.find_spec("cmaes") else [])


def settings(sampler, **changes):
    common = {"wave_size": 3, "num_startup_trials": 3, "seeds_per_trial": 1, "seed": 7, "pruner": None}
    return SearchSettings(sampler=sampler, **(common | changes))


def outcome(number, values):
    """A trial that ended in one of three ways, by rules of its own."""
    if number % 5 == 3:
        return Trial(number=number, values=values, state="failed", reason="the loss is nan", curves=((),))
    score = -abs(values["learning_rate"] - 2e-3) + 0.001 * values["rank"]
    state = "pruned" if number % 5 == 4 else "complete"
    curve = ((1, score / 2), (2, score))[: 1 if state == "pruned" else 2]
    return Trial(number=number, values=values, state=state, score=score, curves=(curve,))


def swept(sampler, num, spaces=SPACES, **changes):
    """The trials of a whole sweep, wave by wave."""
    trials = []
    while len(trials) < num:
        values = propose(spaces, settings(sampler, **changes), trials, 3)
        trials += [outcome(len(trials) + offset, one) for offset, one in enumerate(values)]
    return trials


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sweep_played_twice_and_through_json_proposes_the_same(sampler):
    trials = swept(sampler, 12)
    assert swept(sampler, 12) == trials
    kept = [Trial.model_validate_json(trial.model_dump_json()) for trial in trials]
    assert kept == trials
    asked = settings(sampler)
    first = propose(SPACES, asked, kept, 3)
    assert first == propose(SPACES, asked, trials, 3)
    assert json.loads(json.dumps(first)) == first
    assert propose(SPACES, asked, kept, 2) == first[:2], "a wave cut short begins alike"


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_another_process_with_another_hash_seed_proposes_the_same(sampler):
    trials = swept(sampler, 9)
    code = (
        "import json, sys\nfrom pydantic import TypeAdapter\nfrom tunescope.search.propose import propose\n"
        "from tunescope.search.settings import SearchSettings\nfrom tunescope.search.space import Space\n"
        "from tunescope.search.trial import Trial\ntold = json.load(sys.stdin)\n"
        "spaces = TypeAdapter(dict[str, Space]).validate_python(told['spaces'])\n"
        "trials = [Trial.model_validate(one) for one in told['trials']]\n"
        "print(json.dumps(propose(spaces, SearchSettings.model_validate(told['settings']), trials, 3)))"
    )
    told = {
        "spaces": {name: space.model_dump(mode="json") for name, space in SPACES.items()},
        "settings": settings(sampler).model_dump(mode="json"),
        "trials": [trial.model_dump(mode="json") for trial in trials],
    }
    said = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "12345"},
    )
    assert json.loads(said.stdout) == propose(SPACES, settings(sampler), trials, 3)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_first_trial_is_the_default_and_the_others_differ(sampler):
    trials = swept(sampler, 9)
    assert trials[0].values == default_setting(SPACES)
    assert "dropout" not in trials[0].values
    rates = [trial.values["learning_rate"] for trial in trials]
    assert len(set(rates)) == len(rates)
    for trial in trials:
        assert ("dropout" in trial.values) == (trial.values["use_dora"] is True)
        for name, value in trial.values.items():
            space = SPACES[name]
            if isinstance(space, Range):
                assert type(value) is (int if space.integer else float)
                assert space.low <= value <= space.high
        assert trial.values["target_modules"] in (["q_proj"], ["q_proj", "v_proj"], None)
    assert len({trial.values["rank"] for trial in trials}) > 2, "the range is searched"


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_is_searched_on_a_condition_differs_from_trial_to_trial(sampler):
    """A sampler made anew for every trial from one seed would draw one value for ever."""
    drawn = [trial.values["dropout"] for trial in swept(sampler, 18) if "dropout" in trial.values]
    assert len(drawn) >= 3
    assert len(set(drawn)) == len(drawn)


def test_without_a_default_everywhere_no_trial_is_the_default():
    spaces = SPACES | {"rank": Range(low=1, high=64, integer=True)}
    assert default_setting(spaces) is None
    assert swept("random", 3, spaces)[0].values != default_setting(SPACES)


def test_another_seed_and_other_results_propose_otherwise():
    trials = swept("tpe", 6)
    assert [one.values for one in swept("tpe", 6, seed=8)][1:] != [one.values for one in trials][1:]
    other = [*trials[:5], trials[5].model_copy(update={"score": 9.0, "curves": (((1, 9.0),),)})]
    assert propose(SPACES, settings("tpe"), trials, 3) != propose(SPACES, settings("tpe"), other, 3)


def test_seeds_follow_from_the_trial_number():
    seeds = [derived_seed(0, "trial", number, replicate) for number in range(50) for replicate in range(3)]
    assert len(set(seeds)) == len(seeds)
    assert derived_seed(0, "trial", 1, 11) != derived_seed(0, "trial", 11, 1)
    assert derived_seed(0, "trial", 0, 0) == 2328623586, "another one would train every trial anew"


def test_a_grid_is_gone_through_in_order_and_ends():
    spaces = {"rank": Choice(values=(4, 8)), "learning_rate": Choice(values=(1e-4, 1e-3))}
    asked = settings("grid")
    first = propose(spaces, asked, [], 3)
    assert first == [
        {"rank": 4, "learning_rate": 1e-4},
        {"rank": 4, "learning_rate": 1e-3},
        {"rank": 8, "learning_rate": 1e-4},
    ]
    trials = [Trial(number=number, values=values, state="failed") for number, values in enumerate(first)]
    assert propose(spaces, asked, trials, 3) == [{"rank": 8, "learning_rate": 1e-3}]


def test_trials_of_another_version_of_optuna_are_not_gone_on_from():
    trials = swept("tpe", 6)
    changed = trials[1].model_copy(update={"values": trials[1].values | {"rank": 63}})
    with pytest.raises(RunError, match=r"trial 1 was made with .* another version of Optuna\. Finish it with that"):
        propose(SPACES, settings("tpe"), [trials[0], changed, *trials[2:]], 3)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sweep_whose_trials_all_failed_goes_on(sampler):
    trials = []
    for wave in range(3):
        for offset, values in enumerate(propose(SPACES, settings(sampler), trials[: 3 * wave], 3)):
            trials.append(Trial(number=3 * wave + offset, values=values, state="failed", reason="nan", curves=((),)))
    rates = [trial.values["learning_rate"] for trial in trials]
    assert len(set(rates)) == 9


def test_optuna_is_told_states_scores_curves_and_reasons():
    import optuna

    trials = swept("random", 6)
    with quiet_optuna():
        study = optuna.create_study(direction="maximize")
        play_again(study, SPACES, trials)
    assert [one.state.name for one in study.trials] == [
        "COMPLETE",
        "COMPLETE",
        "COMPLETE",
        "FAIL",
        "PRUNED",
        "COMPLETE",
    ]
    assert [one.value for one in study.trials if one.state.name == "COMPLETE"] == [
        trial.score for trial in trials if trial.state == "complete"
    ]
    assert [one.intermediate_values for one in study.trials] == [dict(trial.curves[0]) for trial in trials]
    assert study.trials[3].user_attrs == {"reason": "the loss is nan"}
    assert study.trials[0].params["target_modules"] == '["q_proj"]'


def test_optunas_own_log_level_is_left_as_it_was():
    import optuna

    before = optuna.logging.get_verbosity()
    swept("random", 3)
    assert optuna.logging.get_verbosity() == before

"""How a study writes sweeps, and every way to write one wrongly: one clear message each."""

from __future__ import annotations

import importlib.util

import pytest

from tunescope.errors import StudyError
from tunescope.search.recommended import recommended_spaces
from tunescope.search.space import Choice, Range
from tunescope.study.load import parse_study

TEXT = """
name: t
base_model: org/decoder
tasks: [mrpc]
methods:
  full: {learning_rate: {sweep: {log_uniform: [1e-5, 1e-3]}}}
  lora: {learning_rate: {sweep: {log_uniform: [1e-4, 1e-2]}}}
seeds: [1, 2]
sweep: {num_trials: 6}
"""


def spaces(field: str):
    return parse_study(TEXT, "study.yaml", [f"methods.lora={field}"]).methods[1].sweep


def problems(*changes: str, text: str = TEXT) -> list[str]:
    with pytest.raises(StudyError) as caught:
        parse_study(text, "study.yaml", changes)
    return [one.removeprefix("study.yaml: ") for one in caught.value.problems]


@pytest.mark.parametrize(
    "written, space",
    [
        ("{sweep: {log_uniform: [1e-4, 1e-2]}}", Range(low=1e-4, high=1e-2, log=True)),
        ("{sweep: {uniform: [1e-4, 1e-2], default: 1e-3}}", Range(low=1e-4, high=1e-2, default=1e-3)),
        ("{sweep: [1e-4, 1e-3]}", Choice(values=(1e-4, 1e-3))),
        ("{sweep: {categorical: [1e-4, 1e-3], default: 1e-3}}", Choice(values=(1e-4, 1e-3), default=1e-3)),
    ],
)
def test_forms_of_a_field(written, space):
    assert spaces(f"{{learning_rate: {written}}}") == {"learning_rate": space}


def test_whole_numbers_lists_booleans_and_conditions_parents_first_in_one_order():
    field = (
        "{dropout: {sweep: {uniform: [0, 0.3], when: {use_dora: [true]}}}, use_dora: {sweep: [true, false]},"
        " rank: {sweep: {log_int: [2, 64], default: 8}}, target_modules: {sweep: [[q_proj], [q_proj, v_proj]]},"
        " batch_size: {sweep: {int: [4, 16]}}, schedule: {sweep: [linear, cosine]}}"
    )
    found = spaces(field)
    assert found == {
        "batch_size": Range(low=4, high=16, integer=True),
        "rank": Range(low=2, high=64, integer=True, log=True, default=8),
        "schedule": Choice(values=("linear", "cosine")),
        "target_modules": Choice(values=(["q_proj"], ["q_proj", "v_proj"])),
        "use_dora": Choice(values=(True, False)),
        "dropout": Range(low=0, high=0.3, when={"use_dora": (True,)}),
    }
    assert list(found) == ["batch_size", "rank", "schedule", "target_modules", "use_dora", "dropout"]


def test_recommended_spaces_and_a_field_of_ones_own():
    known = recommended_spaces("lora", {})
    assert spaces("{sweep: recommended}") == known
    own = spaces("{sweep: recommended, rank: {sweep: [4, 8]}}")
    assert own == {**known, "rank": Choice(values=(4, 8))}


def test_set_reaches_into_a_space():
    study = parse_study(TEXT, "t", ["methods.lora.learning_rate.sweep.log_uniform=[1e-3, 1e-1]", "sweep.num_trials=3"])
    assert study.methods[1].sweep["learning_rate"] == Range(low=1e-3, high=1e-1, log=True)
    assert study.sweep.num_trials == 3


@pytest.mark.parametrize(
    "change, message",
    [
        (
            "methods.lora.learning_rate={sweep: {log_uniform: [1e-3, 1e-3]}}",
            "methods.lora.learning_rate.sweep.log_uniform: the range 0.001 to 0.001 is empty",
        ),
        (
            "methods.lora.learning_rate={sweep: {uniform: [1e-2, 1e-3]}}",
            "methods.lora.learning_rate.sweep.uniform: the range 0.01 to 0.001 is inverted: give the lower bound first",
        ),
        ("methods.lora.learning_rate={sweep: {log_uniform: [0, 1]}}", "a logarithmic range starts above 0, got 0"),
        ("methods.lora.learning_rate={sweep: {uniform: [1e-4, .nan]}}", "must be a number, got '.nan'"),
        ("methods.lora.learning_rate={sweep: {uniform: [1e-4, .inf]}}", "must be a number, got '.inf'"),
        ("methods.lora.learning_rate={sweep: {uniform: [1e-4]}}", "must be two numbers, the lower and the upper bound"),
        ("methods.lora.learning_rate={sweep: {uniform: [a, b]}}", "must be a number, got 'a'"),
        ("methods.lora.learning_rate={sweep: {uniform: [0, 1e-3]}}", "must be greater than 0"),
        ("methods.lora.rank={sweep: [8]}", "methods.lora.rank.sweep must be a list of two values or more, got [8]"),
        ("methods.lora.rank={sweep: {categorical: 8}}", "must be a list of two values or more, got 8"),
        ("methods.lora.rank={sweep: {int: [1.5, 4]}}", "a range of whole numbers has whole bounds, got 1.5 to 4"),
        (
            "methods.lora.rank={sweep: {uniform: [2, 8]}}",
            "methods.lora.rank.sweep.between.rank must be a whole number, got 3.7",
        ),
        ("methods.lora.rnk={sweep: [4, 8]}", "methods.lora.rnk is not a field of Lora. Did you mean 'rank'?"),
        ("methods.full.rank={sweep: [4, 8]}", "methods.full.rank is not a field of Full."),
        (
            "methods.lora.learning_rate={sweep: {loguniform: [1e-4, 1e-3]}}",
            "must be a list of values, or one of uniform, log_uniform, int, log_int, categorical",
        ),
        (
            "methods.lora.learning_rate={sweep: {uniform: [1e-4, 1e-3], defualt: 1e-4}}",
            "sweep.defualt is no option of a sweep. Did you mean 'default'?",
        ),
        (
            "methods.lora.learning_rate={sweep: {uniform: [1e-4, 1e-3]}, default: 1e-4}",
            "methods.lora.learning_rate must hold `sweep` alone",
        ),
        (
            "methods.lora.dropout={sweep: {uniform: [0, 0.1], when: {rnk: [8]}}}",
            "methods.lora.dropout.sweep.when names 'rnk', which is not swept",
        ),
        (
            "methods.lora.dropout={sweep: {uniform: [0, 0.1], when: {dropout: [0]}}}",
            "methods.lora.dropout.sweep.when names 'dropout', which is not swept or depends on dropout in turn",
        ),
        (
            "methods.lora.dropout={sweep: {uniform: [0, 0.1], when: {learning_rate: [1e-3]}}}",
            "methods.lora.dropout.sweep.when: learning_rate is never 0.001 in this sweep",
        ),
        ("methods.lora={sweep: best}", "methods.lora.sweep must be the word recommended, got 'best'"),
        (
            "methods.lora={sweep: recommended, learning_rate: 1e-3}",
            "methods.lora.learning_rate is fixed at 0.001, and methods.lora.sweep: recommended searches it. Drop one",
        ),
        (
            "methods.vera={type: peft, config_class: VeraConfig, sweep: recommended}",
            "methods.vera.sweep: no space is recommended for peft with these fields",
        ),
        ("methods.lora.evaluate_every={sweep: [1, 2]}", "methods.lora.evaluate_every cannot be swept"),
        ("sweep.wave_size=7", "wave_size 7 is more than num_trials 6"),
        ("sweep.num_trials=0", "sweep.num_trials must be greater than or equal to 1, got 0"),
        ("sweep.num_trials=100000000", "sweep.num_trials must be less than or equal to 10000"),
        ("sweep.num_trails=3", "sweep.num_trails is not a field of SweepSettings. Did you mean 'num_trials'?"),
        ("sweep.num_trials=null", "sweep.num_trials is missing: methods.full.learning_rate.sweep is searched by tpe"),
        ("sweep.sampler=grid", "methods.full.learning_rate.sweep is a range, and sweep.sampler grid needs lists"),
        ("sweep.sampler=bayes", "sweep.sampler must be 'grid', 'random', 'tpe', 'qmc' or 'cmaes', got 'bayes'"),
        ("sweep.pruner=medain", "sweep.pruner.name must be 'median'"),
        ("sweep.pruner={name: percentile, percentile: 100}", "sweep.pruner.percentile must be less than 100"),
        (
            "methods.lora.alpha={sweep: [8, 16]}",
            "methods.lora sweeps alpha and learning_rate together, though both scale the same update",
        ),
        ("methods.full={learning_rate: 1e-5}", "methods lora are tuned and full not"),
        ("methods.lora.epochs=9", "trials on mrpc read different numbers of examples: full 3 epochs, lora 9 epochs"),
        ("methods.lora.epochs={sweep: [2, 3]}", "epochs is swept for lora and not for full"),
    ],
)
def test_a_mistake_has_one_clear_message(change, message):
    found = [one for one in problems(change) if message in one]
    assert len(found) == 1, problems(change)


def test_settings_of_a_sweep_without_one_are_a_mistake():
    (told,) = problems("methods.lora={}", "methods.full={}")
    assert told.startswith("sweep.num_trials is given, and no method has a swept field")


def test_grids_must_be_finite_alike_and_as_long_as_asked():
    text = TEXT.replace("{log_uniform: [1e-5, 1e-3]}", "[1e-5, 2e-5]").replace(
        "{log_uniform: [1e-4, 1e-2]}", "[1e-4, 2e-4]"
    )
    told, same = problems("sweep={sampler: grid, num_trials: 3}", text=text)
    assert told.startswith("sweep.num_trials is 3, and the grid of full has 2 combinations. Drop num_trials")
    assert same == told.replace("full", "lora")
    (told,) = problems("sweep={}", "methods.lora.rank={sweep: [4, 8]}", text=text)
    assert told.startswith("methods are tuned with different numbers of trials: full 2, lora 4. Tune all alike")
    long = "{sweep: [" + ", ".join(map(str, range(1, 200))) + "]}"
    (told,) = problems(
        "sweep={}",
        f"methods.full.batch_size={long}",
        f"methods.full.warmup_share={{sweep: [{', '.join(str(i / 100) for i in range(100))}]}}",
        text=text,
    )
    assert told.startswith("the grid of full has more than 10,000 combinations")
    assert parse_study(text, "t", ["sweep={}"]).sweep.num_trials is None


def test_what_is_allowed_when_it_is_said():
    unequal = "sweep.allow_unequal_budgets=true"
    for change in (
        "methods.full={learning_rate: 1e-5}",
        "methods.lora.epochs=9",
        "methods.lora.epochs={sweep: [2, 3]}",
    ):
        assert parse_study(TEXT, "t", [change, unequal]).sweep.allow_unequal_budgets
    parse_study(TEXT, "t", ["methods.lora.alpha={sweep: [8, 16]}", "sweep.allow_alpha_with_learning_rate=true"])


def test_epochs_in_different_spaces_are_different_budgets():
    epochs = ["methods.full.epochs={sweep: [1, 2]}", "methods.lora.epochs={sweep: [1, 9]}"]
    (told,) = problems(*epochs)
    assert told.startswith("full, lora search epochs in different spaces, so that some read more than others")
    parse_study(TEXT, "t", [epochs[0], "methods.lora.epochs={sweep: [1, 2]}"])


def test_a_batch_size_changes_the_budget_only_where_steps_are_counted():
    swept = "methods.lora.batch_size={sweep: [8, 16]}"
    assert parse_study(TEXT, "t", [swept]).methods[1].sweep["batch_size"].values == (8, 16)
    assert any("batch_size is swept for lora and not for full" in one for one in problems(swept, "training.steps=9"))


def test_cmaes_needs_its_package(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "cmaes" else real(name, *more))
    assert set(problems("sweep.sampler=cmaes")) == {
        "sweep.sampler cmaes needs the package cmaes. Install it: pip install cmaes"
    }


def test_set_changes_one_method_where_the_file_uses_an_anchor_for_two():
    text = TEXT.replace("{sweep: {log_uniform: [1e-5, 1e-3]}}", "&rate {sweep: {log_uniform: [1e-5, 1e-3]}}").replace(
        "{sweep: {log_uniform: [1e-4, 1e-2]}}", "*rate"
    )
    changes = ["methods.full.learning_rate.sweep.log_uniform=[1e-6, 1e-4]"]
    full, lora = parse_study(text, "t", changes).methods
    assert (full.sweep["learning_rate"].low, lora.sweep["learning_rate"].low) == (1e-6, 1e-5)

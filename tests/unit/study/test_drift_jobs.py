"""Which jobs of drift and retention follow from a study, and what makes them anew."""

from __future__ import annotations

from collections import Counter

from tunescope.study.load import parse_study
from tunescope.study.plan import make_plan

TEXT = """
name: t
base_models: [org/decoder, org/encoder]
tasks: [mrpc, rte]
methods:
  full: {learning_rate: 1e-5}
  lora: {rank: 8, learning_rate: 2e-4}
seeds: [1, 2, 3]
"""
DRIFT, RETENTION = "drift: {}\n", "retention: {texts: [{name: plain, file: plain.txt}]}\n"


def plan(text=TEXT + DRIFT, *changes):
    study = parse_study(text, "t", changes)
    return make_plan(
        study, {model.name: "encoder" not in model.name for model in study.base_models}, {"plain.txt": "ab"}
    )


def ids(one):
    return {cell.job.label: cell.job.id for cell in one.drift}


def kinds(one):
    return Counter(cell.what for cell in one.drift)


def test_nothing_is_measured_unless_asked_for():
    assert plan(TEXT).drift == ()


def test_a_job_per_run_a_chain_of_seeds_per_method_and_controls_once_per_model_and_task():
    made = plan()
    assert kinds(made) == {"run": 24, "seeds": 2 * 2 * 2 * 2, "controls": 4}
    assert {cell.seeds for cell in made.drift if cell.what == "seeds"} == {(1, 2), (2, 3)}
    assert len({cell.job.id for cell in made.drift}) == len(made.drift)
    assert {cell.job.id for cell in made.drift} <= {job.id for job in made.jobs}
    assert len(set(ids(made))) == len(made.drift), "every label is its own"
    controls = next(cell for cell in made.drift if cell.what == "controls").job.config
    assert list(controls.untrained) == ["lora"], "full has nothing that is untrained"
    assert set(controls.controls) == {"base_again", "untrained", "shuffled", "random_network", "bf16"}


def test_retention_is_of_decoders_alone():
    made = plan(TEXT + RETENTION)
    assert kinds(made) == {"retention": 12}
    assert {cell.base_model for cell in made.drift} == {"org/decoder"}


def test_controls_that_are_not_asked_for_are_no_jobs():
    assert kinds(plan(TEXT + DRIFT, "drift.controls=[]")) == {"run": 24}
    assert kinds(plan(TEXT + DRIFT, "drift.controls=[seeds]")) == {"run": 24, "seeds": 16}
    alone = plan(TEXT + DRIFT, "drift.controls=[random_update]")
    assert kinds(alone) == {"run": 24}
    assert all(cell.job.config.random_update for cell in alone.drift)
    only_full = TEXT.replace("  lora: {rank: 8, learning_rate: 2e-4}\n", "") + DRIFT
    assert kinds(plan(only_full, "drift.controls=[untrained]")) == {"run": 12}, "no method has an untrained adapter"


def test_a_change_makes_those_jobs_anew_that_it_bears_on():
    before = ids(plan())

    def changed(*changes):
        after = ids(plan(TEXT + DRIFT, *changes))
        return Counter(
            "controls" if "controls" in label else "seeds" if "-to-" in label else "run"
            for label in before
            if after[label] != before[label]
        )

    everything = Counter({"run": 24, "seeds": 16, "controls": 4})
    assert changed("drift.pooling=[mean]") == everything
    assert changed("drift.num_examples=100") == everything
    assert changed("drift.layer_pairs=false") == {"run": 24}
    assert changed("drift.weights=false") == {"run": 24}
    assert changed("methods.lora.rank=4") == {"run": 12, "seeds": 8, "controls": 4}
    assert changed("seeds=[1, 2, 3, 4]") == {}
    assert changed("compute.evaluation_batch_tokens=64") == {}


def test_a_texts_bytes_count_and_its_path_does_not():
    study = parse_study(TEXT + RETENTION, "t", ())
    decoders = {model.name: "encoder" not in model.name for model in study.base_models}
    one, other = (make_plan(study, decoders, {"plain.txt": told}) for told in ("ab", "cd"))
    assert not set(ids(one).values()) & set(ids(other).values())
    renamed = parse_study((TEXT + RETENTION).replace("plain.txt", "other/name.txt"), "t", ())
    assert ids(make_plan(renamed, decoders, {"other/name.txt": "ab"})) == ids(one)

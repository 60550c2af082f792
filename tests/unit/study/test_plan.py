"""Which jobs follow from a study, and which of them a change makes anew: exactly those below it."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tunescope.cost.architecture import KNOWN
from tunescope.cost.devices import DEVICES
from tunescope.study.estimate import estimate
from tunescope.study.load import parse_study
from tunescope.study.plan import Plan, baselines_left_out, make_plan

TEXT = """
name: t
base_model: org/decoder
tasks: [mrpc, rte]
methods:
  full: {learning_rate: 1e-5}
  lora: {rank: 8, learning_rate: 2e-4}
seeds: [1, 2]
"""


def plan(*changes: str, text: str = TEXT) -> Plan:
    study = parse_study(text, "t", changes)
    return make_plan(study, {model.name: "encoder" not in model.name for model in study.base_models})


def ids(one: Plan) -> dict[str, str]:
    return {job.label: job.id for job in one.jobs}


def changed_labels(*changes: str) -> set[str]:
    before, after = ids(plan()), ids(plan(*changes))
    assert before.keys() == after.keys()
    return {label for label in before if before[label] != after[label]}


def test_every_cell_has_a_training_and_an_evaluation() -> None:
    made = plan()
    assert len(made.runs) == 8
    kinds = [job.kind for job in made.jobs]
    assert kinds.count("train") == kinds.count("evaluate") == 8
    assert kinds.count("baseline") == 2 * 4
    assert len({job.id for job in made.jobs}) == len(made.jobs)


def test_inputs_come_before_what_needs_them() -> None:
    seen: set[str] = set()
    for job in plan("methods.lora.rank={sweep: [4, 8]}", "sweep.allow_unequal_budgets=true").jobs:
        assert all(needed.id in seen for needed in job.inputs.values())
        seen.add(job.id)


@pytest.mark.parametrize(
    "changes, told",
    [
        (("base_model=org/encoder",), ["no baseline zero_shot for mrpc, rte: org/encoder is no decoder"]),
        (("tasks.0.label_words=null",), ["no baseline zero_shot for mrpc: the task has no label_words"]),
        (
            ("tasks.1.references=[]",),
            ["no baseline reference for rte: the task cites no published figure (references)"],
        ),
        ((), []),
    ],
)
def test_a_baseline_that_was_named_and_is_left_out_is_told(changes: tuple[str, ...], told: list[str]) -> None:
    def left_out(*more: str) -> list[str]:
        made = plan(*changes, *more)
        there = {(cell.baseline, cell.task.name, cell.base_model) for cell in made.baselines}
        return baselines_left_out(made.study, there)

    assert left_out("baselines=[majority, reference, zero_shot]") == told
    assert left_out() == [], "without a list of one's own each task has what it can have"


def test_an_encoder_has_no_zero_shot() -> None:
    made = plan("base_model=org/encoder")
    assert {cell.baseline for cell in made.baselines} == {"majority", "random", "reference"}


@pytest.mark.parametrize(
    "change",
    [
        "question=why",
        "tasks.0.description=x",
        "tasks.0.license=x",
        "compute.micro_batch_tokens=99",
        "logs=x",
        "tasks.0.references=[]",
    ],
)
def test_what_does_not_bear_on_a_result_changes_no_run(change: str) -> None:
    before, after = plan(), plan(change)
    assert [run.evaluate.id for run in before.runs] == [run.evaluate.id for run in after.runs]


def test_a_limit_that_only_refuses_broken_files_changes_no_job() -> None:
    assert changed_labels("tasks.mrpc.max_characters=60000") == set()


def test_a_setting_changes_exactly_the_jobs_below_it() -> None:
    assert changed_labels("methods.lora.rank=16") == {
        f"{task}-lora-seed{seed}{end}" for task in ("mrpc", "rte") for seed in (1, 2) for end in ("", "-evaluate")
    }
    assert changed_labels("tasks.rte.max_report=100") == {
        *(f"rte-{method}-seed{seed}-evaluate" for method in ("full", "lora") for seed in (1, 2)),
        *(f"rte-{baseline}" for baseline in ("majority", "random", "reference", "zero_shot")),
        "rte-examples",
    }
    assert changed_labels("overrides=[{tasks: [rte], methods: [full], training: {epochs: 9}}]") == {
        f"rte-full-seed{seed}{end}" for seed in (1, 2) for end in ("", "-evaluate")
    }
    assert all("mrpc" in label for label in changed_labels("tasks.mrpc.max_length=64"))


def test_the_files_bytes_are_part_of_identity() -> None:
    text = TEXT.replace(
        "[mrpc, rte]",
        "[{name: mine, kind: classification, labels: [a, b], dataset: {files: {train: t.csv, validation: v.csv}}}]",
    )
    study = parse_study(text, "t")
    one = make_plan(study, {"org/decoder": True}, {"t.csv": "1", "v.csv": "1"})
    other = make_plan(study, {"org/decoder": True}, {"t.csv": "1", "v.csv": "2"})
    assert [run.train.id for run in one.runs] == [run.train.id for run in other.runs]
    assert not {run.evaluate.id for run in one.runs} & {run.evaluate.id for run in other.runs}


def test_names_and_paths_are_no_part_of_identity_and_bytes_and_endings_are() -> None:
    def ids(name: str, train: str, digest: str = "1", more: str = "") -> list[str]:
        files = f"{{train: {train}, validation: v.csv{more}}}"
        task = f"{{name: {name}, kind: classification, labels: [a, b], dataset: {{files: {files}}}}}"
        made = make_plan(
            parse_study(TEXT.replace("[mrpc, rte]", f"[{task}]"), "t"),
            {"org/decoder": True},
            {train: digest, "v.csv": "2", "t.csv": "3"},
        )
        return [job.id for job in made.jobs]

    before = ids("mine", "a.csv")
    assert ids("yours", "elsewhere/b.csv") == before
    assert ids("mine", "a.csv", more=", test: t.csv") == before
    assert ids("mine", "a.csv", digest="9") != before
    assert ids("mine", "a.jsonl") != before


def test_the_default_number_of_epochs_is_the_same_as_that_number() -> None:
    by_default = TEXT.replace("epochs: 2, ", "").replace("epochs: 2", "").replace("training: {}", "")
    assert [job.id for job in plan(text=by_default).jobs] == [
        job.id for job in plan("training.epochs=3", text=by_default).jobs
    ]


def test_a_file_without_a_hash_is_our_own_mistake() -> None:
    files = "{train: t.csv, validation: v.csv}"
    task = f"{{name: mine, kind: classification, labels: [a, b], dataset: {{files: {files}}}}}"
    with pytest.raises(AssertionError, match="no SHA-256 was given for"):
        make_plan(parse_study(TEXT.replace("[mrpc, rte]", f"[{task}]"), "t"), {"org/decoder": True}, {"v.csv": "1"})


def test_a_sweep_puts_its_trials_before_the_runs() -> None:
    made = plan("methods.lora.learning_rate={sweep: [1e-4, 2e-4, 4e-4]}", "sweep.allow_unequal_budgets=true")
    trials = [job for job in made.jobs if job.about.get("role") == "trial"]
    assert len(trials) == 2 * 3
    assert {job.kind for job in trials} == {"trial"}
    assert all(set(job.inputs) == {"proposals"} for job in trials)
    run = next(run for run in made.runs if run.method == "lora")
    assert set(run.train.inputs) == {"selected"}
    assert set(run.train.inputs["selected"].inputs) == {"previous", "trial_0_0", "trial_1_0", "trial_2_0"}
    (proposals,) = {
        id(job.inputs["proposals"]): job.inputs["proposals"] for job in trials if "mrpc" in job.label
    }.values()
    assert proposals.inputs == {}
    assert run.train.inputs["selected"].inputs["previous"] is proposals


def test_a_trial_leaves_no_weights_on_disk() -> None:
    text = TEXT.replace("org/decoder", "TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T")
    made = plan("methods.full.learning_rate={sweep: [1e-5, 2e-5]}", "sweep.allow_unequal_budgets=true", text=text)
    name = made.study.base_models[0].name
    told = {job.label: job.resources.disk_gib for job in estimate(made, {name: KNOWN[name]}, DEVICES["L4"]).jobs}
    assert told["mrpc-full-trial0"] == pytest.approx(0.0, abs=0.01)
    assert told["mrpc-full-seed1"] == pytest.approx(1_034_512_384 * 4 / 2**30, rel=0.01)


def test_a_base_model_is_read_once_for_all_that_drift() -> None:
    made = plan("drift={num_examples: 5}")
    represent = {job.label: job for job in made.jobs if job.kind == "represent"}
    assert list(represent) == ["mrpc-represent", "rte-represent"]
    for cell in made.drift:
        base = cell.job.inputs.get("base")
        assert (base is None) == (cell.what == "seeds")
        assert base in (None, represent[f"{cell.task.name}-represent"])
    order = [job.kind for job in made.jobs]
    assert max(place for place, kind in enumerate(order) if kind == "represent") < order.index("train")
    assert not any(job.kind == "represent" for job in plan().jobs)


def test_what_is_kept_of_states_makes_other_jobs_of_drift_and_of_nothing_else() -> None:
    def ids(*changes: str) -> dict[str, str]:
        return {job.label: job.id for job in plan("drift={controls: [bf16]}", *changes).jobs}

    nothing, base, runs = ids(), ids("drift.keep_representations=base"), ids("drift.keep_representations=true")
    changed = {label for label in nothing if nothing[label] != base[label]}
    assert changed == {label for label in nothing if label.endswith(("-represent", "-drift", "-drift-controls"))}
    assert {label for label in base if base[label] != runs[label]} == {
        label for label in nothing if label.endswith("-drift")
    }


def test_ten_thousand_jobs_are_planned_in_seconds() -> None:
    began = time.perf_counter()
    made = plan(f"seeds={list(range(1250))}")
    assert len({job.id for job in made.jobs}) >= 10_000
    assert time.perf_counter() - began < 30  # a guard against a quadratic planner; the figure stands in benchmarks/


def test_a_long_sweep_walks_each_of_its_jobs_once() -> None:
    # Every wave has the one before it as an input: walked again and again, 200 trials would outlast any patience.
    space = "methods={full: {learning_rate: {sweep: {log_uniform: [1e-5, 1e-3]}}}}"
    made = plan(space, "sweep={num_trials: 200}", "tasks=[mrpc]")
    assert len({job.id for job in made.jobs}) == len(made.jobs)
    assert sum(job.kind == "trial" for job in made.jobs) == 200


def test_planning_imports_no_deep_learning_library() -> None:
    code = (
        "import sys; from tunescope.study.load import parse_study; from tunescope.study.plan import make_plan;"
        f"s = parse_study({TEXT!r}, 't'); p = make_plan(s, {{'org/decoder': True}}); [j.id for j in p.jobs];"
        "print([m for m in ('torch', 'transformers', 'peft', 'datasets', 'sklearn', 'scipy') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"

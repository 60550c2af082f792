import subprocess
import sys
import time

import pytest

from tunescope.cost.architecture import KNOWN
from tunescope.cost.devices import DEVICES
from tunescope.methods import AnyPeft, Full, HeadOnly, Lora
from tunescope.models.base import BaseModelSpec
from tunescope.search.space import Choice
from tunescope.study.drift import DriftSettings, RetentionSettings
from tunescope.study.estimate import estimate, estimate_jobs, explain, num_training_rows
from tunescope.study.plan import Plan, make_plan
from tunescope.study.spec import Compute, MethodEntry, StudySpec
from tunescope.tasks.spec import Classification, Dataset, Expected, QuestionAnswering, TaskSpec

TINYLLAMA = "TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T"
L4 = DEVICES["L4"]
DECODERS = {TINYLLAMA: True}


def _task(name: str = "mrpc", **changes: object) -> Classification:
    given: dict[str, object] = {
        "dataset": Dataset(hub="nyu-mll/glue", config=name),
        "labels": ("no", "yes"),
        "label_words": (" no", " yes"),
        "max_length": 128,
        "expected": Expected(num_train=3668, num_report=408, mean_tokens=75),
    }
    return Classification(name=name, **(given | changes))  # type: ignore[arg-type]


def _study(*tasks: TaskSpec, methods: tuple[MethodEntry, ...] | None = None, **changes: object) -> StudySpec:
    given: dict[str, object] = {
        "name": "demo",
        "base_models": (BaseModelSpec(name=TINYLLAMA),),
        "tasks": tasks or (_task(),),
        "methods": methods or (MethodEntry(name="full", method=Full()), MethodEntry(name="lora", method=Lora(rank=8))),
        "seeds": (1, 2),
        "drift": DriftSettings(keep_representations="base", controls=()),
    }
    return StudySpec(**(given | changes))  # type: ignore[arg-type]


def _estimated(study: StudySpec) -> Plan:
    return estimate(make_plan(study, DECODERS), KNOWN, L4)


def _one(plan: Plan, label: str) -> tuple[float, float, float]:
    resources = next(job for job in plan.jobs if job.label == label).resources
    assert resources.predicted_s is not None
    assert resources.memory_gib is not None
    assert resources.disk_gib is not None
    return resources.predicted_s, resources.memory_gib, resources.disk_gib


def test_every_job_gets_time_memory_and_disk_and_stays_itself() -> None:
    before = make_plan(_study(), DECODERS)
    after = estimate(before, KNOWN, L4)
    assert [job.id for job in after.jobs] == [job.id for job in before.jobs]
    assert all(job.resources.predicted_s is not None and job.resources.memory_gib is not None for job in after.jobs)
    assert all(job.resources.predicted_s is None for job in before.jobs), "the plan given is not changed"
    full, lora = _one(after, "mrpc-full-seed1"), _one(after, "mrpc-lora-seed1")
    assert full[0] > lora[0]
    assert full[1] > 15.4, "16 bytes a parameter, before activations"
    assert lora[1] < full[1] - 12.0, "no gradients, no moments"
    assert full[2] > 3.8 > 0.01 > lora[2]


def test_probes_have_time_and_memory_and_their_cells_the_same_jobs() -> None:
    study = _study(_task(), _task("rte"), retention=RetentionSettings(probes=True))
    plan = _estimated(study)
    jobs = {id(job) for job in plan.jobs}
    assert len(plan.probes) == 2 * (1 + 2 * 2)
    assert all(id(cell.job) in jobs for cell in plan.probes)
    base, run = _one(plan, "mrpc-base-probe"), _one(plan, "rte-lora-seed1-probe-mrpc")
    assert base == run
    more = _one(
        _estimated(study.model_copy(update={"retention": RetentionSettings(probes=True, probe_examples=3000)})),
        "mrpc-base-probe",
    )
    assert more[0] > base[0]


def test_shared_jobs_stay_shared() -> None:
    swept = MethodEntry(name="lora", method=Lora(rank=8), sweep={"learning_rate": Choice(values=(1e-4, 3e-4))})
    plan = _estimated(_study(methods=(swept,)))
    selects = {id(job) for job in plan.jobs if job.kind == "select"}
    assert len(selects) == 1
    assert {id(run.train.inputs["selected"]) for run in plan.runs} == selects
    assert all(run.evaluate.inputs["run"] is run.train for run in plan.runs)
    members = {id(job) for job in plan.jobs}
    assert all(id(needed) in members for job in plan.jobs for needed in job.inputs.values())
    assert {id(run.train) for run in plan.runs} | {id(cell.job) for cell in plan.baselines} <= members


def test_caps_and_selection_rows_count() -> None:
    assert num_training_rows(_task()) == (3668 - 367, 367)
    assert num_training_rows(_task(max_selection=100)) == (3568, 100)
    assert num_training_rows(_task(max_train=500)) == (500, 367)
    whole, capped = _estimated(_study(_task())), _estimated(_study(_task(max_train=500, max_report=50)))
    assert _one(capped, "mrpc-full-seed1")[0] < _one(whole, "mrpc-full-seed1")[0] / 3
    assert _one(capped, "mrpc-full-seed1-evaluate")[0] < _one(whole, "mrpc-full-seed1-evaluate")[0]
    few, all_rows = (_one(plan, "mrpc-represent")[2] for plan in (capped, whole))
    assert few == pytest.approx(all_rows * 50 / 408, rel=1e-3)


@pytest.mark.parametrize(
    "said, of_base, of_run", [(False, 0, 0), ("base", 2, 0), (True, 2, 2)], ids=("nothing", "base", "all")
)
def test_kept_states_are_counted_where_they_will_lie(said: bool | str, of_base: int, of_run: int) -> None:
    asked = {"keep_representations": said, "pooling": ["last_token", "mean"], "controls": ["seeds"]}
    plan = _estimated(_study(drift=DriftSettings.model_validate(asked)))
    each = 4 * 408 * 2048 * 24 / 2**30  # examples x features x states
    assert _one(plan, "mrpc-represent")[2] == pytest.approx(of_base * each, rel=0.01, abs=1e-3)
    assert _one(plan, "mrpc-full-seed1-drift")[2] == pytest.approx(of_run * each, rel=0.01, abs=2e-3)
    assert _one(plan, "mrpc-full-seed1-to-seed2-drift")[2] < 2e-3


def test_a_base_model_that_was_kept_is_not_read_for_every_run() -> None:
    def seconds(**said: object) -> float:
        return _one(_estimated(_study(drift=DriftSettings.model_validate(said))), "mrpc-full-seed1-drift")[0]

    read = seconds()
    assert seconds(keep_representations="base") < read
    tokens = {"pooling": ["mean", "all_tokens"]}
    assert seconds(keep_representations="base", **tokens) == seconds(**tokens), "single tokens are never kept"


def test_long_contexts_are_cut_into_windows() -> None:
    def qa(**changes: object) -> QuestionAnswering:
        given: dict[str, object] = {
            "dataset": Dataset(hub="rajpurkar/squad_v2"),
            "max_length": 384,
            "expected": Expected(num_train=130_319, num_report=11_873, mean_tokens=225),
        }
        return QuestionAnswering(name="squad_v2", **(given | changes))  # type: ignore[arg-type]

    whole = _one(_estimated(_study(qa())), "squad_v2-lora-seed1-evaluate")[0]
    windows = _one(_estimated(_study(qa(max_length=160))), "squad_v2-lora-seed1-evaluate")[0]
    assert windows > whole * 1.1, "overlapping windows read some tokens twice"


def test_a_smaller_vocabulary_makes_longer_rows() -> None:
    """English needs 4.0 characters a token with 32,000 pieces, 1.6 with 512."""
    from dataclasses import replace

    small = {TINYLLAMA: replace(KNOWN[TINYLLAMA], vocab=512)}
    plan = make_plan(_study(_task(max_length=512)), DECODERS)
    usual = _one(estimate(plan, KNOWN, L4), "mrpc-full-seed1-evaluate")[0]
    longer = _one(estimate(plan, small, L4), "mrpc-full-seed1-evaluate")[0]
    assert longer > usual * 1.3


def test_what_is_not_known_is_none_and_said() -> None:
    methods = (
        MethodEntry(name="full", method=Full()),
        MethodEntry(name="oft", method=AnyPeft(config_class="OFTConfig")),
    )
    study = _study(_task(), _task("rte", expected=None), methods=methods)
    plan = make_plan(study, DECODERS)
    by_label = dict(zip([job.label for job in plan.jobs], estimate_jobs(plan, KNOWN, L4), strict=True))
    assert by_label["mrpc-full-seed1"].prediction is not None
    assert by_label["mrpc-oft-seed1"].prediction is None
    assert "method 'peft'" in by_label["mrpc-oft-seed1"].missing
    assert "task rte does not say what it holds" in by_label["rte-full-seed1"].missing
    said = explain(plan, {TINYLLAMA: None}, L4)
    assert any(
        line.startswith("no prediction for") and f"the architecture of {TINYLLAMA} is not known" in line
        for line in said
    )
    after = estimate(plan, {}, L4)
    assert {job.resources.predicted_s is None for job in after.jobs if job.kind == "train"} == {True}
    assert {job.resources.predicted_s is None for job in after.jobs if job.label == "mrpc-majority"} == {False}


def test_assumptions_are_said_once() -> None:
    said = explain(make_plan(_study(), DECODERS), KNOWN, L4)
    assert len(said) == len(set(said))
    assert any("40% of L4's peak" in line for line in said)


def test_precision_and_checkpointing_reach_the_prediction() -> None:
    plain = _study()
    fast = plain.model_copy(update={"training": plain.training.updated({"precision": "bf16"})})
    assert _one(_estimated(fast), "mrpc-full-seed1")[0] < _one(_estimated(plain), "mrpc-full-seed1")[0]
    assert (
        _one(_estimated(fast), "mrpc-full-seed1-evaluate")[0] < _one(_estimated(plain), "mrpc-full-seed1-evaluate")[0]
    )
    saving = plain.model_copy(update={"compute": Compute(gradient_checkpointing=True)})
    assert _one(_estimated(saving), "mrpc-lora-seed1")[1] < _one(_estimated(plain), "mrpc-lora-seed1")[1]


def test_dropout_of_the_study_counts() -> None:
    """Without attention dropout a CPU's fused kernel keeps no scores."""
    bert = BaseModelSpec(name="bert-base-uncased")
    still = bert.model_copy(update={"dropout": 0.0})
    memory = [
        _one(
            estimate(make_plan(_study(base_models=(model,)), {model.name: False}), KNOWN, DEVICES["cpu"]),
            "mrpc-full-seed1",
        )[1]
        for model in (bert, still)
    ]
    assert memory[1] < memory[0] - 1.0


def test_zero_shot_reads_the_rows_once_for_each_label_word() -> None:
    two = _one(_estimated(_study(_task())), "mrpc-zero_shot")
    four = _one(_estimated(_study(_task(labels=tuple("abcd"), label_words=tuple("abcd")))), "mrpc-zero_shot")
    scored = _one(_estimated(_study(_task())), "mrpc-full-seed1-evaluate")
    assert four[0] - two[0] > scored[0] - 7.5 > 0.0
    assert two[1] > scored[1] + 1.0, "logits over the vocabulary"


def test_ten_thousand_jobs_in_seconds_and_without_torch() -> None:
    methods = (
        MethodEntry(name="full", method=Full()),
        MethodEntry(name="lora", method=Lora(rank=8)),
        MethodEntry(name="head", method=HeadOnly()),
    )
    tasks = tuple(_task(f"t{number}") for number in range(10))
    plan = make_plan(_study(*tasks, methods=methods, seeds=tuple(range(170))), DECODERS)
    assert len(plan.jobs) > 10_000
    began = time.perf_counter()
    estimate(plan, KNOWN, L4)
    assert time.perf_counter() - began < 4.0, "about 1 s on an idle core"
    code = "import sys, tunescope.study.estimate, tunescope.study.placement; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

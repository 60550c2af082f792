import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunescope.cost.predict import WORKER_START_S, Prediction
from tunescope.errors import StudyError
from tunescope.methods import Full, Lora
from tunescope.models.base import BaseModelSpec
from tunescope.search.space import Choice
from tunescope.study.configs import BaselineConfig
from tunescope.study.drift import DriftSettings
from tunescope.study.job import Job, Resources
from tunescope.study.placement import Placement, place
from tunescope.study.plan import Plan, make_plan
from tunescope.study.spec import MethodEntry, Pin, StudySpec
from tunescope.tasks.spec import Classification, Dataset


def _task(name: str) -> Classification:
    return Classification(name=name, dataset=Dataset(hub="nyu-mll/glue", config=name), labels=("no", "yes"))


DECODERS = {"org/m0": False, "org/m1": False}

TASKS = tuple(_task(name) for name in ("mrpc", "sst2", "squad", "rte"))


def _study(
    pins: tuple[Pin, ...] = (),
    methods: tuple[MethodEntry, ...] | None = None,
    num_models: int = 1,
    drift: DriftSettings | None = None,
) -> StudySpec:
    return StudySpec(
        name="demo",
        base_models=tuple(BaseModelSpec(name=f"org/m{number}") for number in range(num_models)),
        tasks=TASKS,
        methods=methods or (MethodEntry(name="full", method=Full()), MethodEntry(name="lora", method=Lora())),
        seeds=(1, 2, 3),
        drift=drift,
        placement=pins,
    )


def _timed(plan: Plan, seconds: dict[str, float]) -> Plan:
    """The plan with a time for every kind of job, in the manner of `estimate`."""
    new: dict[int, Job] = {}
    for job in plan.jobs:
        resources = Resources(predicted_s=seconds[job.kind], memory_gib=1.0, disk_gib=0.5)
        inputs = {role: new[id(needed)] for role, needed in job.inputs.items()}
        new[id(job)] = replace(job, inputs=inputs, resources=resources)
    return replace(plan, jobs=tuple(new.values()))


SECONDS = {
    "train": 100.0,
    "trial": 90.0,
    "evaluate": 10.0,
    "baseline": 1.0,
    "represent": 5.0,
    "drift": 6.0,
    "drift_controls": 7.0,
    "examples": 1.0,
    "propose": 1.0,
    "select": 1.0,
}


def _of_times(times: list[float]) -> Plan:
    """A plan of unconnected jobs that take so long."""
    jobs = [
        Job(
            label=f"job{number}",
            config=BaselineConfig(baseline="random", task=TASKS[0], seeds=(number,)),
            about={"task": "mrpc"},
            resources=Resources(predicted_s=seconds),
        )
        for number, seconds in enumerate(times)
    ]
    return Plan(study=_study(), jobs=tuple(jobs), runs=(), baselines=())


def _worker_of(placement: Placement) -> dict[str, int]:
    return {job.label: worker.number for worker in placement.workers for job in worker.jobs}


def test_every_job_has_one_worker_and_inputs_come_first() -> None:
    swept = MethodEntry(name="lora", method=Lora(), sweep={"learning_rate": Choice(values=(1e-4, 3e-4))})
    plan = _timed(make_plan(_study(methods=(MethodEntry(name="full", method=Full()), swept)), DECODERS), SECONDS)
    placement = place(plan, 3)
    placed = [job for worker in placement.workers for job in worker.jobs]
    assert sorted(map(id, placed)) == sorted(map(id, plan.jobs))
    for worker in placement.workers:
        seen: set[int] = set()
        for job in worker.jobs:
            assert all(id(needed) in seen for needed in job.inputs.values())
            seen.add(id(job))
    assert place(plan, 3) == placement, "deterministic"


def test_sums_of_a_worker() -> None:
    placement = place(_timed(make_plan(_study(), DECODERS), SECONDS), 2)
    for worker in placement.workers:
        assert worker.predicted_s == pytest.approx(WORKER_START_S + sum(SECONDS[job.kind] for job in worker.jobs))
        assert worker.memory_gib == 1.0
        assert worker.disk_gib == pytest.approx(0.5 * len(worker.jobs))
    assert placement.makespan_s == max(
        worker.predicted_s for worker in placement.workers if worker.predicted_s is not None
    )
    assert placement.notes == ()


def test_the_reference_study_pins_its_three_workers() -> None:
    runs = ("train", "evaluate", "drift")
    once = ("baseline", "represent", "drift_controls")
    pins = (
        Pin(worker=1, tasks=("mrpc", "sst2"), steps=runs),
        Pin(worker=2, tasks=("squad", "rte"), steps=runs),
        Pin(worker=3, steps=once),
    )
    placement = place(_timed(make_plan(_study(pins, drift=DriftSettings()), DECODERS), SECONDS), 3)
    for worker in placement.workers:
        kinds, tasks = {job.kind for job in worker.jobs}, {job.about["task"] for job in worker.jobs}
        if worker.number == 3:
            assert kinds >= set(once), "the last pin that fits wins"
            assert not kinds & set(runs)
        else:
            assert kinds >= set(runs)
            assert not kinds & set(once)
            assert tasks == {1: {"mrpc", "sst2"}, 2: {"squad", "rte"}}[worker.number]


def test_a_base_model_that_is_read_for_all_runs_of_a_task_ties_none_of_them_together() -> None:
    plan = _timed(make_plan(_study(drift=DriftSettings()), DECODERS), SECONDS)
    placement = place(plan, 3)
    seconds = [worker.predicted_s or 0.0 for worker in placement.workers]
    assert max(seconds) <= 4 / 3 * sum(seconds) / 3
    (note,) = placement.notes
    assert note.endswith("one that does not share the store makes them again, which is not in its time")
    assert "(represent) needed on other workers too" in note
    assert place(plan, 1).notes == ()


def test_what_no_pin_names_balances_around_it() -> None:
    placement = place(_timed(make_plan(_study((Pin(worker=2, tasks=("mrpc",)),)), DECODERS), SECONDS), 2)
    where = _worker_of(placement)
    assert where["mrpc-full-seed1"] == 2
    assert placement.makespan_s is not None
    assert placement.makespan_s <= 4 / 3 * sum(worker.predicted_s or 0.0 for worker in placement.workers) / 2


@pytest.mark.parametrize(
    "pins, num_workers, message",
    [
        ((Pin(worker=4, tasks=("mrpc",)),), 3, r"placement\[0\] names worker 4, there are 3: use --workers 4"),
        (
            (Pin(worker=1, steps=("train",)), Pin(worker=2, steps=("evaluate",))),
            2,
            "stay on one worker. Name all their steps",
        ),
        ((), 0, "must be 1 or more, got 0"),
    ],
    ids=["a worker there is not", "pins that tear a run apart", "no worker"],
)
def test_pins_that_cannot_be_kept(pins: tuple[Pin, ...], num_workers: int, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        place(make_plan(_study(pins), DECODERS), num_workers)


def test_without_predictions_all_weigh_the_same_and_it_says_so() -> None:
    placement = place(make_plan(_study(), DECODERS), 2)
    assert placement.makespan_s is None
    assert placement.notes == ("no job has a predicted time: all weigh the same",)
    sizes = [len(worker.jobs) for worker in placement.workers]
    assert max(sizes) - min(sizes) <= 2


def test_one_unknown_job_leaves_the_rest_balanced() -> None:
    plan = _of_times([10.0, 10.0, 10.0, 10.0])
    unknown = replace(plan.jobs[0], resources=Resources())
    placement = place(replace(plan, jobs=(unknown, *plan.jobs[1:])), 2)
    assert [len(worker.jobs) for worker in placement.workers] == [2, 2]
    assert placement.makespan_s is None
    assert "1 of 4 jobs have no predicted time" in placement.notes[0]


def test_a_base_model_stays_on_one_worker_where_that_costs_nothing() -> None:
    plan = _timed(make_plan(_study(num_models=2), DECODERS), SECONDS)
    placement = place(plan, 2)
    together = [{job.about["base_model"] for job in worker.jobs if job.kind == "train"} for worker in placement.workers]
    assert together == [{"org/m0"}, {"org/m1"}]


@given(times=st.lists(st.floats(0.5, 100.0), min_size=1, max_size=8), num_workers=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_within_four_thirds_of_the_best_there_is(times: list[float], num_workers: int) -> None:
    """Graham's bound for longest-first, and the 5% that keeping a base model together may cost."""
    best = min(
        max(sum(time for time, on in zip(times, choice, strict=True) if on == worker) for worker in range(num_workers))
        for choice in itertools.product(range(num_workers), repeat=len(times))
    )
    makespan = place(_of_times(times), num_workers).makespan_s
    assert makespan is not None
    assert makespan - WORKER_START_S <= 4 / 3 * 1.05 * best + 1e-9


@pytest.mark.parametrize("num_workers", [2, 3, 5, 8])
def test_within_four_thirds_of_the_lower_bound(num_workers: int) -> None:
    times = [float((number * 37) % 101 + 1) for number in range(200)]
    makespan = place(_of_times(times), num_workers).makespan_s
    assert makespan is not None
    bound = max(sum(times) / num_workers, max(times))
    assert makespan - WORKER_START_S <= 4 / 3 * bound


def test_two_labels_of_one_job_stay_together() -> None:
    """Two entries that say the same thing are one job: on two machines it would be made twice, and clash when merged."""
    twins = (MethodEntry(name="full", method=Full()), MethodEntry(name="again", method=Full()))
    plan = _timed(make_plan(_study(methods=twins), DECODERS), SECONDS)
    assert len({job.id for job in plan.jobs}) < len(plan.jobs)
    for num_workers in (2, 3, 6):
        placed = [{job.id for job in worker.jobs} for worker in place(plan, num_workers).workers]
        assert sum(map(len, placed)) == len(set().union(*placed))


def test_divided_by_other_times_and_told_by_the_plans() -> None:
    plan = _of_times([1.0, 1.0, 1.0, 3.0])
    nominal = {
        job.id: Prediction(seconds=seconds, memory_gib=1.0, disk_gib=1.0, scratch_gib=float(number))
        for number, (job, seconds) in enumerate(zip(plan.jobs, [9.0, 3.0, 3.0, 3.0], strict=True))
    }
    placement = place(plan, 2, nominal)
    assert _worker_of(placement) == {"job0": 1, "job1": 2, "job2": 2, "job3": 2}
    assert [worker.predicted_s for worker in placement.workers] == [WORKER_START_S + 1.0, WORKER_START_S + 5.0]
    assert [worker.scratch_gib for worker in placement.workers] == [0.0, 3.0], "of one job at a time"
    assert place(plan, 2).workers[0].scratch_gib is None, "nobody said"
    unknown = nominal | {plan.jobs[1].id: None}
    assert place(plan, 2, unknown).workers[1].scratch_gib is None

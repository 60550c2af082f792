"""Machines that cannot see each other agree on who does what, and together they do all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunescope.cost import devices
from tunescope.cost.predict import Prediction
from tunescope.errors import ModelError, StudyError, TunescopeError
from tunescope.hub.source import Source
from tunescope.study.estimate import with_resources
from tunescope.study.job import Resources
from tunescope.study.load import load_study, parse_study
from tunescope.study.plan import Plan, make_plan
from tunescope.study.shards import Shard, nominal_device, nominal_predictions, shard_jobs, with_what_they_need

PHASE1 = Path(__file__).parents[3] / "studies" / "phase1.yaml"


def _plan(text: str) -> Plan:
    study = parse_study(text, "t")
    return make_plan(study, {model.name: True for model in study.base_models})


_SMALL = """
name: t
base_model: tunescope/demo-llama
tasks: [demo_sentiment, demo_qa]
methods: {full: {}, lora: {learning_rate: {sweep: [1.0e-3, 1.0e-2]}}}
seeds: [1, 2]
drift: {num_examples: 50}
sweep: {allow_unequal_budgets: true}
"""


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/0", "-1/3", "1/3/5", "a/b", "1.0/3", "1/10001", "²/3"])
def test_what_is_no_shard_is_told(text):
    with pytest.raises(TunescopeError, match="expected I/N, the I-th of N machines, such as 2/3"):
        Shard.parse(text)


def test_a_shard_as_typed():
    shard = Shard.parse(" 2/3 ")
    assert (shard.index, shard.count, str(shard)) == (2, 3, "2/3")


@st.composite
def _plans(draw):
    tasks = draw(
        st.sets(st.sampled_from(["demo_sentiment", "demo_qa", "demo_paraphrase", "mrpc"]), min_size=1, max_size=3)
    )
    methods = draw(
        st.sampled_from(
            [
                "{full: {}}",
                "{full: {}, again: {type: full}}",
                "{lora: {learning_rate: {sweep: [1.0e-3, 1.0e-2]}}, full: {}}",
            ]
        )
    )
    models = draw(st.sampled_from(["[org/one]", "[org/one, org/two]"]))
    drift = draw(st.sampled_from(["", "drift: {num_examples: 50}\n", "drift: {num_examples: 50, controls: []}\n"]))
    seeds = list(range(draw(st.integers(1, 3))))
    return _plan(
        f"name: t\nbase_models: {models}\ntasks: [{', '.join(sorted(tasks))}]\nmethods: {methods}\nseeds: {seeds}\n{drift}"
        + ("sweep: {allow_unequal_budgets: true}\n" if "sweep" in methods else "")
    )


@settings(max_examples=40, deadline=None)
@given(
    plan=_plans(), times=st.lists(st.none() | st.floats(0.0, 100.0), min_size=5, max_size=5), count=st.integers(1, 6)
)
def test_all_shards_are_the_plan_and_share_only_what_is_made_where_needed(plan, times, count):
    nominal = {
        job.id: None
        if (seconds := times[number % len(times)]) is None
        else Prediction(seconds=seconds, memory_gib=1.0, disk_gib=1.0)
        for number, job in enumerate(plan.jobs)
    }
    shards = [shard_jobs(plan, Shard(index=index + 1, count=count), nominal) for index in range(count)]
    times_done: dict[str, int] = {}
    for jobs in shards:
        ids = [job.id for job in jobs]
        assert len(ids) == len(set(ids))
        for number, job in enumerate(jobs):
            assert {needed.id for needed in job.inputs.values()} <= set(ids[:number]), "nothing is waited for elsewhere"
            times_done[job.id] = times_done.get(job.id, 0) + 1
    assert times_done.keys() == {job.id for job in plan.jobs}
    for job in plan.jobs:
        is_first_wave = job.kind == "propose" and not job.inputs  # of equal sweeps on two tasks: one job, of no time
        assert times_done[job.id] == 1 or job.config.is_made_where_needed or is_first_wave


def test_the_division_rests_on_nothing_of_the_machine(monkeypatch):
    """Neither its speed, nor its number of processors, nor what an earlier plan said of it."""
    plan = _plan(_SMALL)
    source = Source()
    one = nominal_predictions(plan, source)
    monkeypatch.setattr(devices, "_measured_cpu", lambda threads: pytest.fail("this machine was measured"))
    monkeypatch.setattr(devices, "_first_gpu", lambda: pytest.fail("this machine was asked for its GPU"))
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert nominal_predictions(plan, source) == one
    assert all(prediction is not None for prediction in one.values())
    slow = with_resources(plan, [Resources(predicted_s=float(len(job.label))) for job in plan.jobs])
    for index in (1, 2):
        ids = [[job.id for job in shard_jobs(of, Shard(index=index, count=2), one)] for of in (plan, slow)]
        assert ids[0] == ids[1]


def test_a_measured_device_is_never_asked_for():
    study = parse_study(_SMALL + "compute: {expected_device: {name: cpu, memory_gib: 3.0}}\n", "t")
    assert nominal_device(study) is devices.DEVICES["cpu"]
    assert nominal_device(parse_study(_SMALL, "t")) is devices.DEVICES["cpu"]
    assert nominal_device(load_study(PHASE1, ())) is devices.DEVICES["L4"]
    unknown = parse_study(_SMALL + "compute: {expected_device: {name: L5}}\n", "t")
    with pytest.raises(StudyError, match="unknown device 'L5'"):
        nominal_device(unknown)


def test_a_model_that_is_not_at_hand_is_asked_for_so_that_all_divide_alike(monkeypatch):
    plan = _plan(_SMALL.replace("tunescope/demo-llama", "org/unknown"))
    asked: list[str] = []

    def hub_config(self, name, revision=None):
        asked.append(name)
        raise ModelError("no network")

    monkeypatch.setattr(Source, "local_config", lambda self, name, revision=None: None)
    monkeypatch.setattr(Source, "hub_config", hub_config)
    with pytest.raises(ModelError, match="no network"):
        nominal_predictions(plan, Source())
    assert asked == ["org/unknown"]
    assert None in nominal_predictions(plan, Source(), may_fetch=False).values()
    assert asked == ["org/unknown"]


def test_the_reference_study_is_divided_as_it_pins():
    study = load_study(PHASE1, ())
    plan = make_plan(study, {model.name: True for model in study.base_models})
    nominal = nominal_predictions(plan, Source())
    shards = [shard_jobs(plan, Shard(index=index, count=3), nominal) for index in (1, 2, 3)]
    runs = [
        {str(job.about["task"]) for job in jobs if job.kind in ("train", "trial", "evaluate", "drift")}
        for jobs in shards
    ]
    assert runs == [{"mrpc", "sst2"}, {"squad_v2", "rte"}, set()]
    assert {job.kind for job in shards[2]} == {"baseline", "examples", "represent", "drift_controls"}
    read_of_base = [{str(job.about["task"]) for job in jobs if job.kind == "represent"} for jobs in shards]
    assert read_of_base == [{"mrpc", "sst2"}, {"squad_v2", "rte"}, {"mrpc", "sst2", "rte", "squad_v2"}]
    with pytest.raises(StudyError, match="names worker 3, there are 2: use --workers 3"):
        shard_jobs(plan, Shard(index=1, count=2), nominal)


def test_what_some_jobs_need_comes_along():
    plan = _plan(_SMALL)
    cell = next(run for run in plan.runs if run.method == "lora")
    jobs = with_what_they_need(plan, [cell.evaluate])
    assert jobs[-1] is cell.evaluate
    assert {job.kind for job in jobs} == {"propose", "trial", "select", "train", "evaluate"}

"""Jobs that are predicted not to fit begin with fewer tokens at once, and are the same jobs."""

from __future__ import annotations

from dataclasses import replace

from tunescope.cost.architecture import KNOWN
from tunescope.cost.devices import DEVICES
from tunescope.execution.order import order_of
from tunescope.methods import Full, Lora
from tunescope.models.base import BaseModelSpec
from tunescope.study.estimate import estimate
from tunescope.study.fitting import fit_to_memory
from tunescope.study.plan import make_plan
from tunescope.study.spec import Compute, MethodEntry, StudySpec
from tunescope.tasks.spec import Classification, Dataset, Expected

_MODEL = "TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T"
_TASK = Classification(
    name="long",
    dataset=Dataset(hub="org/long"),
    labels=("no", "yes"),
    max_length=512,
    expected=Expected(num_train=3000, num_report=400, mean_tokens=300),
)


def _plan(tokens=16384):
    study = StudySpec(
        name="s",
        base_models=(BaseModelSpec(name=_MODEL),),
        tasks=(_TASK,),
        methods=(MethodEntry(name="full", method=Full()), MethodEntry(name="lora", method=Lora(rank=8))),
        seeds=(1,),
        baselines=("majority",),
        compute=Compute(micro_batch_tokens=tokens),
    )
    return make_plan(study, {_MODEL: True})


def _train(plan, method):
    return next(job for job in plan.jobs if job.kind == "train" and job.about["method"] == method)


def test_what_fits_keeps_the_whole_share():
    fitted = fit_to_memory(_plan(), KNOWN, DEVICES["H200"])
    assert {job.resources.share for job in fitted.jobs} == {1.0}
    assert fitted.jobs == estimate(_plan(), KNOWN, DEVICES["H200"]).jobs


def test_what_does_not_fit_takes_the_largest_share_that_does():
    device = replace(DEVICES["L4"], memory_gib=22.5)
    whole, fitted = estimate(_plan(), KNOWN, device), fit_to_memory(_plan(), KNOWN, device)
    job = _train(fitted, "full")
    assert _train(whole, "full").resources.memory_gib > 22.5 >= job.resources.memory_gib
    assert 0.0 < job.resources.share < 1.0
    twice = int(16384 * job.resources.share * 2)
    assert _train(estimate(_plan(twice), KNOWN, device), "full").resources.memory_gib > 22.5
    assert order_of(job).share == job.resources.share


def test_they_are_the_same_jobs():
    fitted = fit_to_memory(_plan(), KNOWN, DEVICES["L4"])
    assert [job.id for job in fitted.jobs] == [job.id for job in _plan().jobs]
    assert fitted.runs[0].train is _train(fitted, fitted.runs[0].method)


def test_what_fits_nowhere_is_tried_whole():
    tiny = replace(DEVICES["L4"], memory_gib=1.0)
    assert _train(fit_to_memory(_plan(), KNOWN, tiny), "full").resources.share == 1.0

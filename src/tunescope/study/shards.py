"""Which jobs machine I of N does, where the machines cannot see each other: each works it out alone, and all agree."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from tunescope.cost.architecture import KNOWN, Architecture, read_architecture
from tunescope.cost.devices import DEVICES, DeviceProfile
from tunescope.cost.predict import Prediction
from tunescope.errors import StudyError, TunescopeError, did_you_mean
from tunescope.hub.source import Source
from tunescope.study.estimate import estimate_jobs
from tunescope.study.job import Job
from tunescope.study.own_files import with_own_rows
from tunescope.study.placement import place
from tunescope.study.plan import Plan
from tunescope.study.spec import StudySpec

MAX_SHARDS = 10_000
_DIGITS = 6
"""Significant digits of a time that the division rests on: another machine's logarithm may differ in the last bit."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One of several machines."""

    index: int
    """Counted from 1."""
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """A shard as it is typed, such as `2/3`.

        Raises:
            TunescopeError: If it is no such thing.
        """
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip())
        index, count = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= index <= count <= MAX_SHARDS:
            raise TunescopeError(
                f"--shard {text}: expected I/N, the I-th of N machines, such as 2/3 for the second of three "
                f"(I from 1 to N, N at most {MAX_SHARDS:,})."
            )
        return cls(index=index, count=count)

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def nominal_predictions(plan: Plan, source: Source, *, may_fetch: bool = True) -> dict[str, Prediction | None]:
    """What the division of a plan rests on: job id -> its prediction, or None; the same on every machine.

    The device is the one that the study names, with tunescope's own figures for it, and never one that was measured. A base
    model's architecture is the known one of its name, else its config's; a config that is not at hand is fetched, for a
    machine that went without would divide otherwise than the rest.

    Args:
        plan: All jobs of a study.
        source: Where configs, and the rows of the study's own files, are read.
        may_fetch: Without it, for a look at a plan that nothing rests on, a model whose config is not at hand has no prediction.

    Raises:
        TunescopeError: If nobody knows the named device, or a file or a model's config is not to be had.
    """
    counted = replace(plan, study=with_own_rows(plan.study, source))
    found = estimate_jobs(counted, _architectures(plan.study, source, may_fetch), nominal_device(plan.study))
    return {
        job.id: None if one.prediction is None else _rounded(one.prediction)
        for job, one in zip(plan.jobs, found, strict=True)
    }


def nominal_device(study: StudySpec) -> DeviceProfile:
    """The device of the study's `expected_device` by tunescope's figures; where it names none, those of a nominal CPU.

    Raises:
        StudyError: If nobody knows the named device.
    """
    asked = study.compute.expected_device
    name = "cpu" if asked is None else asked.name
    if name not in DEVICES:
        raise StudyError([f"compute.expected_device.name: unknown device '{name}'. {did_you_mean(name, DEVICES)}"])
    return DEVICES[name]


def shard_jobs(plan: Plan, shard: Shard, nominal: Mapping[str, Prediction | None]) -> tuple[Job, ...]:
    """The jobs that one machine does, in the plan's order: those placed on it, and what they need that each makes for itself.

    Over all shards of a count these are the whole plan, and a job is in two of them only where it `is_made_where_needed`, or
    where it is the first wave of equal sweeps, which takes no time.

    Args:
        plan: All jobs of a study.
        shard: Which machine of how many.
        nominal: What `nominal_predictions` gives.

    Raises:
        StudyError: If a pin names a machine that is not there, or pins tear apart what must stay together.
    """
    own = place(plan, shard.count, nominal).workers[shard.index - 1].jobs
    return with_what_they_need(plan, own)


def with_what_they_need(plan: Plan, own: Sequence[Job]) -> tuple[Job, ...]:
    """Some jobs of a plan and, at any remove, their inputs, in the plan's order."""
    named = {
        job.id: job for job in reversed(own)
    }  # a job may have several labels: the first of those placed here is told
    wanted = set(named)
    for job in reversed(plan.jobs):  # whoever needs a job comes after it
        if job.id in wanted:
            wanted.update(needed.id for needed in job.inputs.values())
    return tuple({job.id: named.get(job.id, job) for job in plan.jobs if job.id in wanted}.values())


def _architectures(study: StudySpec, source: Source, may_fetch: bool) -> dict[str, Architecture | None]:
    found: dict[str, Architecture | None] = {}
    for model in study.base_models:
        if model.name in KNOWN:
            found[model.name] = KNOWN[model.name]
            continue
        config = source.local_config(model.name, model.revision)
        if config is None and may_fetch:
            config = source.hub_config(model.name, model.revision)
        found[model.name] = None if config is None else read_architecture(config)
    return found


def _rounded(prediction: Prediction) -> Prediction:
    return replace(prediction, seconds=float(f"{prediction.seconds:.{_DIGITS}g}"))

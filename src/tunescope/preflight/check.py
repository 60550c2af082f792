"""`tunescope check`: all that can be known of a study before it runs. Nothing is written to the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tunescope.cost.architecture import Architecture
from tunescope.cost.devices import DeviceProfile, this_machine
from tunescope.errors import DataError, TunescopeError
from tunescope.hub.source import Source
from tunescope.models.base import BaseModelSpec
from tunescope.preflight.data import Sample, look_at_data
from tunescope.preflight.disk import check_disk, open_store
from tunescope.preflight.environment import check_device, check_environment
from tunescope.preflight.finding import SECTIONS, CheckReport, Finding, findings_of
from tunescope.preflight.fresh_process import FreshProcesses
from tunescope.preflight.trackers import check_trackers
from tunescope.preflight.workers import check_workers, in_words
from tunescope.store import Store
from tunescope.study.estimate import estimate, estimate_jobs
from tunescope.study.known import architectures, decoders, expected_device, source_for
from tunescope.study.load import load_study
from tunescope.study.plan import Plan, make_plan, short_name
from tunescope.study.spec import StudySpec

__all__ = ["CheckReport", "Finding", "check_study"]

_MAX_TRIAL_S = 600
_ENOUGH_OF_RAM = 0.9
"""Share of the free memory that a trial may be predicted to take."""


def check_study(
    study: Path,
    *,
    store: Path,
    mirror: Path | None = None,
    changes: Sequence[str] = (),
    workers: int = 1,
    deep: bool = False,
) -> CheckReport:
    """Looks at libraries, data, models, methods, memory, disk, trackers and time; a fault in one hides no other.

    Every base model is loaded, and every method takes two real training steps with it, each in a process of its own.

    Args:
        study: The study's YAML file.
        store: Where results are to be kept; not written to.
        mirror: Stands in for the hub.
        changes: `key=value` changes of the study.
        workers: Workers to place the jobs on.
        deep: Also let every method learn ten examples by heart.

    Raises:
        TunescopeError: If the study file is wrong or the mirror is not there.
    """
    spec = load_study(study, changes)
    source = source_for(study, mirror)
    found = list(findings_of("environment", "libraries", check_environment))
    if any(finding.status == "fault" for finding in found):
        found.append(_rest_waits())
        return CheckReport(study=spec.name, findings=tuple(found))
    with FreshProcesses() as processes:
        found += _Check(spec, source, store, workers, deep, processes).findings()
    found.sort(key=lambda finding: SECTIONS.index(finding.section))
    return CheckReport(study=spec.name, findings=tuple(found))


@dataclass(frozen=True)
class _Check:
    """One check under way."""

    spec: StudySpec
    source: Source
    store: Path
    workers: int
    deep: bool
    processes: FreshProcesses

    def findings(self) -> Iterator[Finding]:
        device, finding = check_device(self.spec.compute)
        yield finding
        samples, spec, found = self._data()
        yield from found
        plan, found = _plan(spec, self.source)
        yield from found
        yield _told_of_study(plan)
        sound, found = self._models(spec, samples)
        yield from found
        known = architectures(spec, self.source)
        yield from self._methods(plan, samples, sound, known, device)
        yield from self._resources(plan, known)
        yield from check_trackers(spec.trackers)

    def _data(self) -> tuple[dict[str, Sample], StudySpec, list[Finding]]:
        """Samples of the tasks whose data loads, the study with their true counts, and what was found."""
        samples: dict[str, Sample] = {}
        tasks = []
        found: list[Finding] = []
        for task in self.spec.tasks:
            tasks.append(task)

            def look() -> Iterator[Finding]:
                looked = look_at_data(tasks[-1], self.source)
                samples[looked.task.name] = looked.sample
                tasks[-1] = looked.task
                yield from looked.findings

            found += findings_of("data", task.name, look)
        return samples, self.spec.model_copy(update={"tasks": tuple(tasks)}), found

    def _models(self, spec: StudySpec, samples: Mapping[str, Sample]) -> tuple[set[str], list[Finding]]:
        """The base models without a fault, and what was found of all."""
        sound: set[str] = set()
        found: list[Finding] = []
        for model in spec.base_models:
            own = [
                *findings_of("model", short_name(model.name), lambda model=model: self._model(spec, model, samples)),  # type: ignore[misc]
                *self._truncation(spec, model, samples),
            ]
            if not any(finding.status == "fault" for finding in own):
                sound.add(model.name)
            found += own
        return sound, found

    def _model(self, spec: StudySpec, model: BaseModelSpec, samples: Mapping[str, Sample]) -> Iterator[Finding]:
        from tunescope.preflight.inputs import check_model
        from tunescope.preflight.network import NetworkQuestion, inspect_network, judge_network

        check_model(spec, model, self.source)
        for task in _first_of_each_kind(spec, samples):
            question = NetworkQuestion(
                base_model=model, task=task, examples=_spread(samples[task.name]), source=self.source
            )
            subject = f"{short_name(model.name)}, {task.name}"

            def look(question: NetworkQuestion = question, subject: str = subject) -> Iterator[Finding]:
                yield from judge_network(subject, self.processes.call(inspect_network, question)[0])

            yield from findings_of("model", subject, look)

    def _truncation(self, spec: StudySpec, model: BaseModelSpec, samples: Mapping[str, Sample]) -> Iterator[Finding]:
        from tunescope.preflight.truncation import check_truncation

        for task in spec.tasks:
            if task.name in samples:
                yield from findings_of(
                    "data",
                    f"{task.name} under {short_name(model.name)}",
                    lambda task=task: check_truncation(task, samples[task.name], model, self.source),  # type: ignore[misc]
                )

"""Every section of a check but the first, each on what the one before has learnt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tunescope.cost.architecture import Architecture
from tunescope.cost.devices import DeviceProfile, this_machine
from tunescope.errors import DataError, ModelError, TunescopeError
from tunescope.hub.source import Source
from tunescope.models.base import BaseModelSpec
from tunescope.preflight.data import Sample, look_at_data
from tunescope.preflight.disk import check_disk, open_store
from tunescope.preflight.environment import check_device
from tunescope.preflight.finding import Finding, faults_of, findings_of
from tunescope.preflight.fresh_process import FreshProcesses
from tunescope.preflight.inputs import check_label_words, check_lengths, check_model, has_room
from tunescope.preflight.memory import check_fits, judge_measured, largest_portions, predict_trial
from tunescope.preflight.methods import judge_trial, make_trials, with_ten_examples
from tunescope.preflight.network import NetworkQuestion, inspect_network, judge_network
from tunescope.preflight.overfit import judge_overfit, overfit
from tunescope.preflight.trackers import check_trackers
from tunescope.preflight.trial import Trial, take_steps
from tunescope.preflight.truncation import check_truncation
from tunescope.preflight.unchanged import check_unchanged
from tunescope.preflight.workers import check_workers, in_words
from tunescope.steps.device import chosen_threads
from tunescope.steps.inputs import training_data
from tunescope.study.configs import as_trained_on
from tunescope.study.estimate import estimate, estimate_jobs
from tunescope.study.known import architectures, decoders
from tunescope.study.labels import short_name
from tunescope.study.plan import BaselineCell, Plan, make_plan
from tunescope.study.shards import nominal_predictions
from tunescope.study.spec import StudySpec
from tunescope.tasks.data import Examples
from tunescope.tasks.spec import TaskSpec
from tunescope.tasks.texts import read_texts

_MAX_TRIAL_S = 600
_ENOUGH_OF_RAM = 0.9
"""Share of the free memory that a trial may be predicted to take."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check under way."""

    spec: StudySpec
    source: Source
    store: Path
    num_workers: int
    deep: bool
    device: DeviceProfile
    """The one that the study is meant for."""
    processes: FreshProcesses

    def findings(self) -> Iterator[Finding]:
        here, finding = check_device(self.spec.compute)
        yield finding
        samples, spec, found = self._data()
        yield from found
        plan, found = self._plan(spec, samples)
        yield from found
        yield _told_of_study(plan)
        on_models = [finding for model in spec.base_models for finding in self._model(spec, model, samples)]
        on_models += _unsaid(self._label_words(plan), on_models)
        yield from on_models
        known = architectures(spec, self.source)
        yield from _unsaid(self._methods(plan, samples, known, here), on_models)
        yield from self._resources(plan, known)
        yield from check_trackers(spec.trackers)

    def _data(self) -> tuple[dict[str, Sample], StudySpec, list[Finding]]:
        """Samples of the tasks whose data loads, the study with their true counts, and what was found."""
        samples: dict[str, Sample] = {}
        tasks = []
        found: list[Finding] = []
        for task in self.spec.tasks:
            try:
                looked = look_at_data(task, self.source)
            except TunescopeError as error:
                tasks.append(task)
                found += faults_of("data", task.name, error)
            else:
                tasks.append(looked.task)
                samples[task.name] = looked.sample
                found += looked.findings
                found += findings_of("data", task.name, _long_enough, self.spec, task, self.source)
        return samples, self.spec.model_copy(update={"tasks": tuple(tasks)}), found

    def _plan(self, spec: StudySpec, samples: Mapping[str, Sample]) -> tuple[Plan, list[Finding]]:
        """The plan that `run` would follow, and a fault for each file of its own that cannot be read and nothing else tells."""
        hashes: dict[str, str] = {}
        found: list[Finding] = []
        for task in spec.tasks:
            for file in (task.dataset.files or {}).values():
                try:
                    hashes[file] = self.source.file_sha256(file)
                except DataError as error:
                    hashes[file] = "not there"  # the plan is looked at, not run
                    if task.name in samples:  # else the data has told it
                        found += faults_of("data", task.name, error)
        for text in () if spec.retention is None else spec.retention.texts:
            try:
                read_texts(text, self.source)
                if text.file is not None:
                    hashes[text.file] = self.source.file_sha256(text.file)
            except DataError as error:
                hashes[text.file or ""] = "not there"
                found += faults_of("data", f"retention, {text.name}", error)
        return make_plan(spec, self._decoders(spec), hashes), found

    def _decoders(self, spec: StudySpec) -> dict[str, bool]:
        """As `known.decoders`; a model that cannot be asked counts as none, and its own section tells the fault."""
        told: dict[str, bool] = {}
        for model in spec.base_models:
            try:
                told |= decoders(spec.model_copy(update={"base_models": (model,)}), self.source)
            except ModelError:
                told[model.name] = False
        return told

    def _model(self, spec: StudySpec, model: BaseModelSpec, samples: Mapping[str, Sample]) -> list[Finding]:
        name = short_name(model.name)
        found = findings_of("model", name, _laid_out, spec, model, self.source)
        for task in _first_of_each_kind(spec, samples):
            if not _fits(spec, model, task, self.source):
                continue
            question = NetworkQuestion(
                base_model=model, task=task, examples=_spread(samples[task.name].train), source=self.source
            )
            found += _unsaid(findings_of("model", f"{name}, {task.name}", self._network, question), found)
        for task in spec.tasks:
            if task.name in samples:
                at, sample = f"{task.name} under {name}", samples[task.name]
                found += _unsaid(findings_of("data", at, check_truncation, task, sample, model, self.source), found)
        return found

    def _label_words(self, plan: Plan) -> Iterator[Finding]:
        """Whether the words of every zero-shot baseline have tokens of their own."""
        for cell in plan.baselines:
            if cell.baseline == "zero_shot" and cell.base_model is not None:
                subject = f"{short_name(cell.base_model)}, {cell.task.name}, zero_shot"
                yield from findings_of("model", subject, _words_told_apart, cell, subject, self.source)

    def _network(self, question: NetworkQuestion) -> Iterator[Finding]:
        subject = f"{short_name(question.base_model.name)}, {question.task.name}"
        facts, _ = self.processes.call(inspect_network, question, limit_s=_MAX_TRIAL_S)
        yield from judge_network(subject, facts)

    def _methods(
        self, plan: Plan, samples: Mapping[str, Sample], known: Mapping[str, Architecture | None], here: str
    ) -> Iterator[Finding]:
        """Two steps of every method, the memory they took, and with `deep` ten examples learnt by heart."""
        threads = chosen_threads(plan.study.compute.num_threads)
        machine = this_machine(use_gpu=here != "cpu", num_threads=threads)
        for subject, trial in make_trials(plan, samples, self.source, device=here, num_threads=threads):
            architecture = known[trial.config.base_model.name]
            if not _fits(plan.study, trial.config.base_model, trial.config.task, self.source):
                continue
            too_much = _too_much(trial, architecture, machine)
            if too_much:
                yield Finding(section="methods", subject=subject, status="note", message=too_much)
                continue
            yield from findings_of("methods", subject, self._trial, subject, trial, architecture, machine)
            if self.deep:
                lesson = with_ten_examples(trial, samples[trial.config.task.name])
                yield from findings_of("overfit", subject, self._overfit, subject, lesson)

    def _trial(
        self, subject: str, trial: Trial, architecture: Architecture | None, machine: DeviceProfile
    ) -> Iterator[Finding]:
        result, peak_gib = self.processes.call(take_steps, trial, limit_s=_MAX_TRIAL_S)
        yield from judge_trial(subject, trial.config.method_kind, result)
        predicted = predict_trial(trial, architecture, machine, train=result.train, evaluation=result.evaluation)
        on_gpu = result.device_peak_gib is not None
        yield judge_measured(
            subject,
            # A GPU that `cost` does not know is predicted as a CPU: that would compare unlike things.
            predicted.memory_gib if predicted is not None and on_gpu == machine.is_gpu else None,
            peak_gib if result.device_peak_gib is None else result.device_peak_gib,
            where="of GPU memory" if on_gpu else "of RAM",
        )

    def _overfit(self, subject: str, lesson: Trial) -> Iterator[Finding]:
        result, _ = self.processes.call(overfit, lesson, limit_s=2 * _MAX_TRIAL_S)
        yield judge_overfit(subject, lesson.config.method_kind, lesson.config.training.learning_rate, result)

    def _resources(self, plan: Plan, known: Mapping[str, Architecture | None]) -> Iterator[Finding]:
        estimated = estimate(plan, known, self.device)
        yield from check_fits(estimated, self.device)
        yield from findings_of("disk", str(self.store), self._disk, plan, known)
        yield from findings_of("time", "placement", self._workers, estimated)

    def _workers(self, estimated: Plan) -> Iterator[Finding]:
        nominal = nominal_predictions(estimated, self.source, may_fetch=False)
        yield from check_workers(estimated, self.num_workers, self.device, nominal)

    def _disk(self, plan: Plan, known: Mapping[str, Architecture | None]) -> Iterator[Finding]:
        kept = open_store(self.store)
        estimates = estimate_jobs(plan, known, self.device)
        yield from check_disk(plan, estimates, self.store, kept=kept, num_workers=self.num_workers)
        if kept is not None:
            check_unchanged(plan, kept, self.source)


def _laid_out(spec: StudySpec, model: BaseModelSpec, source: Source) -> Iterator[Finding]:
    """Every head and every method of the study, swept ones at each value, on the model without its weights."""
    check_model(spec, model, source)
    num_settings = sum(1 for entry in spec.methods for _ in entry.variants())
    yield Finding(
        section="model",
        subject=short_name(model.name),
        status="ok",
        message=f"{len(spec.tasks)} tasks and {num_settings} settings of {len(spec.methods)} methods fit its architecture",
    )


def _fits(spec: StudySpec, model: BaseModelSpec, task: TaskSpec, source: Source) -> bool:
    """Whether rows of a task can be put through a model; where they cannot for want of positions, that has been told."""
    try:
        return has_room(spec, model, task, source)
    except TunescopeError:
        return True  # another fault, which its own section tells


def _long_enough(spec: StudySpec, task: TaskSpec, source: Source) -> Iterator[Finding]:
    check_lengths(spec, task, len(training_data(as_trained_on(task), source).train))
    yield from ()


def _words_told_apart(cell: BaselineCell, subject: str, source: Source) -> Iterator[Finding]:
    check_label_words(cell.job, source)
    yield Finding(
        section="model", subject=subject, status="ok", message="its label words can be told apart by their tokens"
    )


def _told_of_study(plan: Plan) -> Finding:
    study = plan.study
    message = (
        f"{len(plan.jobs)} jobs, {len(plan.runs)} runs: {len(study.base_models)} base model(s) x {len(study.tasks)} tasks x "
        f"{len(study.methods)} methods x {len(study.seeds)} seeds"
    )
    return Finding(section="study", subject=study.name, status="ok", message=message)


def _too_much(trial: Trial, architecture: Architecture | None, machine: DeviceProfile) -> str:
    """Why a trial is left out on this machine; empty where it is not, or where nobody can tell beforehand."""
    train, evaluation = largest_portions(trial)
    predicted = predict_trial(trial, architecture, machine, train=train, evaluation=evaluation)
    if predicted is None:
        return ""
    free_gib = machine.memory_gib if machine.is_gpu else psutil.virtual_memory().available / 2**30
    if predicted.memory_gib > _ENOUGH_OF_RAM * free_gib:
        return f"not tried here: two steps need about {predicted.memory_gib:.1f} GiB, and {free_gib:.1f} are free"
    if predicted.seconds > _MAX_TRIAL_S:
        return f"not tried here: two steps would take {in_words(predicted.seconds)} on this machine"
    return ""


def _first_of_each_kind(spec: StudySpec, samples: Mapping[str, Sample]) -> list[TaskSpec]:
    first: dict[str, TaskSpec] = {}
    for task in spec.tasks:
        if task.name in samples:
            first.setdefault(task.kind, task)
    return list(first.values())


def _spread(examples: Examples) -> Examples:
    """Three examples: the shortest, the median and the longest."""
    order = sorted(range(len(examples)), key=lambda row: sum(len(texts[row]) for texts in examples.texts.values()))
    return examples.take(sorted({order[0], order[len(order) // 2], order[-1]}))


def _unsaid(findings: Iterable[Finding], earlier: Sequence[Finding]) -> list[Finding]:
    """The findings without faults that an earlier one has told already."""
    told = [finding.message for finding in earlier if finding.status == "fault"]
    return [
        finding
        for finding in findings
        if finding.status != "fault" or not any(finding.message in message for message in told)
    ]

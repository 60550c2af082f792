"""A plan -> the same plan with every job's predicted time, memory and disk, from what its tasks are known to hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tunescope.cost.architecture import Architecture
from tunescope.cost.devices import DeviceProfile
from tunescope.cost.predict import (
    Prediction,
    Rows,
    predict_baseline,
    predict_drift,
    predict_evaluation,
    predict_representation,
    predict_retention,
    predict_training,
)
from tunescope.cost.predict_probe import predict_probe
from tunescope.cost.trainable import what_trains
from tunescope.models.base import BaseModelSpec
from tunescope.study.configs import (
    BaselineConfig,
    DriftConfig,
    DriftControlsConfig,
    EvaluateConfig,
    ExamplesConfig,
    ProbeConfig,
    ProposeConfig,
    RepresentConfig,
    RetentionConfig,
    SelectConfig,
    TrainConfig,
    TrialConfig,
)
from tunescope.study.job import Job, Resources
from tunescope.study.plan import Plan
from tunescope.study.settings import TrainingSettings
from tunescope.tasks.spec import TaskSpec

_LONGEST_OVER_MEAN = 5.0
_COUNTED_VOCABULARY = 32_000
"""The vocabulary that a task's `expected.mean_tokens` is stated for."""
_CHARACTERS_PER_TOKEN = {512: 1.6, _COUNTED_VOCABULARY: 4.0}
"""English text under a small and a usual vocabulary (the 512 pieces of stories260K; Llama 2)."""
_QUESTION_TOKENS = 20
"""A question with what stands around it, repeated in every window."""


@dataclass(frozen=True, kw_only=True)
class JobEstimate:
    """What is known beforehand of one job."""

    prediction: Prediction | None
    missing: str = ""
    """What is not known, where there is no prediction."""


def estimate(plan: Plan, architectures: Mapping[str, Architecture | None], device: DeviceProfile) -> Plan:
    """The plan with every job's `resources` filled; a job of which too little is known keeps None in them.

    Args:
        plan: Any plan; not changed.
        architectures: Base model name -> its architecture, None where its type is not known.
        device: Where the jobs are to run.

    Returns:
        A plan of new jobs; a job shared by several others is one object still. `disk_gib` is what a job leaves in the store;
        `estimate_jobs` tells the scratch space beside it, and `explain` the assumptions.
    """
    estimates = estimate_jobs(plan, architectures, device)
    return with_resources(
        plan, [_resources(job, found.prediction) for job, found in zip(plan.jobs, estimates, strict=True)]
    )


def with_resources(plan: Plan, resources: Sequence[Resources]) -> Plan:
    """The plan with other resources, those of each job in the order of `plan.jobs`; a job shared by several is one still."""
    new: dict[int, Job] = {}
    for job, needs in zip(plan.jobs, resources, strict=True):
        inputs = {role: new[id(needed)] for role, needed in job.inputs.items()}
        new[id(job)] = replace(job, inputs=inputs, resources=needs)
    runs = tuple(replace(run, train=new[id(run.train)], evaluate=new[id(run.evaluate)]) for run in plan.runs)
    baselines = tuple(replace(cell, job=new[id(cell.job)]) for cell in plan.baselines)
    sweeps = tuple(
        replace(
            sweep,
            select=new[id(sweep.select)],
            trials=tuple(tuple(new[id(job)] for job in trial) for trial in sweep.trials),
        )
        for sweep in plan.sweeps
    )
    drift = tuple(replace(cell, job=new[id(cell.job)]) for cell in plan.drift)
    probes = tuple(replace(cell, job=new[id(cell.job)]) for cell in plan.probes)
    return replace(
        plan,
        jobs=tuple(new.values()),
        runs=runs,
        baselines=baselines,
        sweeps=sweeps,
        drift=drift,
        probes=probes,
        examples={task: new[id(job)] for task, job in plan.examples.items()},
    )


def estimate_jobs(
    plan: Plan, architectures: Mapping[str, Architecture | None], device: DeviceProfile
) -> tuple[JobEstimate, ...]:
    """What is known beforehand of each job, in the order of `plan.jobs`.

    Args:
        plan: Any plan.
        architectures: Base model name -> its architecture, None where its type is not known.
        device: Where the jobs are to run.
    """
    tasks = {task.name: task for task in plan.study.tasks}
    architectures = {model.name: _as_studied(model, architectures.get(model.name)) for model in plan.study.base_models}
    return tuple(_estimate(job, plan, tasks, architectures, device) for job in plan.jobs)


def explain(plan: Plan, architectures: Mapping[str, Architecture | None], device: DeviceProfile) -> tuple[str, ...]:
    """The assumptions behind a plan's predictions, each once, then what was missing for the jobs that have none.

    Args:
        plan: Any plan.
        architectures: Base model name -> its architecture, None where its type is not known.
        device: Where the jobs are to run.
    """
    said: dict[str, int] = {}
    missing: dict[str, int] = {}
    for found in estimate_jobs(plan, architectures, device):
        for assumption in found.prediction.assumptions if found.prediction is not None else ():
            said[assumption] = said.get(assumption, 0) + 1
        if found.prediction is None:
            missing[found.missing] = missing.get(found.missing, 0) + 1
    if said:
        said[f"no text is longer than its task's max_length or {_LONGEST_OVER_MEAN:g} times the mean"] = 1
        said["a swept setting costs what its typical value costs, and no trial is stopped early"] = 1
    unknown = (
        f"no prediction for {count} {'job' if count == 1 else 'jobs'}: {what}" for what, count in missing.items()
    )
    return (*said, *unknown)


def _resources(job: Job, prediction: Prediction | None) -> Resources:
    if prediction is None:
        return replace(job.resources, predicted_s=None, memory_gib=None, disk_gib=None)
    return replace(
        job.resources,
        predicted_s=prediction.seconds,
        memory_gib=prediction.memory_gib,
        disk_gib=prediction.disk_gib,
    )


def _estimate(
    job: Job,
    plan: Plan,
    tasks: Mapping[str, TaskSpec],
    architectures: Mapping[str, Architecture | None],
    device: DeviceProfile,
) -> JobEstimate:
    config, compute = job.config, plan.study.compute
    task = tasks[str(job.about["task"])]
    if isinstance(config, SelectConfig | ProposeConfig):
        return JobEstimate(prediction=predict_baseline(Rows(num=0, mean_tokens=1.0, longest=1)))
    if task.expected is None:
        return JobEstimate(
            prediction=None,
            missing=f"task {task.name} does not say what it holds (expected: num_train, num_report, mean_tokens)",
        )
    report_rows = min(task.expected.num_report, task.max_report or task.expected.num_report)
    if isinstance(config, ExamplesConfig) or (isinstance(config, BaselineConfig) and config.base_model is None):
        return JobEstimate(prediction=predict_baseline(Rows(num=report_rows, mean_tokens=1.0, longest=1)))
    name = str(job.about["base_model"])
    arch = architectures.get(name)
    if arch is None:
        return JobEstimate(prediction=None, missing=f"the architecture of {name} is not known")
    rows = partial(_rows, task, arch)
    if isinstance(config, TrainConfig):
        return _estimate_training(config, task, arch, device, plan)
    batch_tokens = compute.evaluation_batch_tokens
    if isinstance(config, RepresentConfig):
        return JobEstimate(
            prediction=predict_representation(
                arch,
                device,
                rows=rows(min(config.num_examples or report_rows, report_rows)),
                num_poolings=len(config.pooling),
                num_kept=_num_pooled(config) if config.keep_states else 0,
                evaluation_batch_tokens=batch_tokens,
            )
        )
    if isinstance(config, DriftConfig | DriftControlsConfig):
        return JobEstimate(
            prediction=predict_drift(
                arch,
                device,
                rows=rows(min(config.num_examples or report_rows, report_rows)),
                num_models=_num_models(config),
                num_pooled=_num_pooled(config),
                num_of_tokens=len(config.pooling) - _num_pooled(config),
                num_kept=_num_pooled(config) if isinstance(config, DriftConfig) and config.keep_states else 0,
                is_base_kept=_is_base_kept(job),
                evaluation_batch_tokens=batch_tokens,
            )
        )
    if isinstance(config, ProbeConfig):
        num_train = min(num_training_rows(task)[0], config.task.max_train or task.expected.num_train)
        return JobEstimate(
            prediction=predict_probe(
                arch,
                device,
                train=rows(num_train),
                report=rows(report_rows),
                num_labels=len(config.task.labels),
                evaluation_batch_tokens=batch_tokens,
            )
        )
    if isinstance(config, RetentionConfig):
        num = math.ceil(len(config.texts) * config.max_tokens / config.window)
        text = Rows(num=num, mean_tokens=float(config.window), longest=config.window)
        return JobEstimate(prediction=predict_retention(arch, device, rows=text, evaluation_batch_tokens=batch_tokens))
    return JobEstimate(
        prediction=predict_evaluation(
            arch,
            device,
            rows=rows(report_rows),
            evaluation_batch_tokens=batch_tokens,
            precision=config.precision if isinstance(config, EvaluateConfig) else "fp32",
            num_words=len(task.labels)
            if isinstance(config, BaselineConfig) and task.kind == "classification"
            else None,
        )
    )


def _num_models(config: DriftConfig | DriftControlsConfig) -> int:
    """Models in memory at once: the base model and what it is compared with."""
    if isinstance(config, DriftConfig):
        return 4 if config.random_update else 2  # the tuned model, merged, and the one that is moved
    return 2


def _num_pooled(config: RepresentConfig | DriftConfig | DriftControlsConfig) -> int:
    """Ways to pool whose states can be kept: all but single tokens."""
    return sum(how != "all_tokens" for how in config.pooling)


def _is_base_kept(job: Job) -> bool:
    """Whether a job of drift finds its base model's states instead of reading the model."""
    base = job.inputs.get("base")
    if base is None or not isinstance(base.config, RepresentConfig):
        return False
    return base.config.keep_states and _num_pooled(base.config) == len(base.config.pooling)


def _estimate_training(
    config: TrainConfig, task: TaskSpec, arch: Architecture, device: DeviceProfile, plan: Plan
) -> JobEstimate:
    trains = what_trains(config.method, arch, task.kind, _num_outputs(task))
    if trains is None:
        return JobEstimate(
            prediction=None,
            missing=f"what method '{config.method_kind}' trains in a {arch.model_type} model can only be told by building it",
        )
    num_train, num_selection = num_training_rows(task)
    train = _rows(task, arch, num_train)
    num_encoded = math.ceil(train.num * train.windows)  # a window is a row, as in training
    steps = config.training.num_steps(num_encoded)
    compute = plan.study.compute
    return JobEstimate(
        prediction=predict_training(
            arch,
            trains,
            device,
            train=train,
            selection=_rows(task, arch, num_selection),
            num_steps=steps,
            batch_size=config.training.batch_size,
            num_scorings=_num_scorings(config.training, steps, num_encoded),
            micro_batch_tokens=compute.micro_batch_tokens,
            evaluation_batch_tokens=compute.evaluation_batch_tokens,
            precision=config.training.precision,
            gradient_checkpointing=compute.gradient_checkpointing,
            padding_free=compute.padding_free,
            keep_best=config.training.keep == "best",
            keep_weights=not isinstance(config, TrialConfig),
            pack_weights=compute.pack_weights,
        )
    )


def num_training_rows(task: TaskSpec) -> tuple[int, int]:
    """Rows that a task is expected to train and to select on; `expected` must be given."""
    assert task.expected is not None, "looked at before"
    whole = task.expected.num_train
    num_selection = min(max(round(task.selection_share * whole), 1), task.max_selection)
    left = max(1, whole - num_selection)
    return min(left, task.max_train or left), num_selection


def _as_studied(model: BaseModelSpec, arch: Architecture | None) -> Architecture | None:
    """The architecture with the dropout that the study asks for."""
    if arch is None or model.dropout is None:
        return arch
    return replace(arch, hidden_dropout=model.dropout, attention_dropout=model.dropout)


def _num_scorings(settings: TrainingSettings, steps: int, num_train: int) -> int:
    every = settings.evaluate_every
    return math.ceil(steps / (math.ceil(num_train / settings.batch_size) if every == "epoch" else every))


def _num_outputs(task: TaskSpec) -> int:
    if task.kind == "classification":
        return len(task.labels)
    return 1 if task.kind == "regression" else 2


def _rows(task: TaskSpec, arch: Architecture, num: int) -> Rows:
    """A task's rows under a model's vocabulary, cut at `max_length` or into windows of it."""
    assert task.expected is not None, "looked at before"
    mean = task.expected.mean_tokens * _more_tokens(arch.vocab)
    limit = task.max_length
    longest = max(1, min(limit, math.ceil(_LONGEST_OVER_MEAN * mean)))
    if task.kind != "question_answering" or mean <= limit:
        return Rows(num=num, mean_tokens=min(mean, limit), longest=longest)
    step = max(1, limit - _QUESTION_TOKENS - task.stride)
    windows = 1 + math.ceil((mean - limit) / step)
    repeated = (windows - 1) * (task.stride + _QUESTION_TOKENS)
    return Rows(num=num, mean_tokens=min(float(limit), (mean + repeated) / windows), longest=longest, windows=windows)


def _more_tokens(vocab: int) -> float:
    """How many times the tokens of a 32,000-piece vocabulary a smaller one needs; characters per token grow with its log."""
    (small, few), (usual, many) = _CHARACTERS_PER_TOKEN.items()
    share = min(1.0, math.log(max(vocab, small) / small) / math.log(usual / small))
    return many / (few + (many - few) * share)

"""Whether predicted peaks fit the device, and how near predictions are to what is measured here."""

from __future__ import annotations

from collections.abc import Iterator

from tunescope.cost.architecture import Architecture
from tunescope.cost.devices import DeviceProfile
from tunescope.cost.predict import Prediction, Rows, predict_training
from tunescope.cost.trainable import what_trains
from tunescope.preflight.finding import Finding, Status
from tunescope.preflight.trial import NUM_STEPS, Portion, Trial
from tunescope.study.job import Job
from tunescope.study.labels import short_name
from tunescope.study.plan import Plan
from tunescope.tasks.spec import TaskSpec

_TOLERANCE = 0.15
"""How far predicted and measured peaks may lie apart, as a share of the measured one, before it is worth a note."""


def check_fits(plan: Plan, device: DeviceProfile) -> Iterator[Finding]:
    """Holds the predicted peak of every job against the device's memory; a finding for each base model and what it does.

    Args:
        plan: With predictions in its jobs' resources.
        device: Where the jobs are to run.
    """
    groups: dict[str, list[Job]] = {}
    for job in plan.jobs:
        model = str(job.about.get("base_model", ""))
        doing = str(job.about.get("method", job.about.get("baseline", job.kind)))
        if model:
            groups.setdefault(f"{short_name(model)}, {doing}", []).append(job)
    for subject, jobs in groups.items():
        known = [job for job in jobs if job.resources.memory_gib is not None]
        if len(known) < len(jobs):
            yield _finding(subject, "note", f"no prediction for {len(jobs) - len(known)} of {len(jobs)} jobs")
        if not known:
            continue
        largest = max(known, key=lambda job: job.resources.memory_gib or 0.0)
        needed = largest.resources.memory_gib or 0.0
        told = f"at most {needed:.2f} GiB ({largest.label}) of {device.name}'s {device.memory_gib:.1f} GiB"
        if needed <= device.memory_gib:
            yield _finding(subject, "ok", told)
        else:
            yield _finding(
                subject,
                "fault",
                f"{told}: lower compute.micro_batch_tokens or compute.evaluation_batch_tokens, or set "
                "compute.gradient_checkpointing (none of them changes a result)",
            )


def predict_trial(
    trial: Trial, architecture: Architecture | None, device: DeviceProfile, *, train: Portion, evaluation: Portion
) -> Prediction | None:
    """What a trial itself should take, or None where the architecture or the method is not known to `cost`.

    Args:
        trial: What is tried.
        architecture: Its base model's.
        device: The machine at hand.
        train: Rows of each step.
        evaluation: Rows scored at the end.
    """
    config, compute = trial.config, trial.compute
    if architecture is None:
        return None
    trains = what_trains(config.method, architecture, config.task.kind, _num_outputs(config.task))
    if trains is None:
        return None
    return predict_training(
        architecture,
        trains,
        device,
        train=_rows(train),
        selection=_rows(evaluation),
        num_steps=NUM_STEPS,
        batch_size=train.num,
        num_scorings=1,
        micro_batch_tokens=compute.micro_batch_tokens,
        evaluation_batch_tokens=compute.evaluation_batch_tokens,
        precision=config.training.precision,
        gradient_checkpointing=compute.gradient_checkpointing,
        padding_free=compute.padding_free,
        keep_best=config.training.keep == "best",
    )


def largest_portions(trial: Trial) -> tuple[Portion, Portion]:
    """What a trial would compute if every row were as long as the task allows: rows of a step, rows of an evaluation."""
    longest = trial.config.task.max_length
    per_step = min(trial.config.training.batch_size, max(1, 2 * trial.compute.micro_batch_tokens // longest))
    per_batch = min(len(trial.selection), max(1, trial.compute.evaluation_batch_tokens // longest))
    step = Portion(num=per_step, mean_tokens=float(longest), longest=longest)
    return step, Portion(num=per_batch, mean_tokens=float(longest), longest=longest)


def judge_measured(subject: str, predicted_gib: float | None, measured_gib: float, *, where: str) -> Finding:
    """Holds the predicted peak of a trial against the measured one."""
    if predicted_gib is None:
        return _finding(
            subject, "note", f"measured {measured_gib:.2f} GiB {where}; no prediction for this model or method"
        )
    ratio = predicted_gib / measured_gib
    told = f"two steps here: predicted {predicted_gib:.2f}, measured {measured_gib:.2f} GiB {where}, ratio {ratio:.2f}"
    if abs(ratio - 1.0) <= _TOLERANCE:
        return _finding(subject, "ok", told)
    return _finding(subject, "note", f"{told}: more than {_TOLERANCE:.0%} apart, so leave room beside the prediction")


def _rows(portion: Portion) -> Rows:
    return Rows(num=portion.num, mean_tokens=portion.mean_tokens, longest=portion.longest)


def _num_outputs(task: TaskSpec) -> int:
    if task.kind == "classification":
        return len(task.labels)
    return 1 if task.kind == "regression" else 2


def _finding(subject: str, status: Status, message: str) -> Finding:
    return Finding(section="memory", subject=subject, status=status, message=message)

"""What a study mentions by name beside its tasks and methods: metrics of published figures and expectations, kinds of job, probes."""

from __future__ import annotations

from tunescope.errors import did_you_mean
from tunescope.study.probe_jobs import check_probes
from tunescope.study.problems import join, shown
from tunescope.study.spec import JOB_KINDS, StudySpec
from tunescope.tasks.scores import SCORES


def check_mentions(study: StudySpec, problems: list[str]) -> None:
    """Complains of a metric that a task has not, a figure out of its metric's range, an unknown step, and a probe of no such task."""
    metrics = {task.name: task.metrics for task in study.tasks}
    for task in study.tasks:
        fitting = [name for name, score in SCORES.items() if task.kind in score.kinds]
        for index, reference in enumerate(task.references):
            at = f"tasks.{task.name}.references[{index}]"
            if reference.metric not in fitting:
                problems.append(
                    f"{at}.metric: no score '{reference.metric}' for {task.kind}. {did_you_mean(reference.metric, fitting)}"
                )
                continue
            problems.extend(_out_of_range(f"{at}.value", reference.metric, reference.value))
    for index, band in enumerate(study.expected):
        known = metrics.get(band.task)
        if known is not None and band.metric not in known:
            problems.append(
                f"{join('expected', index, 'metric')}: task {band.task} has no metric '{band.metric}'. "
                f"{did_you_mean(band.metric, known)}"
            )
        elif known is not None:
            for end in ("low", "high"):
                problems.extend(_out_of_range(join("expected", index, end), band.metric, getattr(band, end)))
    for index, pin in enumerate(study.placement):
        for step in pin.steps or ():
            if step not in JOB_KINDS:
                problems.append(
                    f"{join('placement', index, 'steps')}: '{step}' is no kind of job. {did_you_mean(step, JOB_KINDS)}"
                )
    check_probes(study, problems)


def _out_of_range(at: str, metric: str, value: float) -> list[str]:
    """A complaint of a figure that its score cannot take."""
    low, high = SCORES[metric].range
    if low <= value <= high:
        return []
    unit = "" if SCORES[metric].range[1] > 1.0 else ". Give fractions of one, not percent"
    return [f"{at} must lie between {low:g} and {high:g}, as {metric} does, got {shown(value)}{unit}"]

"""What a study mentions by name beside its tasks and methods: metrics of published figures and expectations, kinds of job."""

from __future__ import annotations

from tunescope.errors import did_you_mean
from tunescope.study.problems import join, shown
from tunescope.study.spec import JOB_KINDS, StudySpec
from tunescope.tasks.scores import SCORES


def check_mentions(study: StudySpec, problems: list[str]) -> None:
    """Complains of a metric that a task has not, a figure out of its metric's range, an unknown step, and of doubles."""
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
            low, high = SCORES[reference.metric].range
            if not low <= reference.value <= high:
                problems.append(
                    f"{at}.value must lie between {low:g} and {high:g}, as {reference.metric} does, got {shown(reference.value)}. "
                    "Give fractions of one, not percent"
                )
    for index, band in enumerate(study.expected):
        known = metrics.get(band.task)
        if known is not None and band.metric not in known:
            problems.append(
                f"{join('expected', index, 'metric')}: task {band.task} has no metric '{band.metric}'. "
                f"{did_you_mean(band.metric, known)}"
            )
    for index, pin in enumerate(study.placement):
        for step in pin.steps or ():
            if step not in JOB_KINDS:
                problems.append(
                    f"{join('placement', index, 'steps')}: '{step}' is no kind of job. {did_you_mean(step, JOB_KINDS)}"
                )
    poolings = () if study.representations is None else study.representations.pooling
    for what, names in (("baselines", study.baselines), ("representations.pooling", poolings)):
        for double in sorted({name for name in names if names.count(name) > 1}):
            problems.append(f"{what} names {double} twice. Drop one")

"""What is wrong with a part of a study whatever is wrong with the rest, so that all mistakes are told at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from tunescope.errors import did_you_mean
from tunescope.study.problems import join
from tunescope.study.spec import BaselineName, Seed
from tunescope.tasks.scores import SCORES
from tunescope.tasks.spec import TaskSpec


def check_doubles(values: Mapping[Any, Any], problems: list[str]) -> None:
    """Complains of names, seeds and the like that stand twice, and of methods that bear the name of a baseline.

    Args:
        values: The study as its file says it; what is no list or map is left to others.
        problems: Gets the complaints.
    """
    lists = {
        "tasks": (values.get("tasks"), _name, "Each result needs a name of its own: drop one, or rename it"),
        "base_models": (
            values.get("base_models"),
            _name,
            "Each result needs a name of its own: drop one, or rename it",
        ),
        "seeds": (values.get("seeds"), _seed, "A run that counts twice would invent a spread: drop one"),
        "baselines": (values.get("baselines"), _name, "Drop one"),
    }
    for what, (entries, named, mend) in lists.items():
        names = [named(entry) for entry in entries] if isinstance(entries, list) else []
        for double in sorted({name for name in names if name is not None and names.count(name) > 1}):
            problems.append(f"{what} names {double} twice. {mend}")
    methods = values.get("methods")
    for name in methods if isinstance(methods, dict) else ():
        if name in get_args(BaselineName):
            problems.append(
                f"{join('methods', name)} bears the name of a baseline, beside which it would stand in every table: rename it"
            )


def check_moved(values: dict[Any, Any], problems: list[str]) -> None:
    """Complains of keys that an earlier version had, with what stands for them now, and takes them out.

    Args:
        values: The study as its file says it.
        problems: Gets the complaints.
    """
    if "representations" in values:
        del values["representations"]
        problems.append(
            "representations is not a field of StudySpec. Base models' hidden states are kept, on the examples and by the "
            "poolings of drift, with `drift: {keep_representations: base}`"
        )


def check_task(task: TaskSpec, problems: list[str]) -> None:
    """Complains of splits without a file, and of scores that are not for the task."""
    files = {} if task.dataset.files is None else task.dataset.files
    for split in (task.train_split, task.report_split):
        if task.dataset.hub is None and split not in files:
            problems.append(
                f"tasks.{task.name}.dataset.files has no file for split '{split}'. {did_you_mean(split, files)}"
            )
    for metric in task.metrics:
        score = SCORES.get(metric)
        if score is None or task.kind not in score.kinds:
            fitting = [name for name, candidate in SCORES.items() if task.kind in candidate.kinds]
            problems.append(
                f"tasks.{task.name}.metrics: no score '{metric}' for {task.kind}. {did_you_mean(metric, fitting)}"
            )
    if task.kind == "classification" and "f1" in task.metrics and len(task.labels) != 2:
        problems.append(
            f"tasks.{task.name}.metrics: f1 is for two labels, the task has {len(task.labels)}. Use macro_f1"
        )


def _name(entry: Any) -> str | None:
    """What a task, base model or baseline is called; None where it has no name."""
    if isinstance(entry, dict):
        entry = entry.get("name")
    return entry if isinstance(entry, str) else None


def _seed(entry: Any) -> str | None:
    """A seed as a run gets it, which 1, 1.0 and '1' are alike; None where it is none."""
    try:
        return str(TypeAdapter(Seed).validate_python(entry))
    except ValidationError:
        return None

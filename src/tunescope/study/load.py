"""A YAML file -> a `StudySpec`, or all its mistakes at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tunescope.errors import StudyError, did_you_mean
from tunescope.fields import Slug
from tunescope.methods import METHODS
from tunescope.search.space import Choice, typical
from tunescope.study.family import hypothesis_problems, repeated_hypotheses
from tunescope.study.hypothesis import unknown_measure
from tunescope.study.mentions import check_mentions
from tunescope.study.parts import check_doubles, check_moved, check_task
from tunescope.study.problems import checked, join, shown, unknown_field
from tunescope.study.settings import TrainingSettings
from tunescope.study.spec import MethodEntry, StudySpec
from tunescope.study.swept import NOT_SWEPT, check_budgets, take_sweeps
from tunescope.study.yaml_text import parse_yaml
from tunescope.tasks.registry import catalogue_entry, known_tasks
from tunescope.tasks.spec import TaskSpec

_MAX_STUDY_BYTES = 5_000_000
_TRAINING_FIELDS = tuple(TrainingSettings.model_fields)
_INSTEAD = {"base_model": "base_models", "base_models": "base_model", "epochs": "steps", "steps": "epochs"}
"""Of each pair a study has one; `--set` of the one takes the place of the other."""


def load_study(path: Path, changes: Sequence[str] = ()) -> StudySpec:
    """The study in a YAML file.

    Args:
        path: The file.
        changes: `key=value` texts as given to `--set`: a dotted path into the file (`training.epochs=1`,
            `tasks.0.max_train=500`, `tasks[0].max_train=500`, `methods.lora.rank=16`) and a YAML value.

    Raises:
        StudyError: With every mistake of the file, each with its place.
    """
    return parse_study(read_study_text(path), str(path), changes)


def read_study_text(path: Path) -> str:
    """The text of a study file.

    Raises:
        StudyError: If there is no such file, or it is not a text in UTF-8.
    """
    try:
        if not path.is_file() and not path.is_dir() and path.exists():
            raise StudyError([f"{path}: is a pipe or device; give the study's YAML file."])
        if path.stat().st_size > _MAX_STUDY_BYTES:
            raise StudyError(
                [f"{path}: larger than {_MAX_STUDY_BYTES:,} bytes; a study is a short text. Is it the right file?"]
            )
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise StudyError([f"{path}: no such file. `tunescope init` writes a study to start from."]) from error
    except IsADirectoryError as error:
        raise StudyError([f"{path}: is a folder; give the study's YAML file."]) from error
    except UnicodeDecodeError as error:
        raise StudyError([f"{path}: not UTF-8 at byte {error.start}. Save the file as UTF-8."]) from error
    except OSError as error:
        raise StudyError([f"{path}: cannot be read: {error.strerror}."]) from error


def study_text_as_run(path: Path, changes: Sequence[str]) -> str:
    """The text of a study file; where `--set` changed it, the changes are applied and named in front.

    Raises:
        StudyError: As `load_study`.
    """
    text = read_study_text(path)
    if not changes:
        return text
    raw = parse_yaml(text, str(path))
    for change in changes:
        _apply(raw, change)
    named = "".join(f"#   --set {' '.join(change.split())}\n" for change in changes)
    return f"# As run, with these changes applied:\n{named}" + yaml.safe_dump(raw, sort_keys=False, allow_unicode=True)


def parse_study(text: str, where: str, changes: Sequence[str] = ()) -> StudySpec:
    """As `load_study`, from a text; `where` names it in errors."""
    raw = parse_yaml(text, where)
    if not isinstance(raw, dict):
        raise StudyError(
            [f"{where}: a study is a map with keys such as name, base_model, tasks, methods; got {shown(raw)}"]
        )
    for change in changes:
        _apply(raw, change)
    problems: list[str] = []
    study = _study(raw, problems)
    if problems or study is None:
        raise StudyError([f"{where}: {problem}" for problem in problems])
    return study


def _study(raw: dict[Any, Any], problems: list[str]) -> StudySpec | None:
    values: dict[Any, Any] = dict(raw)
    for key in [key for key in values if not isinstance(key, str)]:
        problems.append(f"the key {shown(key)} must be a word")
        del values[key]
    if values.get("base_model", "") is None and "base_models" in values:
        del values["base_model"]
    if "base_model" in values:
        if "base_models" in values:
            problems.append("give base_model, or base_models with a list, not both")
        values["base_models"] = [values.pop("base_model")]
    if isinstance(values.get("base_models"), list):
        values["base_models"] = [
            {"name": entry} if isinstance(entry, str) else entry for entry in values["base_models"]
        ]
    check_moved(values, problems)
    check_doubles(values, problems)
    tasks = _tasks(values.get("tasks"), problems) if "tasks" in values else None
    methods = _methods(values.get("methods"), problems) if "methods" in values else None
    for key, entries in (("tasks", tasks), ("methods", methods)):
        if entries is not None:
            values[key] = entries
        elif key in values:
            del values[key]  # what is wrong with it has been said
    wrong = {key for key in ("tasks", "methods") if key in raw and key not in values}
    found: list[str] = []
    study: StudySpec | None = checked(StudySpec, values, "", found)
    problems.extend(problem for problem in found if not any(problem.startswith(f"{key} is missing") for key in wrong))
    if study is not None:
        _cross_checks(study, problems)
    return study


def _tasks(raw: Any, problems: list[str]) -> list[Any] | None:
    """Task entries with the catalogue's fields filled in; None where they are no list."""
    if not isinstance(raw, list):
        problems.append(f"tasks must be a list (`[mrpc, rte]` or `- mrpc` lines), got {shown(raw)}")
        return None
    tasks: list[Any] = []
    for index, entry in enumerate(raw):
        at = join("tasks", index)
        filled = _task(entry, at, problems)
        task = None if filled is None else checked(TaskSpec, filled, at, problems)
        if task is not None:
            check_task(task, problems)
            tasks.append(task)
    return tasks if len(tasks) == len(raw) else None


def _task(entry: Any, at: str, problems: list[str]) -> dict[str, Any] | None:
    if isinstance(entry, str):
        entry = {"name": entry}
    if not isinstance(entry, dict):
        problems.append(f"{at} must be a task's name or a map with its fields, got {shown(entry)}")
        return None
    name = entry.get("like", entry.get("name"))
    if isinstance(name, str) and name in known_tasks():
        base = catalogue_entry(name)
        return base | {key: value for key, value in entry.items() if key != "like"}
    if "dataset" not in entry:
        problems.append(f"unknown task {shown(name)} in {at}. {did_you_mean(str(name), known_tasks())}")
        return None
    kinds = ("classification", "regression", "question_answering")
    if entry.get("kind") not in kinds:
        problems.append(f"{join(at, 'kind')} must be one of {', '.join(kinds)}, got {shown(entry.get('kind'))}")
        return None
    return entry


def _methods(raw: Any, problems: list[str]) -> list[MethodEntry] | None:
    """Method entries with their fields sorted out; None where something is wrong with one."""
    if not isinstance(raw, dict):
        problems.append(f"methods must be a map (`lora: {{rank: 8}}` lines), got {shown(raw)}")
        return None
    entries = [entry for name, values in raw.items() if (entry := _method(str(name), values, problems)) is not None]
    return entries if len(entries) == len(raw) else None


def _method(name: str, raw: Any, problems: list[str]) -> MethodEntry | None:
    at = join("methods", name)
    values = {} if raw is None else raw
    if not isinstance(values, dict):
        problems.append(f"{at} must be a map of the method's fields, got {shown(raw)}")
        return None
    kind = values.get("type", name)
    if kind not in METHODS:
        hint = "" if "type" in values else f" (or give {at}.type)"
        problems.append(f"unknown method {shown(kind)} in {at}{hint}. {did_you_mean(str(kind), METHODS)}")
        return None
    model = METHODS[kind]
    fixed = {key: value for key, value in values.items() if key != "type"}
    sweep = take_sweeps(fixed, kind, at, problems)
    own: dict[str, Any] = {}
    training: dict[str, Any] = {}
    for key, value in fixed.items():
        if key in model.model_fields:
            own[key] = value
        elif key in _TRAINING_FIELDS:
            training[key] = value
        else:
            problems.append(
                unknown_field(join(at, str(key)), str(key), model.__name__, [*model.model_fields, *_TRAINING_FIELDS])
            )
    first = {key: typical(space) for key, space in sweep.items() if key in model.model_fields}
    method = checked(model, own | first, at, problems)
    _check_training(training, at, problems)
    for key, space in sweep.items():
        if key in NOT_SWEPT:
            problems.append(f"{join(at, key)} cannot be swept: it changes what a selection score means")
        looked_at: dict[int | str, Any] = dict(enumerate(space.ends()))
        if not isinstance(space, Choice):
            looked_at["between"] = space.inside()
        for index, value in looked_at.items():
            place = join(at, key, "sweep", index)
            if key in model.model_fields:
                checked(model, own | first | {key: value}, place, problems)
            elif key in _TRAINING_FIELDS:
                _check_training({key: value}, place, problems)
            else:
                fields = [*model.model_fields, *_TRAINING_FIELDS]
                problems.append(unknown_field(join(at, key), key, model.__name__, fields))
                break
    if checked(Slug, name, "methods: a method's own name", problems) is None or method is None:
        return None
    return checked(MethodEntry, {"name": name, "method": method, "training": training, "sweep": sweep}, at, problems)


def _check_training(changes: Mapping[str, Any], at: str, problems: list[str]) -> None:
    """Complains about training settings that would not stand on their own."""
    checked(TrainingSettings, dict(changes), at, problems)


def _cross_checks(study: StudySpec, problems: list[str]) -> None:
    tasks = [task.name for task in study.tasks]
    methods = [entry.name for entry in study.methods]
    models = [model.name for model in study.base_models]
    swept = {entry.name: set(entry.sweep) for entry in study.methods}
    for index, override in enumerate(study.overrides):
        at = join("overrides", index)
        _names(join(at, "base_models"), override.base_models, models, problems)
        _names(join(at, "tasks"), override.tasks, tasks, problems)
        _names(join(at, "methods"), override.methods, methods, problems)
        _check_training(override.training, join(at, "training"), problems)
        for name in methods if override.methods is None else override.methods:
            for field in sorted(swept.get(name, set()) & set(override.training)):
                problems.append(
                    f"{join(at, 'training', field)}: method {name} sweeps {field}; an override would undo it. Drop one"
                )
    for index, pin in enumerate(study.placement):
        _names(join("placement", index, "tasks"), pin.tasks, tasks, problems)
    for index, hypothesis in enumerate(study.compare):
        at = join("compare", index)
        _names(join(at, "methods"), hypothesis.methods, methods, problems)
        _names(join(at, "tasks"), hypothesis.tasks, tasks, problems)
        _names(join(at, "base_models"), hypothesis.base_models, models, problems)
        wrong = unknown_measure(hypothesis.measure, study.tasks, measures_drift=study.drift is not None)
        if wrong is not None:
            problems.append(f"{join(at, 'measure')}: {wrong}")
        else:
            problems.extend(f"{join(at, key)}: {told}" for key, told in hypothesis_problems(study, hypothesis))
    problems.extend(f"{join('compare', index)} {told}" for index, told in repeated_hypotheses(study))
    for index, band in enumerate(study.expected):
        _names(join("expected", index, "task"), [band.task], tasks, problems)
        _names(join("expected", index, "method"), [band.method], methods, problems)
    check_mentions(study, problems)
    if not problems:
        _check_cells(study, problems)
    if not problems:
        check_budgets(study, problems)


def _check_cells(study: StudySpec, problems: list[str]) -> None:
    """Settings that are fine one by one and impossible together."""
    untrained: dict[str, dict[str, None]] = {}
    for model in study.base_models:
        for task in study.tasks:
            for entry in study.methods:
                try:
                    settings = [study.settings(model, task, variant) for variant in entry.variants()]
                    for one in settings:
                        why = "" if one.steps is None else one.why_untrained(one.steps)
                        if why:
                            untrained.setdefault(why, {})[f"{task.name} with {entry.name}"] = None
                    if any(one.label_smoothing > 0.0 for one in settings) and task.kind == "regression":
                        problems.append(
                            f"label_smoothing of {task.name} with {entry.name} has no meaning: a regression has no labels. Take "
                            f"it out, or add `overrides: [{{tasks: [{task.name}], training: {{label_smoothing: 0}}}}]`"
                        )
                except ValueError as error:
                    problems.append(f"settings of {task.name} with {entry.name} cannot hold together: {error}")
    problems.extend(f"training of {', '.join(cells)}: {why}" for why, cells in untrained.items())


def _names(at: str, names: Iterable[str] | None, known: Sequence[str], problems: list[str]) -> None:
    for name in names or ():
        if name not in known:
            problems.append(f"{at}: '{name}' is not in this study. {did_you_mean(name, known)}")


def _apply(raw: dict[str, Any], change: str) -> None:
    """Sets one dotted path of a parsed study in place."""
    path, equals, text = change.partition("=")
    keys = re.sub(r"\[(\d+)\](?=[.[]|$)", r".\1", path.strip()).split(".")
    if not equals or not all(keys):
        raise StudyError([f"--set {change}: expected key=value, such as training.epochs=1"])
    value = parse_yaml(text, f"--set {change}")
    target: Any = raw
    for position, key in enumerate(keys):
        last = position == len(keys) - 1
        if isinstance(target, list):
            index = _list_index(target, key, change)
            if isinstance(target[index], str) and not last:
                target[index] = {"name": target[index]}  # the short form of a task or a base model
            if last:
                target[index] = value
            else:
                target = target[index]
        elif isinstance(target, dict):
            if last:
                if value is not None and key in _INSTEAD:
                    target.pop(_INSTEAD[key], None)
                target[key] = value
            else:
                if target.get(key) is None:
                    target[key] = {}
                elif key == "base_model" and isinstance(target[key], str):
                    target[key] = {"name": target[key]}
                target = target[key]
        else:
            raise StudyError(
                [f"--set {change}: {'.'.join(keys[:position])} is {shown(target)}; it has no field '{key}'"]
            )


def _list_index(items: list[Any], key: str, change: str) -> int:
    names = [item.get("name") if isinstance(item, dict) else item for item in items]
    if key in names:
        return names.index(key)
    if key.isdigit() and int(key) < len(items):
        return int(key)
    raise StudyError([f"--set {change}: no entry '{key}' there. {did_you_mean(key, [str(name) for name in names])}"])

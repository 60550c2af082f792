"""What `run` makes sure of before it writes anything: data and models are there and are what the study says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tunescope.errors import StudyError, TunescopeError
from tunescope.hub.source import Source
from tunescope.inference.zero_shot import label_word_ids
from tunescope.models.base import BaseModelSpec
from tunescope.models.network import lay_out, quiet
from tunescope.models.tokenizer import load_tokenizer
from tunescope.models.weights import check_finite
from tunescope.steps.inputs import report_data, training_data
from tunescope.study.configs import BaselineConfig, EvaluateConfig, RetentionConfig, TrainConfig
from tunescope.study.job import Job
from tunescope.study.plan import Plan
from tunescope.study.spec import StudySpec
from tunescope.tasks.spec import Classification, TaskKind, TaskSpec
from tunescope.tasks.texts import read_texts

_COUNT_FROM_PADDING = frozenset(
    {
        "roberta",
        "xlm-roberta",
        "xlm-roberta-xl",
        "camembert",
        "roberta-prelayernorm",
        "xmod",
        "data2vec-text",
        "longformer",
    }
    | {"ibert", "mpnet", "luke", "mluke", "lilt", "layoutlmv3", "esm"}
)
"""Model types whose position embeddings begin after the padding index."""


def check_inputs(plan: Plan, source: Source) -> None:
    """Reads every data set of the plan, checks each row, and holds every method against every base model.

    Raises:
        StudyError: With every fault found, each with its place.
    """
    problems: list[str] = []

    def attempt(check: Callable[[], object]) -> None:
        try:
            check()
        except TunescopeError as error:
            if str(error) not in problems:
                problems.append(str(error))

    for task in _tasks_read(plan.jobs):
        attempt(lambda task=task: check_lengths(plan.study, task, len(training_data(task, source).train)))  # type: ignore[misc]
    for task in _tasks_reported(plan.jobs):
        attempt(lambda task=task: report_data(task, source))  # type: ignore[misc]
    for model in plan.study.base_models:
        attempt(lambda model=model: check_model(plan.study, model, source))  # type: ignore[misc]
    for cell in plan.baselines:
        if cell.baseline == "zero_shot":
            attempt(lambda job=cell.job: check_label_words(job, source))  # type: ignore[misc]
    retained = {measured.base_model: measured.job for measured in plan.drift if measured.what == "retention"}
    for job in retained.values():
        attempt(lambda job=job: check_window(plan.study, job, source))  # type: ignore[misc]
    for text in () if plan.study.retention is None else plan.study.retention.texts:
        attempt(lambda text=text: read_texts(text, source))  # type: ignore[misc]
    if problems:
        raise StudyError(problems)


def check_lengths(study: StudySpec, task: TaskSpec, num_train: int) -> None:
    """Whether every method's training of a task is long enough to train anything.

    Args:
        study: What is asked.
        task: One of its tasks.
        num_train: Examples to train on. A question may give several rows: the loop counts those, and tells then.

    Raises:
        StudyError: With every method whose training is not.
    """
    if task.kind == "question_answering":
        return
    untrained: dict[str, dict[str, None]] = {}
    for model in study.base_models:
        for entry in study.methods:
            settings = study.settings(model, task, entry.typical())
            if why := settings.why_untrained(settings.num_steps(num_train)):
                untrained.setdefault(why, {})[entry.name] = None
    if untrained:
        rows = f"{num_train} {'row' if num_train == 1 else 'rows'}"
        raise StudyError(
            [f"training of {task.name} on {rows} with {', '.join(names)}: {why}" for why, names in untrained.items()]
        )


def check_label_words(job: Job, source: Source) -> None:
    """Whether a zero-shot baseline's label words have tokens of their own after the prompt.

    Raises:
        TunescopeError: If one has not, or there is no such tokenizer.
    """
    config = job.config
    assert isinstance(config, BaselineConfig)
    assert isinstance(config.task, Classification)
    model = config.base_model
    assert model is not None
    label_word_ids(config.task, load_tokenizer(model, source.model_folder(model.name, model.revision)))


def check_window(study: StudySpec, job: Job, source: Source) -> None:
    """Whether a base model has positions for the windows of plain text that retention reads.

    Raises:
        StudyError: If it has not.
    """
    config = job.config
    assert isinstance(config, RetentionConfig)
    model = config.base_model
    folder = source.model_folder(model.name, model.revision)
    laid = lay_out(model, folder, task_kind=config.task.kind, num_labels=_num_labels(config.task))
    positions = _usable_positions(laid.config, study)
    if positions is not None and config.window > positions:
        raise StudyError(
            [
                f"retention.window is {config.window}, but base model {model.name} has {positions} positions for tokens. "
                f"Lower it to {positions} or less"
            ]
        )


def check_model(study: StudySpec, model: BaseModelSpec, source: Source) -> None:
    """Holds every task's head and every method against a base model, on the meta device, and looks through its weights.

    Raises:
        StudyError: With everything that does not fit.
    """
    folder = source.model_folder(model.name, model.revision)
    problems: list[str] = []
    heads: set[tuple[TaskKind, int]] = set()
    for task in study.tasks:
        try:
            config = lay_out(model, folder, task_kind=task.kind, num_labels=_num_labels(task)).config
        except TunescopeError as error:
            problems.append(str(error))
            continue
        heads.add((task.kind, _num_labels(task)))
        positions = _usable_positions(config, study)
        if not _has_room(task, positions):
            problems.append(
                f"tasks.{task.name}.max_length is {task.max_length}, but base model {model.name} has {positions} positions for "
                f"tokens. Lower it to {positions} or less"
            )
    for kind, num_labels in sorted(heads):
        for entry in study.methods:
            for variant in entry.variants():
                try:
                    skeleton = lay_out(model, folder, task_kind=kind, num_labels=num_labels).skeleton
                    with quiet():
                        variant.method.apply(skeleton, kind, seed=0)
                except TunescopeError as error:
                    problems.append(f"methods.{entry.name}: {error}")
    if heads:
        try:
            check_finite(folder, where=f"base_model {model.name}")
        except TunescopeError as error:
            problems.append(str(error))
    if problems:
        raise StudyError(list(dict.fromkeys(problems)))


def has_room(study: StudySpec, model: BaseModelSpec, task: TaskSpec, source: Source) -> bool:
    """Whether a base model has positions for a task's longest rows; `check_model` complains where it has not.

    Raises:
        TunescopeError: If there is no such model, or the task's head does not fit it.
    """
    folder = source.model_folder(model.name, model.revision)
    config = lay_out(model, folder, task_kind=task.kind, num_labels=_num_labels(task)).config
    return _has_room(task, _usable_positions(config, study))


def _has_room(task: TaskSpec, positions: int | None) -> bool:
    return positions is None or task.max_length <= positions


def _usable_positions(config: Any, study: StudySpec) -> int | None:
    """Tokens that a row may have: RoBERTa and its kin count positions from padding_idx + 1; virtual tokens take some."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None:
        return None
    if config.model_type in _COUNT_FROM_PADDING:
        positions -= config.pad_token_id + 1
    virtual = [getattr(entry.method, "config", {}).get("num_virtual_tokens", 0) for entry in study.methods]
    return int(positions) - int(max(virtual))


def _num_labels(task: TaskSpec) -> int:
    return len(task.labels) if task.kind == "classification" else 1


def _tasks_read(jobs: tuple[Job, ...]) -> list[TaskSpec]:
    """The tasks whose train split some job reads, each in one view."""
    views = [job.config.task for job in jobs if isinstance(job.config, TrainConfig)]
    return list({view.model_dump_json(): view for view in views}.values())


def _tasks_reported(jobs: tuple[Job, ...]) -> list[TaskSpec]:
    views = [
        job.config.task
        for job in jobs
        if isinstance(job.config, EvaluateConfig)
        or (isinstance(job.config, BaselineConfig) and job.config.baseline != "reference")  # which reads no rows
    ]
    return list({view.model_dump_json(): view for view in views}.values())

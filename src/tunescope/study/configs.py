"""What bears on each kind of job's result, and nothing else: the configs whose hash is a job's identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, ClassVar, Literal

from pydantic import Field, SerializeAsAny

from tunescope.methods import Method
from tunescope.models.base import BaseModelSpec
from tunescope.search.settings import SearchSettings
from tunescope.search.space import Space
from tunescope.study.drift import Control, Pooling, Read
from tunescope.study.job import StepConfig
from tunescope.study.settings import DEFAULT_EPOCHS, TrainingSettings
from tunescope.study.spec import BaselineName
from tunescope.tasks.spec import Classification, TaskKind, TaskSpec
from tunescope.tasks.texts import TextSource


class _OnTask(StepConfig):
    """A step on a task. The task's name and its files' paths are no part of the identity: content hashes stand for those."""

    task: TaskSpec
    files_sha256: dict[str, str] = Field(default_factory=dict)
    """Split -> SHA-256 of its file, where the task's rows lie in files of the study's own."""

    def identity(self) -> dict[str, Any]:
        said = self.model_dump(mode="json")
        said["task"]["name"] = "task"
        # It refuses broken files and changes no row: as if it were never set.
        said["task"]["max_characters"] = type(self.task).model_fields["max_characters"].default
        files = said["task"]["dataset"]["files"]
        if files is not None:  # the ending says how the bytes are read
            said["task"]["dataset"]["files"] = {split: PurePath(file).suffix for split, file in files.items()}
        return said


class TrainConfig(_OnTask):
    """One training: base model, task, method, settings, seed. Input `selected`, if any, holds swept values."""

    kind: ClassVar[str] = "train"
    keeps_checkpoints: ClassVar[bool] = True
    keeps_much: ClassVar[bool] = True
    version: Literal[2] = 2
    base_model: BaseModelSpec
    method_kind: str
    method: SerializeAsAny[Method]
    training: TrainingSettings
    seed: int
    watch_drift: float | None = None
    """Share of the steps after which drift is measured on a few selection rows, again and again; never where None."""
    watch_pooling: Pooling = "last_token"
    """How the states that are watched are pooled."""

    def identity(self) -> dict[str, Any]:
        said = super().identity()
        if self.watch_drift is None:  # as if there were no such thing: it changes no weight
            del said["watch_drift"], said["watch_pooling"]
        if self.training.epochs is None and self.training.steps is None:
            said["training"]["epochs"] = DEFAULT_EPOCHS
        return said


class TrialConfig(TrainConfig):
    """One training of a trial. Input `proposals` holds its values; its score is kept, its weights are not."""

    kind: ClassVar[str] = "trial"
    is_for_others: ClassVar[bool] = True
    keeps_much: ClassVar[bool] = False
    number: int
    """The trial's, counted from 0 in each sweep."""
    replicate: int
    """Which of the trial's trainings, counted from 0."""


class ProposeConfig(StepConfig):
    """The values of one wave of trials, and what came of those before.

    Inputs: `previous`, the wave before; `trial_<number>_<replicate>`, its trainings, those that failed left out.
    """

    kind: ClassVar[str] = "propose"
    makes_do_without: ClassVar[frozenset[str]] = frozenset({"trial"})
    is_for_others: ClassVar[bool] = True
    version: Literal[1] = 1
    spaces: dict[str, Space]
    settings: SearchSettings
    first: int
    """Number of the wave's first trial."""
    num: int
    """Trials of a whole wave. Of the last one a sweep may use the first few alone, so that more trials change no wave."""


class SelectConfig(StepConfig):
    """The best trial of a sweep by its selection score. Inputs as of the wave after the last."""

    kind: ClassVar[str] = "select"
    makes_do_without: ClassVar[frozenset[str]] = frozenset({"trial"})
    version: Literal[2] = 2
    spaces: dict[str, Space]
    settings: SearchSettings
    num_trials: int


class EvaluateConfig(_OnTask):
    """The scores of one trained run (input `run`) on the report split."""

    kind: ClassVar[str] = "evaluate"
    version: Literal[1] = 1
    base_model: BaseModelSpec
    precision: Literal["fp32", "bf16"] = "fp32"
    """As the run was trained."""


class BaselineConfig(_OnTask):
    """What is reached without fine-tuning."""

    kind: ClassVar[str] = "baseline"
    version: Literal[2] = 2
    baseline: BaselineName
    base_model: BaseModelSpec | None = None
    """For `zero_shot` alone."""
    seeds: tuple[int, ...] = ()
    """For `random` alone: one draw each."""


class RepresentConfig(_OnTask):
    """What drift needs of a base model on a task's report rows, and its pooled hidden states where they are kept."""

    kind: ClassVar[str] = "represent"
    keeps_much: ClassVar[bool] = True
    is_made_where_needed: ClassVar[bool] = True
    version: Literal[3] = 3
    base_model: BaseModelSpec
    pooling: tuple[Read, ...]
    num_examples: int | None
    """At most so many of the report rows, chosen by row hash; all where None."""
    keep_states: bool


class _DriftOnTask(_OnTask):
    """How far hidden states on a task's report rows are apart."""

    base_model: BaseModelSpec
    measures: tuple[str, ...]
    pooling: tuple[Read, ...]
    num_examples: int | None
    """At most so many of the report rows, chosen by row hash; all where None."""


class DriftConfig(_DriftOnTask):
    """A run (input `run`) against its base model (input `base`, its represent job), or against another run (input `other`)."""

    kind: ClassVar[str] = "drift"
    keeps_much: ClassVar[bool] = True
    version: Literal[3] = 3
    layer_pairs: bool
    weights: bool
    weight_directions: bool
    random_update: bool
    """Whether a random update of the same norm is measured beside it."""
    keep_states: bool
    """Whether the run's own pooled hidden states are kept."""


class DriftControlsConfig(_DriftOnTask):
    """What drift would be if nothing had happened to the base model (input `base`, its represent job), or everything."""

    kind: ClassVar[str] = "drift_controls"
    version: Literal[3] = 3
    controls: tuple[Control, ...]
    untrained: dict[str, SerializeAsAny[Method]]
    """Method's name in the study -> the method, applied to the base model and not trained."""


class RetentionConfig(_OnTask):
    """The loss of a run's backbone (input `run`) and of its base model as language models of plain text."""

    kind: ClassVar[str] = "retention"
    version: Literal[1] = 1
    base_model: BaseModelSpec
    texts: tuple[TextSource, ...]
    texts_sha256: dict[str, str] = Field(default_factory=dict)
    """Text's name -> SHA-256 of its file, where it lies in a file of the study's own."""
    window: int
    max_tokens: int

    def identity(self) -> dict[str, Any]:
        said = super().identity()
        for text in said["texts"]:
            if text["file"] is not None:
                text["file"] = PurePath(text["file"]).suffix
        return said


class ProbeConfig(_OnTask):
    """A linear probe of a task in the frozen states of a run trained on another (input `run`), or of the base model (none).

    The task's `max_train` says how many train rows the probe is fitted on, at most.
    """

    kind: ClassVar[str] = "probe"
    version: Literal[1] = 1
    base_model: BaseModelSpec
    task: Classification
    pooling: Pooling
    run_kind: TaskKind | None
    """The kind of task that the run was trained on, and with it of its head; None without a run."""
    run_labels: int | None
    """Labels of the task that the run was trained on, where it is a classification."""


class ExamplesConfig(_OnTask):
    """A task's report rows as people read them, and what its three parts hold."""

    kind: ClassVar[str] = "examples"
    version: Literal[1] = 1


_SAID_ONLY: dict[str, Any] = {"description": "", "references": (), "expected": None, "license": "unknown"}


def as_trained_on(task: TaskSpec) -> TaskSpec:
    """The task without what cannot bear on a training: its prose, its report split, scores that select nothing."""
    changes: dict[str, Any] = {
        **_SAID_ONLY,
        "report_split": "unread",
        "max_report": None,
        "metrics": (task.primary_metric,),
    }
    if task.kind == "classification":
        changes["label_words"] = None
    return _without_unread_files(task, {task.train_split}).model_copy(update=changes)


def as_reported(task: TaskSpec) -> TaskSpec:
    """The task without what cannot bear on its report scores: its prose, and how the train split is cut."""
    changes: dict[str, Any] = {
        **_SAID_ONLY,
        "train_split": "unread",
        "selection_share": 0.1,
        "max_selection": 1000,
        "max_train": None,
    }
    if task.kind == "classification":
        changes["label_words"] = None
    return _without_unread_files(task, {task.report_split}).model_copy(update=changes)


def as_probed(task: Classification, num_examples: int) -> Classification:
    """The task as a probe of it sees it: without its prose and its choice of scores, and with so many train rows at most."""
    changes: dict[str, Any] = {
        **_SAID_ONLY,
        "label_words": None,
        "metrics": ("accuracy",),
        "max_train": min(num_examples, task.max_train or num_examples),
    }
    read = _without_unread_files(task, {task.train_split, task.report_split})
    assert isinstance(read, Classification)
    return read.model_copy(update=changes)


def as_read(task: TaskSpec) -> TaskSpec:
    """The task without what cannot bear on which rows are read: its prose, its scores but the first."""
    changes: dict[str, Any] = {**_SAID_ONLY, "metrics": (task.primary_metric,)}
    if task.kind == "classification":
        changes["label_words"] = None
    return _without_unread_files(task, {task.train_split, task.report_split}).model_copy(update=changes)


def as_baseline(task: TaskSpec, baseline: BaselineName) -> TaskSpec:
    """The task as a baseline sees it: some need the train rows, the references or the label words, none needs more."""
    if baseline == "reference":
        return _without_unread_files(as_reported(task), set()).model_copy(update={"references": task.references})
    if reads_train_rows(task, baseline):
        unread = {"label_words": None} if task.kind == "classification" else {}
        read = _without_unread_files(task, {task.train_split, task.report_split})
        return read.model_copy(update=_SAID_ONLY | unread)
    words = {"label_words": task.label_words} if baseline == "zero_shot" and task.kind == "classification" else {}
    return as_reported(task).model_copy(update=words)


def reads_train_rows(task: TaskSpec, baseline: BaselineName) -> bool:
    """Whether a baseline learns something from the train split: its commonest label, its mean, its range."""
    return (baseline == "majority" and task.kind != "question_answering") or (
        baseline == "random" and task.kind == "regression"
    )


def hashes_of(task: TaskSpec, hashes: Mapping[str, str]) -> dict[str, str]:
    """Split -> SHA-256 of its file, for a task's files."""
    return {split: _hash_of(file, hashes) for split, file in (task.dataset.files or {}).items()}


def text_hashes_of(texts: Sequence[TextSource], hashes: Mapping[str, str]) -> dict[str, str]:
    """Text's name -> SHA-256 of its file, for those that lie in files."""
    return {text.name: _hash_of(text.file, hashes) for text in texts if text.file is not None}


def _hash_of(file: str, hashes: Mapping[str, str]) -> str:
    assert file in hashes, f"no SHA-256 was given for {file}: the ids would not see its bytes"
    return hashes[file]


def _without_unread_files(task: TaskSpec, splits: set[str]) -> TaskSpec:
    files = task.dataset.files
    if files is None:
        return task
    read = {split: file for split, file in files.items() if split in splits}
    return task.model_copy(update={"dataset": task.dataset.model_copy(update={"files": read})})

"""What is asked: a study, as data. `load.py` makes one from a YAML file and reports all its mistakes together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from tunescope.fields import Count, Frozen, Slug
from tunescope.methods import Method
from tunescope.models.base import BaseModelSpec
from tunescope.search.settings import SweepSettings
from tunescope.search.space import Space, is_searched, typical
from tunescope.study.drift import DriftSettings, RetentionSettings
from tunescope.study.hypothesis import Hypothesis
from tunescope.study.settings import TrainingSettings
from tunescope.study.trackers import Trackers
from tunescope.tasks.spec import TaskSpec


def _true_is_no_seed(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a whole number")
    return value


Seed = Annotated[int, Field(ge=0, le=2**32 - 1), BeforeValidator(_true_is_no_seed)]
BaselineName = Literal["majority", "random", "reference", "zero_shot"]


class MethodEntry(Frozen):
    """A method under comparison: the way to fine-tune, its training settings, and what a sweep chooses."""

    name: Slug
    method: SerializeAsAny[Method]
    training: dict[str, Any] = Field(default_factory=dict)
    """Training settings that differ from the study's, in force for this method alone."""
    sweep: dict[str, Space] = Field(default_factory=dict)
    """Field of the method or of its training -> where to look for its value, judged on the selection rows."""

    def typical(self) -> MethodEntry:
        """This entry with a likely value for every swept field, to plan with."""
        return self.with_values(self._typical_values())

    def variants(self) -> Iterator[MethodEntry]:
        """The typical entry, then it with each swept field at each of its listed values, or at both ends of its range."""
        yield self.typical()
        for name, space in self.sweep.items():
            needed = {field: wanted[0] for field, wanted in space.when.items()}
            for value in space.ends():
                yield self.with_values(self._typical_values() | needed | {name: value})

    def _typical_values(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, space in self.sweep.items():
            if is_searched(space, values):
                values[name] = typical(space)
        return values

    def with_values(self, values: Mapping[str, Any]) -> MethodEntry:
        """This entry with swept fields set and no sweep left."""
        own = {name: value for name, value in values.items() if name in type(self.method).model_fields}
        rest = {name: value for name, value in values.items() if name not in own}
        method = type(self.method).model_validate(self.method.model_dump() | own)
        return MethodEntry(name=self.name, method=method, training=self.training | rest)


class Override(Frozen):
    """Training settings for some cells of the study; the last override that fits wins."""

    base_models: tuple[str, ...] | None = None
    """Base models it holds for; all where absent."""
    tasks: tuple[Slug, ...] | None = None
    """Tasks it holds for; all where absent."""
    methods: tuple[Slug, ...] | None = None
    """Methods it holds for; all where absent."""
    training: dict[str, Any]

    def fits(self, base_model: str, task: str, method: str) -> bool:
        return (
            (self.base_models is None or base_model in self.base_models)
            and (self.tasks is None or task in self.tasks)
            and (self.methods is None or method in self.methods)
        )


class Device(Frozen):
    """A machine the study may use, for predictions and for `check`."""

    name: str = "cpu"
    """A known device (`tunescope plan` lists them when it meets an unknown one)."""
    memory_gib: Annotated[float, Field(gt=0.0)] | None = None
    """What a job may use; the device's own memory where absent."""


class Compute(Frozen):
    """Where and in what portions the work is done: nothing here changes what is computed.

    A single run's figures can move within the spread of seeds all the same: devices and threads round differently, and
    dropout's masks follow the shapes of the micro-batches.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    expected_device: Device | None = None
    """For predictions, the machines the study is meant for; this machine where absent."""
    micro_batch_tokens: Count = 4096
    """Tokens, padding included where there is any, computed at once in training. The gradient is the same whatever this is, but
    where a model or method has dropout, other portions draw other masks, so a single run ends elsewhere within the spread of seeds."""
    evaluation_batch_tokens: Count = 16384
    """Tokens, padding included, computed at once in evaluation."""
    padding_free: bool = True
    """Train on the rows' own tokens, laid end to end, wherever a trial at the start of the run gives what padded rows give; else,
    and where false, rows are padded to the longest of their micro-batch. A run's record says which."""
    gradient_checkpointing: bool = False
    pack_weights: bool = False
    """Keep fully tuned models as compressed differences from the base model's weights: about two thirds of the space, every bit
    kept. Reading one then needs the base model; `tunescope unpack` writes the plain model."""
    num_threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """CPU threads of one job; where absent, what OMP_NUM_THREADS says, else the physical cores the process may use."""
    job_timeout_s: Annotated[float, Field(gt=0.0)] | None = None
    """Deadline of one try of one job: a worker that passes it is replaced. Absent: none, but a worker that gives no sign of
    life is replaced all the same."""
    worker_memory_gib: Annotated[float, Field(gt=0.0)] | None = None
    """Resident memory one worker may use; absent: what the machine has."""
    checkpoint_every_s: Annotated[float, Field(ge=0.0)] = 120.0
    """Seconds between checkpoints: what a crash may cost."""
    price_per_hour: Annotated[float, Field(ge=0.0)] | None = None
    """What an hour of one machine costs, in whatever money; the report then tells what each part of the study cost."""


JOB_KINDS = (
    *("baseline", "propose", "trial", "select", "train", "evaluate"),
    *("represent", "drift", "drift_controls", "retention", "probe", "examples"),
)
"""What a pin may name as steps."""


class Pin(Frozen):
    """Which of `--workers` does what; jobs that no pin names are placed by balance."""

    worker: Annotated[int, Field(ge=1)]
    """Workers are counted from 1."""
    tasks: tuple[Slug, ...] | None = None
    steps: tuple[str, ...] | None = None
    """Kinds of job, as `JOB_KINDS` lists them."""

    @model_validator(mode="after")
    def _pins_something(self) -> Self:
        if not self.tasks and not self.steps:
            raise ValueError("a pin names tasks, steps or both")
        return self


class ExpectedRange(Frozen):
    """Where a result is expected to lie, from earlier work; shown beside it, never used."""

    task: Slug
    method: Slug
    metric: str
    low: float
    high: float

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self


class StudySpec(Frozen):
    """A whole comparison: base models x tasks x methods x seeds."""

    name: Slug
    question: str = ""
    """What the study is to answer, for the reader of its report."""
    base_models: Annotated[tuple[BaseModelSpec, ...], Field(min_length=1)]
    tasks: Annotated[tuple[TaskSpec, ...], Field(min_length=1)]
    methods: Annotated[tuple[MethodEntry, ...], Field(min_length=1)]
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    training: TrainingSettings = TrainingSettings()
    overrides: tuple[Override, ...] = ()
    sweep: SweepSettings = SweepSettings()
    baselines: tuple[BaselineName, ...] = ("majority", "random", "reference", "zero_shot")
    drift: DriftSettings | None = None
    retention: RetentionSettings | None = None
    compute: Compute = Compute()
    placement: tuple[Pin, ...] = ()
    trackers: Trackers = Trackers()
    compare: tuple[Hypothesis, ...] = ()
    """The family of hypotheses; where absent, every pair of methods is compared, and marked exploratory."""
    logs: str | None = None
    """Folder for the job logs, relative to where the command runs; in the store where absent."""
    expected: tuple[ExpectedRange, ...] = ()

    def settings(self, base_model: BaseModelSpec, task: TaskSpec, entry: MethodEntry) -> TrainingSettings:
        """The settings in force for one cell: the study's, then the method's, then each override that fits."""
        changes = [self.training.updated(entry.training)]
        for override in self.overrides:
            if override.fits(base_model.name, task.name, entry.name):
                changes.append(changes[-1].updated(override.training))
        return changes[-1]

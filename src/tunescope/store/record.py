"""The `record.json` that says an artifact is whole: what was asked, what came of it, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, JsonValue

from tunescope.fields import Frozen

RECORD_FORMAT = 1
RECORD_FILE = "record.json"


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or str(PurePosixPath(path)) != path:
        raise ValueError("must be a plain path inside the artifact, such as 'adapter/adapter_config.json'")
    return path


RelativePath = Annotated[str, AfterValidator(_inside)]
"""A path inside an artifact's folder, with '/' between its parts."""

Covers = Literal["job", "process"]


class FileEntry(Frozen):
    """What a file of an artifact must be to count as whole."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    num_bytes: Annotated[int, Field(ge=0)]


class Machine(Frozen):
    """Where a job ran."""

    hostname: str
    system: str
    processor: str
    num_cores: int
    """Cores this process may use, which can be fewer than the machine has."""
    memory_gib: float
    gpus: list[str] | None
    """Name and memory of each NVIDIA GPU; empty where there is none, None where the driver did not answer."""


FailureCause = Literal["out_of_memory", "not_finite", "lost", "timeout", "disk", "code"]
"""Why a try of a job left no artifact: "lost" if its worker or machine died, "timeout" if it passed its deadline or hung,
"code" for all that the others do not name."""


class Attempt(Frozen):
    """A try of a job that left no artifact and was followed by another."""

    cause: FailureCause
    reason: str
    worker: str
    """Which worker it ran on; empty where there are none."""
    ended_at: AwareDatetime
    duration_s: Annotated[float, Field(ge=0.0)] | None
    """None where nobody saw it begin."""


class Telemetry(Frozen):
    """What a job's process and device did meanwhile, sampled; None where it cannot be measured."""

    num_samples: Annotated[int, Field(ge=0)]
    interval_s: Annotated[float, Field(gt=0.0)]
    rss_peak_gib: Annotated[float, Field(ge=0.0)] | None
    """Largest sampled resident memory of the process and its children, GiB."""
    cpu_percent_mean: Annotated[float, Field(ge=0.0)] | None
    """100 is one processor busy."""
    gpu_utilisation_percent_mean: Annotated[float, Field(ge=0.0)] | None
    """Share of the time in which a kernel ran (NVML)."""
    gpu_memory_used_peak_gib: Annotated[float, Field(ge=0.0)] | None
    """Of the whole device, whoever used it (NVML)."""
    energy_j: Annotated[float, Field(ge=0.0)] | None
    """Of the device or the processors' packages, whoever used them, joules."""
    energy_source: str
    """Which counter says so, or why none does."""


class Record(Frozen):
    """All that is known of an artifact. Environment variables are never part of it: they hold secrets."""

    format: Literal[1]
    kind: str
    id: str
    label: str
    config: dict[str, JsonValue]
    inputs: dict[str, str]
    """Role -> id of the artifact that played it."""
    files: dict[RelativePath, FileEntry]
    facts: dict[str, JsonValue]
    """What the step measured or saw: settings in force, fingerprints of the data it read, counts, scores."""
    versions: dict[str, str]
    """Library -> version, those that are installed."""
    python: str
    commit: str | None
    """Git commit of the tunescope checkout; None where tunescope is not run from one, or git does not tell."""
    dirty: bool | None
    """Whether the checkout's `src` differed from that commit."""
    machine: Machine
    started_at: AwareDatetime
    duration_s: Annotated[float, Field(ge=0.0)]
    peak_memory_gib: Annotated[float, Field(ge=0.0)]
    """Peak resident memory of the process that ran the job, by the kernel's own high-water mark."""
    peak_memory_covers: Covers
    """"job" where the mark was set back when the job began (Linux), else the "process" since its start.

    Either way all that the process held then counts, what earlier jobs left too: see `memory_at_start_gib`.
    """
    memory_at_start_gib: Annotated[float, Field(ge=0.0)] | None = None
    """Resident memory when the job began: libraries, and data that earlier jobs of the same process read and keep."""
    gpu_peak_allocated_gib: Annotated[float, Field(ge=0.0)] | None = None
    """Peak memory of tensors on the GPU (torch.cuda.max_memory_allocated); None where the job used none."""
    gpu_peak_reserved_gib: Annotated[float, Field(ge=0.0)] | None = None
    """Peak memory that torch's allocator took from the GPU (torch.cuda.max_memory_reserved)."""
    worker: str = ""
    """Which worker of the run made it; empty where the command did it itself."""
    attempts: tuple[Attempt, ...] = ()
    """Earlier tries in the same run, oldest first."""
    telemetry: Telemetry | None = None


@dataclass(frozen=True, kw_only=True)
class RecordFields:
    """What the worker knows of a job when its step has ended; the store adds the files and where it ran."""

    label: str
    config: Mapping[str, JsonValue]
    inputs: Mapping[str, str]
    facts: Mapping[str, JsonValue]
    started_at: datetime
    duration_s: float
    peak_memory_gib: float
    peak_memory_covers: Covers
    memory_at_start_gib: float | None = None
    gpu_peak_allocated_gib: float | None = None
    gpu_peak_reserved_gib: float | None = None
    worker: str = ""
    attempts: tuple[Attempt, ...] = ()
    telemetry: Telemetry | None = None


class Failure(Frozen):
    """Why a job failed."""

    label: str
    reason: str
    """One message for people: what happened and what to do."""
    error: str
    """The class of the exception, e.g. "tunescope.errors.RunError"."""
    traceback: str
    log: str
    """The job's log, relative to the store."""
    failed_at: AwareDatetime
    duration_s: Annotated[float, Field(ge=0.0)] | None = None
    """Seconds that the last attempt took; None in the failures of earlier releases."""
    cause: FailureCause = "code"
    worker: str = ""
    """Which worker the last attempt ran on; empty where the command did it itself."""
    attempts: tuple[Attempt, ...] = ()
    """Earlier tries in the same run, oldest first."""

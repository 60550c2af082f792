"""What is told of a run, to whatever tracker: id, name, config, points by step, summary. Made from the store alone.

Environment variables, the host's name, paths of the machine and texts of the data are no part of it; the reason of a failed run
is told as its record has it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tunescope.store import Failure, Record, Store
from tunescope.store.layout import Layout
from tunescope.trackers.subjects import JobRef, Subject
from tunescope.training.metric_log import LOG_NAME, read_log

Plain = str | int | float | bool
Status = Literal["unfinished", "done", "failed"]
"""`unfinished`: under way, or cut off and not gone on with yet."""

_OF_A_STEP = ("loss", "learning_rate", "grad_norm", "examples", "tokens", "seconds")
_COUNTED = ("num_steps", "num_steps_planned", "kept_step", "stopped_early", "pruned", "train_s", "num_tokens")


@dataclass(frozen=True, kw_only=True)
class Point:
    """All that a metric log says of one step."""

    step: int
    """Counted from 1; 0 is before the first."""
    at_s: float
    """Seconds of training until then: the sum of the steps' own."""
    values: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class ToldRun:
    """One run."""

    id: str
    """The job's."""
    kind: str
    name: str
    study: str
    tags: tuple[str, ...]
    config: Mapping[str, Plain]
    """What made the run what it is, the settings in force, and fingerprints of what it read; names have dots."""
    status: Status
    started_s: float
    """Unix time, seconds."""
    duration_s: float
    points: tuple[Point, ...]
    """By step. Of an unfinished run all but the last, of which the log may not have said everything."""
    summary: Mapping[str, Plain]
    """What came of it; names have slashes."""
    folder: Path | None
    """The artifact of a finished training."""
    files: tuple[str, ...]
    """What lies in the folder, relative to it."""

    @property
    def is_over(self) -> bool:
        return self.status != "unfinished"

    def digest(self) -> str:
        """SHA-256 of all that is told; where the files lie is no part of it, what they are called is."""
        said = asdict(self) | {"folder": None}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def points_digest(self, num: int) -> str:
        """SHA-256 of the first `num` points."""
        said = [(point.step, dict(point.values)) for point in self.points[:num]]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def told_run(subject: Subject, store: Store, study: str, tags: Sequence[str] = ()) -> ToldRun | None:
    """What there is to tell of a run now; None where nothing of it has begun.

    Args:
        subject: Of the plan.
        store: Holds its record, or its failure, or its log so far.
        study: The study's name.
        tags: The user's.

    Raises:
        StoreError: If an artifact is not whole, or a failure cannot be read.
    """
    kind, id = subject.job.kind, subject.job.id
    folder = store.artifact(kind, id)
    record = None if folder is None else store.record(kind, id)
    failure = store.failure(kind, id) if record is None else None
    scratch = Layout(root=store.path).work(kind, id) / "scratch" / LOG_NAME
    log = scratch if folder is None else folder / LOG_NAME
    entries = read_log(log) if log.is_file() else []
    if record is None and failure is None and not entries:
        return None
    status: Status = "done" if record is not None else "failed" if failure is not None else "unfinished"
    points = tuple(points_of(entries, higher_is_better=subject.higher_is_better))
    if status == "unfinished":
        points = points[:-1]
    trained_s = sum(point.values.get("seconds", 0.0) for point in points)
    started_s, duration_s = _when(record, failure, log, trained_s)
    return ToldRun(
        id=id,
        kind=kind,
        name=subject.label,
        study=study,
        tags=tuple(dict.fromkeys((*_own_tags(subject), *tags))),
        config=_config(subject, record),
        status=status,
        started_s=started_s,
        duration_s=duration_s,
        points=points,
        summary=dict(_summary(subject, store, status, record, failure)),
        folder=folder,
        files=() if record is None or not points else tuple(sorted(record.files)),
    )


def points_of(entries: Sequence[Mapping[str, Any]], *, higher_is_better: bool) -> Iterator[Point]:
    """A metric log's entries, in order of step, as one point per step.

    Selection scores are told in their metric's own direction; what is undefined is left out.

    Args:
        entries: As `read_log` has them.
        higher_is_better: Of the selection score: the log has scores turned so that higher is better.
    """
    sign, at_s = 1.0 if higher_is_better else -1.0, 0.0
    by_step: dict[int, dict[str, float]] = {}
    for entry in entries:
        values = by_step.setdefault(int(entry["step"]), {})
        if entry["event"] == "step":
            values |= {name: entry[name] for name in _OF_A_STEP if entry.get(name) is not None}
        elif entry["event"] == "selection":
            if entry["score"] is not None:
                values[f"selection/{entry['metric']}"] = sign * entry["score"]
            if entry.get("standard_error") is not None:
                values["selection/standard_error"] = entry["standard_error"]
        elif entry["event"] == "watched":
            values |= {f"watched_drift/{state}": 1.0 - cka for state, cka in entry["cka"].items() if cka is not None}
    for step in sorted(by_step):
        at_s += by_step[step].get("seconds", 0.0)
        if by_step[step]:  # a step at which a run was resumed says nothing else
            yield Point(step=step, at_s=at_s, values=by_step[step])


def flat(value: Any, name: str = "", sign: str = ".") -> Iterator[tuple[str, Plain]]:
    """A nested value's leaves by dotted name; lists as JSON, what is None left out.

    Example:
        >>> dict(flat({"lora": {"rank": 8, "bias": None, "target_modules": ["q_proj"]}}))
        {'lora.rank': 8, 'lora.target_modules': '["q_proj"]'}
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flat(inner, f"{name}{sign}{key}" if name else str(key), sign)
    elif isinstance(value, list | tuple):
        yield name, json.dumps(value)
    elif value is not None:
        yield name, value


def _own_tags(subject: Subject) -> Iterator[str]:
    yield subject.job.kind
    for name in ("task", "method", "baseline", "base_model"):
        if name in subject.about:
            yield f"{name}:{subject.about[name]}"


def _config(subject: Subject, record: Record | None) -> dict[str, Plain]:
    """The job's own config, then where it stands in the study, then what its record adds."""
    found = dict(flat(subject.config))
    found |= {"task.name": subject.about["task"]}  # the identity has a placeholder there
    found |= flat(subject.about, "run")
    if record is not None:
        facts: dict[str, Any] = dict(record.facts)
        found |= flat(facts.get("settings_in_force", {}), "in_force")
        found |= flat({name: facts.get(name) for name in ("data_fingerprint", "model_fingerprint")})
        found |= flat(record.versions, "versions")
        machine = record.machine
        told = {"processor": machine.processor, "num_cores": machine.num_cores, "gpus": machine.gpus or None}
        found |= flat({"python": record.python, "commit": record.commit, "dirty": record.dirty, "machine": told})
    return found


def _summary(
    subject: Subject, store: Store, status: Status, record: Record | None, failure: Failure | None
) -> Iterator[tuple[str, Plain]]:
    yield "status", status
    if failure is not None:
        yield from flat({"failure": {"cause": failure.cause, "reason": failure.reason}}, sign="/")
        yield "num_attempts", 1 + len(failure.attempts)
    if record is None:
        return
    facts: dict[str, Any] = dict(record.facts)
    yield from flat({name: facts.get(name) for name in _COUNTED})
    if "selection" in facts:
        sign = 1.0 if subject.higher_is_better else -1.0
        score = facts["selection"].get("score")
        yield from flat({f"selection/{subject.metric}": None if score is None else sign * score})
    yield from flat({f"parameters/{name}": facts.get("parameters", {}).get(name) for name in ("trainable", "total")})
    yield from flat(facts.get("scores", {}), "scores", "/")
    yield from flat({f"scores/{cited['metric']}": cited["value"] for cited in facts.get("references", ())})
    memory = {name: getattr(record, name) for name in ("peak_memory_gib", "gpu_peak_allocated_gib")}
    yield from flat(memory | {"gpu_peak_reserved_gib": record.gpu_peak_reserved_gib})
    yield from flat({"duration_s": record.duration_s, "num_attempts": 1 + len(record.attempts)})
    if record.telemetry is not None:
        yield from flat(record.telemetry.model_dump(), "telemetry", "/")
    yield "flags", "; ".join(facts.get("flags", ()))
    yield from _said_by_others(subject, store)


def _said_by_others(subject: Subject, store: Store) -> Iterator[tuple[str, Plain]]:
    """What evaluation, drift and retention found, and a sweep's choice: of those that are done."""
    evaluated = _facts(subject.evaluate, store)
    yield from flat(evaluated.get("scores", {}), "scores", "/")
    yield from flat({"evaluate_s": evaluated.get("evaluate_s"), "num_examples": evaluated.get("num_examples")})
    for compared, value in _facts(subject.drift, store).get("drift", {}).items():
        yield from flat({"drift" if compared == "tuned" else f"drift/{compared}": value})
    yield from flat(_facts(subject.retention, store).get("retention", {}), "retention", "/")
    if "trial" in (chosen := _facts(subject.select, store)):
        yield "is_selected", chosen["trial"] == subject.about["trial"]


def _facts(job: JobRef | None, store: Store) -> dict[str, Any]:
    if job is None or store.artifact(job.kind, job.id) is None:
        return {}
    return dict(store.record(job.kind, job.id).facts)


def _when(record: Record | None, failure: Failure | None, log: Path, trained_s: float) -> tuple[float, float]:
    """When a run began, Unix seconds, and how long it took; of a run without a record, as its log lets one reckon."""
    if record is not None:
        return record.started_at.timestamp(), record.duration_s
    if failure is not None:
        duration_s = failure.duration_s or trained_s
        return failure.failed_at.timestamp() - duration_s, duration_s
    return round(log.stat().st_mtime - trained_s, 3), trained_s

"""A plan, and a store to which results are committed without anything being computed; shared by the tests of what reads a store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tunescope.store import Failure, RecordFields, Store
from tunescope.study.example_jobs import EXAMPLES_NAME
from tunescope.study.job import Job
from tunescope.study.load import parse_study
from tunescope.study.plan import Plan, make_plan

TEXT = """
name: t
base_model: org/decoder
tasks: [rte]
methods: {full: {}, lora: {}}
seeds: [1, 2]
"""
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class StoredStudy:
    """A study's plan and its store; jobs are named by their labels."""

    def __init__(self, folder: Path, text: str = TEXT) -> None:
        study = parse_study(text, "t")
        self.plan: Plan = make_plan(study, {model.name: True for model in study.base_models}, {"plain.txt": "ab"})
        self.store = Store.open(folder, create=True)
        self.jobs: dict[str, Job] = {job.label: job for job in self.plan.jobs}
        self._num = 0

    def commit(
        self,
        label: str,
        facts: Mapping[str, Any],
        files: Mapping[str, str | bytes | pa.Table] | None = None,
        *,
        seconds: float = 1.0,
        memory: float = 0.25,
        gpu: float | None = None,
    ) -> None:
        """An artifact with these facts and files; each job begins a minute after the one before."""
        job = self.jobs[label]
        work = self.store.begin(job.kind, job.id)
        for name, content in (files or {}).items():
            (work.out / name).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, pa.Table):
                pq.write_table(content, work.out / name)
            elif isinstance(content, bytes):
                (work.out / name).write_bytes(content)
            else:
                (work.out / name).write_text(content, encoding="utf-8")
        self.store.commit(
            work,
            RecordFields(
                label=label,
                config=job.config.identity(),
                inputs={role: needed.id for role, needed in job.inputs.items()},
                facts=dict(facts),
                started_at=START + timedelta(minutes=self._num),
                duration_s=seconds,
                peak_memory_gib=memory,
                peak_memory_covers="job",
                gpu_peak_allocated_gib=gpu,
                gpu_peak_reserved_gib=gpu,
            ),
        )
        self._num += 1

    def fail(self, label: str, reason: str = "out of memory", seconds: float | None = None) -> None:
        job = self.jobs[label]
        failure = Failure(
            label=label, reason=reason, error="E", traceback="", log="x", failed_at=START, duration_s=seconds
        )
        self.store.begin(job.kind, job.id)
        self.store.fail(job.kind, job.id, failure)

    def train(
        self,
        label: str,
        *,
        log: Sequence[Mapping[str, Any]] = (),
        settings: Mapping[str, Any] | None = None,
        trainable: int = 10,
        train_s: float = 2.0,
        memory: float = 0.25,
        gpu: float | None = None,
        weights: str = "",
        kept: str = "",
        **more: Any,
    ) -> None:
        """A training; its weights are its own unless they are named. `kept` is the file that holds them, if one is to be there."""
        lost = {"num_examples": 20, "num_truncated": 5, "num_tokens_lost": 50}
        facts = {
            "weights_sha256": weights or label,
            "settings_in_force": dict(settings or {"optimiser": "AdamW"}),
            "parameters": {"trainable": trainable, "total": 100},
            "num_steps": 30,
            "kept_step": 20,
            "stopped_early": False,
            "train_s": train_s,
            "num_tokens": 1000,
            "num_examples": {"train": 20, "selection": 4},
            "truncation": {"train": lost, "selection": lost | {"num_examples": 4, "num_truncated": 0}},
            "data_fingerprint": "train bytes",
            "model_fingerprint": "model bytes",
            "flags": [],
        }
        lines = "".join(json.dumps(entry) + "\n" for entry in log)
        files: dict[str, str | bytes] = {"log.jsonl": lines} | ({kept: b"weights"} if kept else {})
        self.commit(label, facts | more, files, seconds=train_s + 1.0, memory=memory, gpu=gpu)

    def evaluate(self, label: str, targets: Sequence[Any], predicted: Sequence[Any], ids: Sequence[str] = ()) -> None:
        """An evaluation of these predictions; its accuracy is counted, other scores are not there."""
        right = [one == other for one, other in zip(targets, predicted, strict=True)]
        names = list(ids or (f"validation-{number}" for number in range(len(targets))))
        table = pa.table({"id": names, "target": list(targets), "prediction": list(predicted)})
        metrics = {
            "scores": {"accuracy": sum(right) / len(right)},
            "undefined": {},
            "num_examples": len(right),
        }
        facts = {
            "evaluate_s": 0.5,
            "num_tokens": 100,
            "num_examples": len(right),
            "truncation": {"num_examples": len(right), "num_truncated": 1, "num_tokens_lost": 3},
            "data_fingerprint": "report bytes",
            "flags": [],
        }
        self.commit(label, facts, {"metrics.json": json.dumps(metrics), "predictions.parquet": table})

    def examples(self, label: str, texts: Mapping[str, Sequence[str]], targets: Sequence[Any]) -> None:
        """The report rows of a task."""
        columns = {"id": [f"validation-{number}" for number in range(len(targets))]}
        columns |= {f"text {name}": list(values) for name, values in texts.items()}
        facts = {
            "num_examples": {"train": 20, "selection": 4, "report": len(targets)},
            "label_balance": {part: {"a": 1, "b": 3} for part in ("train", "selection", "report")},
            "num_seen_before": 1,
            "selection_kin": {"num_rows": 4, "num_equal": 0, "num_sharing": 1, "num_inside": 0},
            "train_fingerprint": "train bytes",
            "data_fingerprint": "report bytes",
        }
        self.commit(label, facts, {EXAMPLES_NAME: pa.table(columns | {"target": list(targets)})})

    def run(self, label: str, predicted: Sequence[Any], targets: Sequence[Any], **more: Any) -> None:
        """A training and its evaluation."""
        self.train(label, **more)
        self.evaluate(f"{label}-evaluate", targets, predicted)

"""A study whose runs were trained, evaluated or cut off, without anything being computed; and a way to have it exported."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from stored_study import StoredStudy
from tunescope.study.trackers import Trackers
from tunescope.trackers.exporter import Exported, Exporter
from tunescope.trackers.serve import Asked
from tunescope.trackers.subjects import subjects_of


class Study(StoredStudy):
    """Two trainings that are done, one that is under way, one that has not begun; the first is evaluated."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.train("rte-full-seed1", log=log_of(12), **self.selection(0.75))
        self.scored("rte-full-seed1-evaluate", 0.75)
        self.train("rte-full-seed2", log=log_of(12, seed=2), **self.selection(0.5))
        self.commit(
            "rte-majority", {"scores": {"accuracy": 0.5}, "num_examples": 4, "data_fingerprint": "report bytes"}
        )

    @staticmethod
    def selection(score: float) -> dict[str, Any]:
        return {"selection": {"score": score, "step": 8, "metric": "accuracy", "num_examples": 4}}

    def scored(self, label: str, accuracy: float) -> None:
        """An evaluation, as its record has it."""
        self.commit(label, {"scores": {"accuracy": accuracy}, "num_examples": 4, "evaluate_s": 0.5})

    def id(self, label: str) -> str:
        return self.jobs[label].id

    def scratch(self, label: str) -> Path:
        """The metric log of a job under way."""
        job = self.jobs[label]
        return self.store.begin(job.kind, job.id).scratch / "log.jsonl"

    def under_way(self, label: str, entries: Sequence[dict[str, Any]]) -> None:
        """A job whose log says so much so far."""
        with self.scratch(label).open("a", encoding="utf-8") as log:
            log.writelines(json.dumps(entry) + "\n" for entry in entries)

    def asked(self, trackers: Trackers, *, every_s: float = 0.0) -> Asked:
        return Asked(
            store=str(self.store.path),
            study=self.plan.study.name,
            tracker=next(iter(trackers.wanted())),
            trackers=trackers,
            subjects=tuple(subjects_of(self.plan)),
            every_s=every_s,
        )


def log_of(num: int, *, first: int = 1, seed: int = 1) -> list[dict[str, Any]]:
    """What a training writes: a line per step, and a scoring of the selection rows after every fourth."""
    entries: list[dict[str, Any]] = []
    for step in range(first, first + num):
        loss = seed / (3.0 * step)
        entries.append(
            {"event": "step", "step": step, "loss": loss, "learning_rate": 1e-3, "grad_norm": 1.0 + loss}
            | {"examples": 8, "tokens": 100 + step, "seconds": 0.25}
        )
        if step % 4 == 0:
            entries.append(
                {"event": "selection", "step": step, "score": step / 16, "note": "", "metric": "accuracy"}
                | {"num_examples": 4, "standard_error": 0.1}
            )
    return entries


def losses_of(entries: Sequence[dict[str, Any]]) -> dict[int, float]:
    return {entry["step"]: entry["loss"] for entry in entries if entry["event"] == "step"}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    for name in ("WANDB_MODE", "WANDB_BASE_URL", "WANDB_API_KEY", "TRACKIO_DIR"):
        monkeypatch.delenv(name, raising=False)
    return Study(tmp_path / "store")


@pytest.fixture
def export(study: Study) -> Callable[[Trackers], Exported]:
    """Has the study told to a tracker, in a process of its own as the command does."""
    return lambda trackers: Exporter(study.asked(trackers)).finish(timeout_s=120.0)


@pytest.fixture
def log_entries() -> Callable[..., list[dict[str, Any]]]:
    return log_of


@pytest.fixture
def losses() -> Callable[[Sequence[dict[str, Any]]], dict[int, float]]:
    return losses_of

"""The jobs that keep what people need to read a task's results: its report rows, and what its parts hold."""

from __future__ import annotations

from collections.abc import Mapping

from tunescope.study.configs import ExamplesConfig, as_read, hashes_of
from tunescope.study.job import Job
from tunescope.study.labels import label_of
from tunescope.study.spec import StudySpec

EXAMPLES_NAME = "examples.parquet"
"""A row per report row: id, texts, target."""
TEXT_PREFIX = "text "
"""In that file, before each text column's own name."""


def example_jobs(study: StudySpec, hashes: Mapping[str, str]) -> dict[str, Job]:
    """Task's name -> its job, one for every task of a study; none reads a model.

    Args:
        study: What is asked.
        hashes: File as the study names it -> SHA-256 of its bytes.
    """
    jobs = {}
    for task in study.tasks:
        seen = as_read(task)
        config = ExamplesConfig(task=seen, files_sha256=hashes_of(seen, hashes))
        label = label_of(study, None, task.name, "examples")
        jobs[task.name] = Job(label=label, config=config, about={"task": task.name})
    return jobs

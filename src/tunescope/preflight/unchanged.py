"""Whether data and models are still those that the store's artifacts were made from."""

from __future__ import annotations

from collections.abc import Callable

from tunescope.errors import StoreError
from tunescope.hub.fingerprint import weights_fingerprint
from tunescope.hub.source import Source
from tunescope.steps.inputs import report_data, training_data
from tunescope.store import Store
from tunescope.study.configs import (
    BaselineConfig,
    DriftConfig,
    DriftControlsConfig,
    EvaluateConfig,
    ExamplesConfig,
    ProbeConfig,
    RepresentConfig,
    RetentionConfig,
    TrainConfig,
)
from tunescope.study.job import Job
from tunescope.study.plan import Plan


def check_unchanged(plan: Plan, store: Store, source: Source) -> None:
    """Compares the fingerprints in the records of finished jobs with those of the data and weights at hand now.

    A job's identity holds a hub id and a revision, not the bytes behind them, so this guards against reusing results
    that were made from other bytes under the same name.

    Raises:
        StoreError: Naming everything that has changed, and what to do.
    """
    changed: dict[str, list[Job]] = {}
    for job in plan.jobs:
        if store.artifact(job.kind, job.id) is None:
            continue
        facts = store.record(job.kind, job.id).facts
        for fact, (what, now) in _fingerprints(job, source).items():
            if fact in facts and facts[fact] != now():
                changed.setdefault(what, []).append(job)
    if changed:
        raise StoreError(
            "\n".join(
                f"{what} is not what {len(jobs)} finished jobs of {store.path} were made from ({jobs[0].kind}/{jobs[0].id[:8]}, "
                f"{jobs[0].label}, is one). Put back what was there, pin `revision`, or use another --store."
                for what, jobs in changed.items()
            )
        )


def _fingerprints(job: Job, source: Source) -> dict[str, tuple[str, Callable[[], str]]]:
    """Name of the fact -> what it is of, and how to take it now."""
    config = job.config
    found: dict[str, tuple[str, Callable[[], str]]] = {}
    if isinstance(config, TrainConfig):
        found["data_fingerprint"] = (
            f"the {config.task.train_split} split of task {config.task.name}",
            lambda: training_data(config.task, source).fingerprint,
        )
    elif isinstance(
        config,
        EvaluateConfig
        | BaselineConfig
        | RepresentConfig
        | DriftConfig
        | DriftControlsConfig
        | ProbeConfig
        | ExamplesConfig,
    ):
        found["data_fingerprint"] = (
            f"the {config.task.report_split} split of task {config.task.name}",
            lambda: report_data(config.task, source).fingerprint,
        )
    if isinstance(config, BaselineConfig | ProbeConfig | ExamplesConfig):
        found["train_fingerprint"] = (
            f"the {config.task.train_split} split of task {config.task.name}",
            lambda: training_data(config.task, source).fingerprint,
        )
    read = TrainConfig | RepresentConfig | BaselineConfig | DriftConfig | DriftControlsConfig
    if isinstance(config, read | RetentionConfig | ProbeConfig) and config.base_model is not None:
        model = config.base_model
        found["model_fingerprint"] = (
            f"base model {model.name}",
            lambda: weights_fingerprint(source.model_folder(model.name, model.revision)),
        )
    return found

"""The jobs that measure drift: one per run, one per pair of seeds; the base model and the controls once per task."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tunescope.models.base import BaseModelSpec
from tunescope.study.configs import (
    DriftConfig,
    DriftControlsConfig,
    RepresentConfig,
    RetentionConfig,
    as_reported,
    hashes_of,
    text_hashes_of,
)
from tunescope.study.job import Job
from tunescope.study.labels import label_of
from tunescope.study.spec import StudySpec
from tunescope.tasks.spec import TaskSpec

if TYPE_CHECKING:
    from tunescope.study.plan import RunCell


@dataclass(frozen=True, kw_only=True)
class DriftCell:
    """One job of drift or retention, and where it belongs in the study."""

    what: Literal["run", "seeds", "controls", "retention"]
    """A run against its base; two runs of one method against each other; what holds for all runs; plain text."""
    base_model: str
    task: TaskSpec
    method: str | None
    """None for controls."""
    seeds: tuple[int, ...]
    """The run's, or both runs'; empty for controls."""
    job: Job


def represent_jobs(study: StudySpec, hashes: Mapping[str, str]) -> dict[tuple[str, str], Job]:
    """Base model and task -> the job that reads the base model for all that is compared with it; none without `drift:`.

    Args:
        study: What is asked.
        hashes: File as the study names it -> SHA-256 of its bytes.
    """
    if study.drift is None:
        return {}
    return {
        (model.name, task.name): Job(
            label=label_of(study, model, task.name, "represent"),
            config=RepresentConfig(
                **_examples(study, model, task, hashes), keep_states=bool(study.drift.keep_representations)
            ),
            about={"base_model": model.name, "task": task.name},
        )
        for model in study.base_models
        for task in study.tasks
    }


def drift_cells(
    study: StudySpec,
    runs: Sequence[RunCell],
    represent: Mapping[tuple[str, str], Job],
    decoders: Mapping[str, bool],
    hashes: Mapping[str, str],
) -> Iterator[DriftCell]:
    """Every job that measures drift or retention in a study; none where it asks for neither.

    Args:
        study: What is asked.
        runs: Its runs.
        represent: As `represent_jobs` gives them.
        decoders: Base model -> whether it is a decoder; only decoders have a next word to forget.
        hashes: File as the study names it -> SHA-256 of its bytes.
    """
    for model in study.base_models:
        for task in study.tasks:
            own = [run for run in runs if (run.base_model, run.task.name) == (model.name, task.name)]
            if study.drift is not None:
                base = represent[(model.name, task.name)]
                yield from _controls(study, model, task, base, hashes)
                for run in own:
                    yield _against_base(study, model, run, base, hashes)
                if "seeds" in study.drift.controls:
                    yield from _between_seeds(study, model, own, hashes)
            if study.retention is not None and study.retention.texts and decoders[model.name]:
                for run in own:
                    yield _retention(study, model, run, hashes)


def _controls(
    study: StudySpec, model: BaseModelSpec, task: TaskSpec, base: Job, hashes: Mapping[str, str]
) -> Iterator[DriftCell]:
    asked = study.drift
    assert asked is not None
    once = tuple(control for control in asked.controls if control not in ("random_update", "seeds"))
    methods = {entry.name: entry.typical().method for entry in study.methods} if "untrained" in once else {}
    untrained = {name: method for name, method in sorted(methods.items()) if method.kind not in ("full", "head_only")}
    if not untrained and not set(once) - {"untrained"}:
        return
    config = DriftControlsConfig(
        **_on_task(study, model, task, hashes),
        controls=once,
        untrained=untrained,
    )
    label = label_of(study, model, task.name, "drift-controls")
    about = {"base_model": model.name, "task": task.name}
    yield DriftCell(
        what="controls",
        base_model=model.name,
        task=task,
        method=None,
        seeds=(),
        job=Job(label=label, config=config, inputs={"base": base}, about=about),
    )


def _against_base(
    study: StudySpec, model: BaseModelSpec, run: RunCell, base: Job, hashes: Mapping[str, str]
) -> DriftCell:
    asked = study.drift
    assert asked is not None
    config = DriftConfig(
        **_on_task(study, model, run.task, hashes),
        layer_pairs=asked.layer_pairs,
        weights=asked.weights,
        weight_directions=asked.weights and asked.weight_directions,
        random_update="random_update" in asked.controls,
        keep_states=asked.keep_representations is True,
    )
    return DriftCell(
        what="run",
        base_model=model.name,
        task=run.task,
        method=run.method,
        seeds=(run.seed,),
        job=Job(
            label=f"{run.train.label}-drift",
            config=config,
            inputs={"run": run.train, "base": base},
            about=run.evaluate.about,
        ),
    )


def _between_seeds(
    study: StudySpec, model: BaseModelSpec, runs: Sequence[RunCell], hashes: Mapping[str, str]
) -> Iterator[DriftCell]:
    """Each method's runs, seed after seed: as many pairs as make a chain."""
    for method in dict.fromkeys(run.method for run in runs):
        for first, second in itertools.pairwise([run for run in runs if run.method == method]):
            config = DriftConfig(
                **_on_task(study, model, first.task, hashes),
                layer_pairs=False,
                weights=False,
                weight_directions=False,
                random_update=False,
                keep_states=False,
            )
            yield DriftCell(
                what="seeds",
                base_model=model.name,
                task=first.task,
                method=method,
                seeds=(first.seed, second.seed),
                job=Job(
                    label=f"{first.train.label}-to-seed{second.seed}-drift",
                    config=config,
                    inputs={"run": first.train, "other": second.train},
                    about=first.train.about,
                ),
            )


def _retention(study: StudySpec, model: BaseModelSpec, run: RunCell, hashes: Mapping[str, str]) -> DriftCell:
    asked = study.retention
    assert asked is not None
    seen = as_reported(run.task)
    config = RetentionConfig(
        base_model=model,
        task=seen,
        files_sha256=hashes_of(seen, hashes),
        texts=asked.texts,
        texts_sha256=text_hashes_of(asked.texts, hashes),
        window=asked.window,
        max_tokens=asked.max_tokens,
    )
    return DriftCell(
        what="retention",
        base_model=model.name,
        task=run.task,
        method=run.method,
        seeds=(run.seed,),
        job=Job(
            label=f"{run.train.label}-retention", config=config, inputs={"run": run.train}, about=run.evaluate.about
        ),
    )


def _on_task(study: StudySpec, model: BaseModelSpec, task: TaskSpec, hashes: Mapping[str, str]) -> dict[str, Any]:
    assert study.drift is not None
    return _examples(study, model, task, hashes) | {"measures": study.drift.measures}


def _examples(study: StudySpec, model: BaseModelSpec, task: TaskSpec, hashes: Mapping[str, str]) -> dict[str, Any]:
    """What is read, and how: the same for every job of drift of a base model and task."""
    asked = study.drift
    assert asked is not None
    seen = as_reported(task)
    return {
        "base_model": model,
        "task": seen,
        "files_sha256": hashes_of(seen, hashes),
        "pooling": asked.pooling,
        "num_examples": asked.num_examples,
    }

"""`export` as a function: tells a tracker all that the store knows of a study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tunescope.api.stored import DEFAULT_STORE, open_study
from tunescope.errors import TunescopeError, did_you_mean
from tunescope.study.spec import StudySpec
from tunescope.study.trackers import TrackerName, Trackers, WandbTracker
from tunescope.trackers.exporter import Exported, Exporter
from tunescope.trackers.serve import Asked
from tunescope.trackers.subjects import subjects_of


def export_study(
    study: Path,
    to: TrackerName,
    *,
    store: Path = DEFAULT_STORE,
    mirror: Path | None = None,
    changes: Sequence[str] = (),
    mode: str | None = None,
    on_telling: Callable[[str], None] | None = None,
) -> Exported | None:
    """Tells a tracker every training, trial and baseline that the store knows of; done again, it tells what is new.

    The study's `trackers:` section says where to; where it does not name the tracker, its defaults do (of W&B: offline, with
    the study's name as the project).

    Args:
        study: The study's YAML file; or its store; or `STORE/studies/NAME`.
        to: wandb, mlflow, tensorboard or trackio.
        store: Where its results are, if `study` is a file.
        mirror: A folder that stands in for the hub.
        changes: As given to `--set`.
        mode: Of W&B: online, offline or disabled, instead of what the study says.
        on_telling: Told how far it is: a line per run.

    Returns:
        What was told; None where the tracker is disabled.

    Raises:
        TunescopeError: If the study is wrong, there is no store, its exports cannot be written, or the tracker fails.
    """
    opened = open_study(study, store=store, mirror=mirror, changes=changes)
    trackers = _trackers_for(opened.plan.study, to, mode)
    if not trackers.wanted():
        return None
    asked = Asked(
        store=str(opened.store.path.absolute()),
        study=opened.plan.study.name,
        tracker=to,
        trackers=trackers,
        subjects=tuple(subjects_of(opened.plan)),
        every_s=0.0,
    )
    return Exporter(asked).finish(on_telling=on_telling)


def _trackers_for(study: StudySpec, to: str, mode: str | None) -> Trackers:
    """One tracker alone: as the study has it, else with its defaults."""
    if to not in Trackers.model_fields:
        raise TunescopeError(f"--to {to}: unknown tracker. {did_you_mean(to, Trackers.model_fields)}")
    if mode is not None and to != "wandb":
        raise TunescopeError(f"--mode {mode}: {to} has no modes; they are W&B's.")
    there = getattr(study.trackers, to)
    settings: dict[str, Any] = {} if there is None else there.model_dump()
    if to == "wandb":
        settings = {"project": study.name} | settings
        if mode is not None:
            modes = ("online", "offline", "disabled")
            if mode not in modes:
                raise TunescopeError(f"--mode {mode}: unknown. {did_you_mean(mode, modes)}")
            settings["mode"] = mode
        return Trackers(wandb=WandbTracker.model_validate(settings))
    return Trackers.model_validate({to: settings})

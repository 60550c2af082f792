"""What a tracker is to us, and which one the settings name."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from tunescope.errors import TunescopeError
from tunescope.study.trackers import (
    MlflowTracker,
    TensorboardTracker,
    TrackerName,
    TrackerSettings,
    TrackioTracker,
    WandbTracker,
)
from tunescope.trackers.told import ToldRun


class TrackerError(TunescopeError):
    """A tracker cannot be told: what is kept in the store is not touched by it."""


class Tracker(Protocol):
    """Holds runs by our jobs' ids. Whatever its library raises passes: the process that tells it ends then."""

    target: str
    """Where it keeps runs: what was told there is remembered by it."""
    shows_unfinished: bool
    """Whether a run under way is worth telling."""

    def has(self, run: ToldRun) -> bool:
        """Whether the run is there, however much of it."""
        ...

    def tell(self, run: ToldRun, num_there: int) -> None:
        """Makes what is there of a run say what `run` says.

        Args:
            run: All there is to tell.
            num_there: So many of its points are there already; 0: whatever is there of it is replaced.
        """
        ...

    def close(self) -> None:
        """Nothing more will be told."""
        ...


def open_tracker(settings: TrackerSettings, *, study: str, folder: Path) -> Tracker:
    """The tracker that the settings name.

    Args:
        settings: Of the study.
        study: The study's name.
        folder: Of the store, for what the tracker keeps where the settings name no place.

    Raises:
        TrackerError: If its package is not installed.
    """
    if isinstance(settings, WandbTracker):
        _need("wandb", "wandb")
        from tunescope.trackers.wandb import OfflineWandb, OnlineWandb

        kind = OfflineWandb if settings.mode == "offline" else OnlineWandb
        return kind(settings, study=study, folder=folder)
    if isinstance(settings, MlflowTracker):
        for module in ("mlflow", "sqlalchemy", "alembic"):
            _need(module, "mlflow")
        from tunescope.trackers.mlflow import Mlflow

        return Mlflow(settings, study=study, folder=folder)
    if isinstance(settings, TensorboardTracker):
        _need("tensorboard", "tensorboard")
        from tunescope.trackers.tensorboard import Tensorboard

        return Tensorboard(settings, study=study, folder=folder)
    assert isinstance(settings, TrackioTracker)
    _need("trackio", "trackio")
    from tunescope.trackers.trackio import Trackio

    return Trackio(settings, study=study, folder=folder)


def _need(module: str, extra: TrackerName) -> None:
    if find_spec(module) is None:
        raise TrackerError(f"the package {module} is not installed: pip install 'tunescope[{extra}]'")

"""Where a study's metric logs are told to besides its store: the `trackers:` section."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from tunescope.fields import Frozen, Slug

TrackerName = Literal["wandb", "mlflow", "tensorboard", "trackio"]
Artifacts = Literal["none", "adapters", "all"]


def _no_path(name: str) -> str:
    if name.strip(". ") == "" or any(sign in '/\\#?%:"' or not sign.isprintable() for sign in name):
        raise ValueError("must be a name without / \\ # ? % : and quotes")
    return name


def _no_password(uri: str) -> str:
    if urlsplit(uri).password is not None:
        raise ValueError("must not hold a password: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead")
    return uri


Name = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_no_path)]
"""What W&B takes for a project, an entity or a group."""


class WandbTracker(Frozen):
    """Weights & Biases. The key comes from `wandb login` or WANDB_API_KEY, never from the study."""

    project: Name
    entity: Name | None = None
    """User or team; that of the key where absent."""
    group: Name | None = None
    """The study's name where absent."""
    tags: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = ()
    """Given to every run, besides its own: kind, task, method, base model."""
    mode: Literal["online", "offline", "disabled"] = "offline"
    """`offline` writes folders that `wandb sync` sends later; `disabled` tells nothing."""
    artifacts: Artifacts = "none"
    """Which files of a training go along: its adapter or head, or all, weights of full fine-tuning included."""


class MlflowTracker(Frozen):
    """MLflow."""

    tracking_uri: Annotated[str, Field(min_length=1), AfterValidator(_no_password)] | None = None
    """`sqlite:///FILE` or a server; a SQLite file in the store's `exports/mlflow` where absent."""
    experiment: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    """The study's name where absent."""


class TensorboardTracker(Frozen):
    """TensorBoard."""

    folder: Annotated[str, Field(min_length=1)] | None = None
    """Relative to where the command runs; the store's `exports/tensorboard` where absent."""


class TrackioTracker(Frozen):
    """Trackio, as a local SQLite file."""

    project: Slug | None = None
    """The study's name where absent."""
    folder: Annotated[str, Field(min_length=1)] | None = None
    """Relative to where the command runs; the store's `exports/trackio` where absent."""


TrackerSettings = WandbTracker | MlflowTracker | TensorboardTracker | TrackioTracker


class Trackers(Frozen):
    """Where metric logs are told to, beside our own. Each needs its extra: `pip install 'tunescope[wandb]'`."""

    wandb: WandbTracker | None = None
    mlflow: MlflowTracker | None = None
    """`{}` takes every default."""
    tensorboard: TensorboardTracker | None = None
    trackio: TrackioTracker | None = None

    def wanted(self) -> dict[TrackerName, TrackerSettings]:
        """Those that are to be told something, by name."""
        found: dict[TrackerName, TrackerSettings] = {}
        if self.wandb is not None and self.wandb.mode != "disabled":
            found["wandb"] = self.wandb
        if self.mlflow is not None:
            found["mlflow"] = self.mlflow
        if self.tensorboard is not None:
            found["tensorboard"] = self.tensorboard
        if self.trackio is not None:
            found["trackio"] = self.trackio
        return found

"""What a step is, and what it is given beside its config and inputs: things that may not bear on its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tunescope.training.progress import Progress

if TYPE_CHECKING:
    from tunescope.hub.source import Source
    from tunescope.study.spec import Compute

__all__ = ["Progress", "Step", "StepContext"]


@dataclass(frozen=True, kw_only=True)
class StepContext:
    """Where a step finds data and models, what it may compute on, and whom it tells how far it is."""

    source: Source
    compute: Compute
    device: str
    """The device chosen for this job, as torch names it: "cpu", "cuda:0"."""
    num_threads: int
    """CPU threads this job may use."""
    report: Callable[[Progress], None]
    logs: Path | None = None
    """A folder for a second copy of the job's log, named after the job; none where absent."""
    should_stop: Callable[[], bool] = lambda: False
    """Whether the command was asked to stop: a step that keeps checkpoints then writes one and raises `StopRequested`."""


class Step(Protocol):
    """The work of one kind of job."""

    def __call__(
        self, config: Any, inputs: Mapping[str, Path], out: Path, scratch: Path, context: StepContext
    ) -> dict[str, Any]:
        """Does the work; run again after a crash, it goes on from what it left in `scratch`.

        Args:
            config: The step's own `StepConfig`.
            inputs: Role -> folder of a whole artifact; read only.
            out: Empty folder; what the step leaves in it becomes the artifact.
            scratch: Folder for checkpoints; kept until the job is done, then deleted.
            context: Where and with what to compute.

        Returns:
            Facts for the record, as JSON: what the step measured, the settings in force, what it read.
        """
        ...

"""One node of a plan: what is to be done, on what, and where it may run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from tunescope.fields import Frozen
from tunescope.store.identity import content_id


class StepConfig(Frozen):
    """All that bears on a job's result. Each step has its own subclass; `version` rises when the result's meaning changes."""

    kind: ClassVar[str]
    version: int
    makes_do_without: ClassVar[frozenset[str]] = frozenset()
    """Kinds of input that may fail: those that did are left out of what the step is given."""
    is_for_others: ClassVar[bool] = False
    """Whether the result is wanted for the jobs that need it alone: where those are whole, it is not made again."""
    is_made_where_needed: ClassVar[bool] = False
    """Whether jobs of several workers may need it: a worker that does not see another's artifacts makes it for itself."""
    keeps_checkpoints: ClassVar[bool] = False
    """Whether it can be asked to stop and then goes on from there; others are interrupted and begin anew."""
    keeps_much: ClassVar[bool] = False
    """Whether it may keep many GiB. Its files are compared with its record by the jobs that read them; those of the others
    whenever something is told of the job."""

    def identity(self) -> dict[str, Any]:
        """What of this makes the job what it is, as JSON: its id's hash is over this, and its record keeps it.

        Names, and paths beside which a content's hash stands, are no part of it: steps blank them here.
        """
        return self.model_dump(mode="json")


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a job needs and where it may run; no part of its identity."""

    predicted_s: float | None = None
    memory_gib: float | None = None
    disk_gib: float | None = None
    share: float = 1.0
    """Of the tokens that the study computes at once, how many the job begins with: fewer where all are predicted not to fit."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One unit of work, found again by what it is and not by what it is called."""

    label: str
    config: StepConfig
    inputs: Mapping[str, Job] = field(default_factory=dict)
    about: Mapping[str, str | int] = field(default_factory=dict)
    """Coordinates in the study, for people and tables: base_model, task, method, seed; no part of the identity."""
    resources: Resources = field(default_factory=Resources)

    @property
    def kind(self) -> str:
        return self.config.kind

    @cached_property
    def id(self) -> str:
        """Sixteen hex digits of the SHA-256 of kind, the config's identity and inputs' ids."""
        inputs = {role: job.id for role, job in self.inputs.items()}
        return content_id(self.kind, self.config.identity(), inputs)

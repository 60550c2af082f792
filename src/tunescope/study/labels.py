"""What jobs are called, for people: never part of what they are."""

from __future__ import annotations

from tunescope.models.base import BaseModelSpec
from tunescope.study.spec import StudySpec


def label_of(study: StudySpec, model: BaseModelSpec | None, *parts: str) -> str:
    """The parts joined, the base model's short name in front where the study has several and the job is of one."""
    first = () if model is None or len(study.base_models) == 1 else (short_name(model.name),)
    return "-".join((*first, *parts))


def short_name(base_model: str) -> str:
    """The last part of a hub id or path."""
    return base_model.rstrip("/").rsplit("/", 1)[-1]

"""Where in a study something stands: its base model and task, in titles, ids and the first columns of tables."""

from __future__ import annotations

from tunescope.report.content.anchors import part_id
from tunescope.report.content.numbers import model_names
from tunescope.report.content.table import Cell, Column, text
from tunescope.study.spec import StudySpec

Place = tuple[str, str]
"""Base model and task, as the study names them."""

MOST_PLACES = 8
"""Of charts that a section has more than one of for each place: beyond so many places the tables alone have the numbers."""


def has_several_models(study: StudySpec) -> bool:
    """Whether the base model must be named to say where something stands."""
    return len(study.base_models) > 1


def places_of(study: StudySpec) -> list[Place]:
    """Every base model with every task, in the study's order."""
    return [(model.name, task.name) for model in study.base_models for task in study.tasks]


def method_names(study: StudySpec) -> list[str]:
    """In the study's order."""
    return [entry.name for entry in study.methods]


def model_words(study: StudySpec, base_model: str) -> str:
    """A base model as it is shown among those of the study."""
    return model_names(model.name for model in study.base_models).get(base_model, base_model)


def place_words(study: StudySpec, place: Place) -> str:
    """The task, with the base model where the study has several."""
    base_model, task = place
    return f"{task} ({model_words(study, base_model)})" if has_several_models(study) else task


def place_id(study: StudySpec, section: str, place: Place, *more: str) -> str:
    """The id of a chart or table of one place."""
    base_model, task = place
    return part_id(section, model_words(study, base_model) if has_several_models(study) else "", task, *more)


def place_columns(study: StudySpec, task: str = "task") -> list[Column]:
    """The first columns of a table with a row or more per place."""
    columns = [Column(name="base model", is_key=True)] if has_several_models(study) else []
    return [*columns, Column(name=task, is_key=True)]


def place_cells(study: StudySpec, base_model: str | None, task: str) -> list[Cell]:
    """The cells under `place_columns`."""
    model = Cell(shown="any" if base_model is None else model_words(study, base_model), value=base_model)
    return [*([model] if has_several_models(study) else []), text(task)]

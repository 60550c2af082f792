"""Values checked against a model, its complaints in our words: place, what was expected, what was found, what to do."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from tunescope.errors import did_you_mean

M = TypeVar("M")

_MAX_SHOWN = 60
_MEMBER = re.compile(r"[a-z-]+\[.*\]|constrained-[a-z]+", re.DOTALL)
"""What pydantic calls a member of a union in a place."""


def checked(kind: type[M] | Any, value: Any, at: str, problems: list[str]) -> M | Any | None:
    """`value` as a `kind`, or None with every complaint appended to `problems`."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        complaints = error.errors()
        told = [_in_words(kind, one, at) for one in complaints if not _is_echo(one, complaints)]
        problems.extend(_joined(told))
        return None


def join(at: str, *parts: str | int) -> str:
    """A place inside a study: `tasks[2].max_length`."""
    for part in parts:
        named = f"{at}.{part}" if at else str(part)
        at = f"{at}[{part}]" if isinstance(part, int) else named
    return at


def shown(value: Any) -> str:
    """A value as an error message shows it: quoted, and cut where long."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def unknown_field(place: str, word: str, owner: str, fields: Sequence[str]) -> str:
    """The message for a key that is no field."""
    return f"{place} is not a field of {owner}. {did_you_mean(word, fields).replace('Known:', 'Fields:')}"


def _joined(told: Sequence[str]) -> list[str]:
    """Complaints with those on one value that may be of several kinds made one: 'must be A, or B, got ...'."""
    joined: dict[str, str] = {}
    for line in told:
        place, verb, rest = line.partition(" must be ")
        expected, _, found = rest.partition(", got ")
        key = place if verb and found else line
        earlier = joined.get(key)
        if earlier is None or key == line:
            joined[key] = line
        else:
            first, _, got = earlier.partition(", got ")
            joined[key] = f"{first}, or {expected}, got {got}"
    return list(joined.values())


def _is_echo(complaint: ErrorDetails, complaints: Sequence[ErrorDetails]) -> bool:
    """Whether a list is called too short only because its wrong entries were left out."""
    place = complaint["loc"]
    return complaint["type"] == "too_short" and any(
        other["loc"][: len(place)] == place and len(other["loc"]) > len(place) for other in complaints
    )


def _in_words(kind: Any, complaint: ErrorDetails, at: str) -> str:
    location = list(complaint["loc"])
    owner, path = _walk(kind, location, ends_with_key=complaint["type"] == "extra_forbidden")
    place = join(at, *path) or "the study"
    found = complaint["input"]
    match complaint["type"]:
        case "extra_forbidden":
            return unknown_field(
                place, str(path[-1]), owner.__name__ if owner else "it", list(owner.model_fields) if owner else []
            )
        case "missing":
            field = owner.model_fields.get(str(path[-1])) if owner else None
            purpose = f": {field.description}" if field is not None and field.description else ""
            return f"{place} is missing{purpose}"
        case "model_type" | "model_attributes_type" | "dict_type" | "mapping_type":
            return f"{place} must be a map (`key: value` lines), got {_kind_of(found)} {shown(found)}"
        case "tuple_type" | "list_type":
            return f"{place} must be a list (`[a, b]` or `- a` lines), got {_kind_of(found)} {shown(found)}"
        case "too_short":
            least = complaint["ctx"]["min_length"]
            empty = "must not be empty: give" if least == 1 else "must hold"
            return f"{place} {empty} at least {least}, got {shown(found)}"
        case "int_parsing" | "int_type" | "int_from_float":
            return f"{place} must be a whole number, got {shown(found)}"
        case "float_parsing" | "float_type":
            return f"{place} must be a number, got {shown(found)}"
        case "string_pattern_mismatch":
            return f"{place} must be a name of letters, digits, '.', '_' and '-', 64 at most, got {shown(found)}"
        case "value_error":
            return f"{place}: {str(complaint['msg']).removeprefix('Value error, ')}" + (
                "" if isinstance(found, Mapping) else f", got {shown(found)}"
            )
        case "union_tag_not_found":
            return f"{place}.kind is missing: one of {complaint['ctx']['discriminator']} classification, regression, question_answering"
        case _:
            message = str(complaint["msg"])
            expected = message.removeprefix("Input should be ")
            verb = "must be" if expected != message else "is wrong:"
            return f"{place} {verb} {expected}, got {shown(found)}"


def _kind_of(value: Any) -> str:
    names = {
        list: "a list",
        tuple: "a list",
        dict: "a map",
        str: "the text",
        int: "the number",
        float: "the number",
        bool: "the value",
    }
    return "nothing," if value is None else names.get(type(value), type(value).__name__)


def _walk(
    kind: Any, location: Sequence[str | int], *, ends_with_key: bool
) -> tuple[type[BaseModel] | None, list[str | int]]:
    """The model that owns the last key of a pydantic location, and the location without union tags.

    Args:
        kind: What the location is inside of.
        location: As pydantic tells it.
        ends_with_key: Whether its end is a key that someone wrote, whatever it looks like.
    """
    owner: type[BaseModel] | None = None
    path: list[str | int] = []
    current: list[Any] = [kind]
    for position, part in enumerate(location):
        models = [model for option in current for model in _models_in(option)]
        last = position == len(location) - 1
        if isinstance(part, int):
            path.append(part)
            continue
        holders = [model for model in models if part in model.model_fields]
        tagged = [model for model in models if _tag_of(model) == part]
        if tagged and not holders:
            current = list(tagged)
            continue
        if models and not holders and not last:
            continue  # the name of a union's member
        if last and not ends_with_key and not holders and _MEMBER.fullmatch(part):
            continue  # a union's member that is no model: tuple[str, ...], literal['all-linear'], constrained-int
        path.append(part)
        owner = holders[0] if holders else (models[0] if models else owner)
        current = [holder.model_fields[part].annotation for holder in holders] or current
    return owner, path


def _tag_of(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("kind")
    return field.default if field is not None and isinstance(field.default, str) else None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is not None:
        return [model for option in typing.get_args(annotation) for model in _models_in(option)]
    return []

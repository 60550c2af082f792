"""The spaces we recommend, each with its source: `methods.lora.sweep: recommended`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tunescope.fields import Frozen
from tunescope.search.space import Choice, Range, Space

_FOLDER = Path(__file__).parent / "recommended_spaces"


class Recommendation(Frozen):
    """A space for a method, and where its bounds come from."""

    method: str
    """Kind of the method, or the peft config class that it names."""
    spaces: dict[str, Space]
    sources: tuple[str, ...]


def recommended_spaces(kind: str, fields: Mapping[str, Any]) -> dict[str, Choice | Range] | None:
    """The spaces recommended for a method; None where there are none.

    Args:
        kind: As in `METHODS`.
        fields: What the study says of the method: for `peft`, its `config_class` decides.
    """
    name = str(fields.get("config_class")) if kind == "peft" else kind
    found = next((one for one in recommendations() if one.method == name), None)
    return None if found is None else dict(found.spaces)


@cache
def recommendations() -> tuple[Recommendation, ...]:
    """All that we recommend."""
    import yaml

    adapter = TypeAdapter(Recommendation)
    return tuple(
        adapter.validate_python(yaml.safe_load(file.read_text(encoding="utf-8")))
        for file in sorted(_FOLDER.glob("*.yaml"))
    )

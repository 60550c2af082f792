"""The tasks that come with tunescope: one YAML file each, in `catalogue/`."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tunescope.errors import TunescopeError, did_you_mean

_CATALOGUE = Path(__file__).parent / "catalogue"


@cache
def known_tasks() -> tuple[str, ...]:
    """Names of the tasks in the catalogue, sorted."""
    return tuple(sorted(path.stem for path in _CATALOGUE.glob("*.yaml")))


def catalogue_entry(name: str) -> dict[str, Any]:
    """A task of the catalogue as its YAML file says it: the fields of one of `tasks.spec`'s records.

    Returns:
        A new dict at each call, so a caller may change it.

    Raises:
        TunescopeError: If there is no such task.
    """
    if name not in known_tasks():
        raise TunescopeError(f"unknown task '{name}'. {did_you_mean(name, known_tasks())}")
    return copy.deepcopy(_read(name))


@cache
def _read(name: str) -> dict[str, Any]:
    entry = yaml.safe_load((_CATALOGUE / f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(entry, dict), name
    return entry

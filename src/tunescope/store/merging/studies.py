"""What stores say of their studies, brought together: one text, one plan, every run command once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from tunescope.errors import StoreError
from tunescope.store.atomic import write_text
from tunescope.store.history import RunLine, read_runs
from tunescope.store.store import Store


@dataclass(frozen=True, kw_only=True)
class _Told:
    """A study as one store tells it."""

    store: Store
    text: str
    plan: JsonValue
    known: JsonValue


@dataclass(frozen=True, kw_only=True)
class StudiesToMerge:
    """The studies of all stores."""

    texts: dict[str, _Told]
    """Study -> as the merged store will tell it."""
    runs: dict[str, list[RunLine]]
    """Study -> its run commands, each once, oldest first."""
    problems: tuple[str, ...]
    """Studies that two stores tell differently."""


def read_studies(stores: Sequence[Store], preferred: Store | None) -> StudiesToMerge:
    """The studies of all stores, the first store's telling of each, or the preferred one's where they differ.

    Raises:
        StoreError: If a study of a store cannot be read.
    """
    told: dict[str, list[_Told]] = {}
    runs: dict[str, list[RunLine]] = {}
    for store in stores:
        for name in store.studies.names():
            told.setdefault(name, []).append(_read(store, name))
            runs.setdefault(name, []).extend(read_runs(store.layout.runs(name))[0])
    texts: dict[str, _Told] = {}
    problems: list[str] = []
    for name, found in sorted(told.items()):
        texts[name] = next((one for one in found if one.store is preferred), found[0])
        if texts[name].store is preferred:
            continue
        problems.extend(f"study {name}: {what}." for one in found[1:] if (what := _difference(found[0], one)))
    return StudiesToMerge(
        texts=texts,
        runs={name: _each_once(lines) for name, lines in runs.items()},
        problems=tuple(problems),
    )


def add_studies(studies: StudiesToMerge, there: Store) -> int:
    """Writes what the destination lacks.

    Returns:
        Run commands added to histories.

    Raises:
        StoreError: If the disk is full or the store not writable.
    """
    num_added = 0
    for name, told in studies.texts.items():
        own = _read(there, name) if name in there.studies.names() else None
        if told.store is not there and (own is None or _difference(own, told)):
            there.studies.save(name, told.text, told.plan, told.known)
        path = there.layout.runs(name)
        num_there = len(read_runs(path)[0])
        lines = studies.runs.get(name, [])
        if len(lines) > num_there:
            write_text(path, "".join(line.model_dump_json() + "\n" for line in lines))
            num_added += len(lines) - num_there
    return num_added


def _read(store: Store, name: str) -> _Told:
    file = store.studies.file(name)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"{file} cannot be read ({error}): run the study again in that store, which writes it anew."
        ) from error
    return _Told(store=store, text=text, plan=store.studies.plan(name), known=store.studies.known(name))


def _difference(one: _Told, other: _Told) -> str:
    """What two stores tell differently of a study; empty where nothing."""
    for what, is_equal in (
        ("the study itself (study.yaml)", one.text == other.text),
        ("the jobs of its plan (plan.json); perhaps two versions of tunescope made them", one.plan == other.plan),
        ("what is known of its models and files (known.json)", one.known == other.known),
    ):
        if not is_equal:
            return f"{one.store.path} and {other.store.path} differ in {what}"
    return ""


def _each_once(lines: Sequence[RunLine]) -> list[RunLine]:
    return sorted({line.model_dump_json(): line for line in lines}.values(), key=lambda line: line.started_at)

"""A study and its store, opened together: from the study's file, or from the store alone, on a machine that has no model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunescope.errors import StoreError, TunescopeError
from tunescope.hub.source import Source
from tunescope.store import Store
from tunescope.study.known import Known, decoders, source_for
from tunescope.study.load import load_study, parse_study, read_study_text, study_text_as_run
from tunescope.study.own_files import own_files_sha256
from tunescope.study.plan import Plan, make_plan
from tunescope.study.spec import StudySpec

DEFAULT_STORE = Path("tunescope-store")


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A study's plan and the store that its results are in."""

    plan: Plan
    store: Store
    text: str
    """The study's YAML, with the changes applied."""


def open_study(
    study: Path, *, store: Path = DEFAULT_STORE, mirror: Path | None = None, changes: Sequence[str] = ()
) -> Opened:
    """The plan of a study as its store can answer it: nothing is read of models or data that a run has told the store.

    Args:
        study: The study's YAML file; or a store that holds one study; or one study of a store, `STORE/studies/NAME`.
        store: Where its results are, if `study` is a file.
        mirror: A folder that stands in for the hub.
        changes: As given to `--set`.

    Raises:
        TunescopeError: If the study is wrong, or there is no store.
    """
    if study.is_dir():
        return _from_store(study, mirror, changes)
    spec = load_study(study, changes)
    if not store.exists():
        raise StoreError(
            f"no store at {store}: nothing has run yet. `tunescope run {study} --store {store}` makes one."
        )
    kept = Store.open(store, create=False)
    plan = plan_of(spec, source_for(study, mirror), _known(kept, spec.name))
    return Opened(plan=plan, store=kept, text=study_text_as_run(study, changes))


def plan_of(spec: StudySpec, source: Source, known: Known | None = None) -> Plan:
    """The jobs of a study.

    Args:
        spec: The study.
        source: Where models and files are looked up.
        known: What an earlier run found of them; stands in for those that are not at hand.

    Raises:
        TunescopeError: If a model or file must be known and is not.
    """
    there = known or Known()
    hashes = own_files_sha256(spec, source, there.files_sha256)
    return make_plan(spec, decoders(spec, source, there.decoders), hashes)


def _plan_from_store(spec: StudySpec, source: Source, kept: Store, name: str) -> Plan:
    """As `plan_of`; where a store of before plans were kept whole lacks something, the error says how to mend that."""
    known = _known(kept, name)
    try:
        return plan_of(spec, source, known)
    except TunescopeError as error:
        if known is not None:
            raise
        raise StoreError(
            f"{kept.path} does not say what the plan of {name} rests on: it was last run by an older tunescope. Run the study once "
            f"again, or give --mirror. ({error})"
        ) from error


def store_if_any(path: Path) -> Store | None:
    """The store there is; None where a run would make one: where nothing is, or an empty folder."""
    is_empty = path.is_dir() and os.access(path, os.R_OK) and not any(path.iterdir())
    return None if is_empty or not path.exists() else Store.open(path, create=False)


def forget(prefix: str, *, store: Path = DEFAULT_STORE) -> list[str]:
    """Deletes the one artifact whose id starts with `prefix`, so that the next run makes it anew."""
    return Store.open(store, create=False).forget(prefix)


def _from_store(folder: Path, mirror: Path | None, changes: Sequence[str]) -> Opened:
    root, name = (folder.parent.parent, folder.name) if folder.parent.name == "studies" else (folder, None)
    kept = Store.open(root, create=False)
    names = kept.studies.names()
    if name is None:
        if len(names) != 1:
            if not names:
                raise StoreError(f"{folder}: which study? No study has run in this store.")
            told = f"it holds {len(names)}: {', '.join(names)}. Name one, such as {root / 'studies' / names[0]}"
            raise StoreError(f"{folder}: which study? {told}.")
        name = names[0]
    file = kept.studies.file(name)
    spec = parse_study(read_study_text(file), str(file), changes)
    plan = _plan_from_store(spec, source_for(file, mirror), kept, name)
    return Opened(plan=plan, store=kept, text=study_text_as_run(file, changes))


def _known(store: Store, name: str) -> Known | None:
    found = store.studies.known(name)
    return None if found is None else Known.model_validate(found)

"""A study's sweeps as an Optuna storage, for `optuna-dashboard` and Optuna's own plots. Made from artifacts, never read back."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from tunescope.analysis.trials import selected_of, trials_of
from tunescope.errors import StoreError
from tunescope.search.propose import play_again, quiet_optuna
from tunescope.search.trial import Trial
from tunescope.store import Store
from tunescope.study.plan import Plan
from tunescope.study.sweeps import Sweep

STORAGE_NAME = "optuna.db"
_SELECT_JOB = "select job"


def write_optuna_storage(plan: Plan, store: Store, folder: Path) -> Path | None:
    """Writes `optuna.db`, an SQLite storage with one Optuna study per finished sweep, named `<base model>/<task>/<method>`.

    Args:
        plan: Says which sweeps there are.
        store: Holds their trials.
        folder: Where the file goes; one made from other sweeps is replaced once the new one is whole.

    Returns:
        The file; None where no sweep is finished.

    Raises:
        StoreError: If the disk is full or the folder not writable; an earlier file is left as it is.
    """
    written = folder / STORAGE_NAME
    finished = [(sweep, trials) for sweep in plan.sweeps if (trials := trials_of(sweep, store))]
    if not finished:
        return None
    if _selections_in(written) == {sweep.select.id for sweep, _ in finished}:
        return written
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    made = folder / f"{STORAGE_NAME}.new"
    for left in _files_of(made):  # of a run that was killed
        left.unlink(missing_ok=True)
    try:
        with quiet_optuna():
            _fill(made, finished, plan, store)
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        for left in _files_of(made):  # a disk that ran full is not kept full by half a storage
            left.unlink(missing_ok=True)
        why = getattr(error, "orig", None) or error
        raise StoreError(
            f"cannot write {made}: SQLite says: {why}. Free some space, then run the same command again, which writes it."
        ) from error
    os.replace(made, written)
    return written


def _files_of(database: Path) -> tuple[Path, Path]:
    """The database and the journal of a change under way."""
    return database, database.with_name(f"{database.name}-journal")


def _fill(made: Path, finished: Sequence[tuple[Sweep, Sequence[Trial]]], plan: Plan, store: Store) -> None:
    import optuna
    from sqlalchemy import URL

    spaces = {entry.name: entry.sweep for entry in plan.study.methods}
    storage = optuna.storages.RDBStorage(URL.create("sqlite", database=str(made)).render_as_string())
    try:
        for sweep, trials in finished:
            study = optuna.create_study(
                storage=storage, study_name=f"{sweep.base_model}/{sweep.task}/{sweep.method}", direction="maximize"
            )
            selected = selected_of(sweep, store) or {}
            study.set_user_attr("selected trial", selected.get("trial"))
            study.set_user_attr(_SELECT_JOB, sweep.select.id)
            play_again(study, spaces[sweep.method], trials)
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _selections_in(file: Path) -> set[str]:
    """Ids of the select jobs that a storage was made from; none where it is absent or no such storage."""
    if not file.exists():
        return set()
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT value_json FROM study_user_attributes WHERE key = ?", (_SELECT_JOB,))
            return {str(json.loads(value)) for (value,) in rows}
    except (sqlite3.DatabaseError, ValueError):
        return set()

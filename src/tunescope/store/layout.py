"""Where things lie in a store, and how a folder becomes one."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from tunescope.errors import StoreError
from tunescope.store.atomic import TEMPORARY, nearest_folder, sync_folder, write_json, writing_in
from tunescope.store.names import is_job, job_name, study_name

STORE_FILE = "store.json"
STORE_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The paths of a store. Each checks the names it is given, so that none leads out of the store.

    Raises:
        StoreError: From every method, at a kind, id or study name that is none.
    """

    root: Path

    def artifact(self, kind: str, id: str) -> Path:
        job_name(kind, id)
        return self.root / "artifacts" / kind / id

    def work(self, kind: str, id: str) -> Path:
        return self.root / "work" / job_name(kind, id)

    def failure(self, kind: str, id: str) -> Path:
        return self.root / "failures" / f"{job_name(kind, id)}.json"

    def log(self, kind: str, id: str) -> Path:
        return self.root / "logs" / f"{job_name(kind, id)}.log"

    def busy(self, kind: str, id: str) -> Path:
        """What a worker holds while it is on the job; no name of a job starts with a dot."""
        return self.root / "work" / f".busy-{job_name(kind, id)}"

    def study(self, name: str) -> Path:
        return self.root / "studies" / study_name(name)

    def runs(self, name: str) -> Path:
        """What each run command on a study came to, a line each."""
        return self.study(name) / "runs.jsonl"

    def exports(self, tracker: str) -> Path:
        """What a tracker was told."""
        return self.root / "exports" / study_name(tracker)

    @property
    def live(self) -> Path:
        """What runs now, as the command that runs it last said."""
        return self.root / "live.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def trash(self) -> Path:
        """What is being deleted; no name of a job starts with a dot."""
        return self.root / "work" / ".trash"

    def study_names(self) -> list[str]:
        """Names of the studies that have run, sorted."""
        return sorted(file.parent.name for file in self.root.glob("studies/*/study.yaml"))

    def artifact_keys(self) -> list[tuple[str, str]]:
        """Kind and id of every artifact's folder, sorted; files that are not ours are left alone."""
        found = ((folder.parent.name, folder.name) for folder in self.root.glob("artifacts/*/*"))
        return sorted(key for key in found if is_job(*key))

    def known_keys(self) -> list[tuple[str, str]]:
        """Kind and id of every job that left an artifact, a work folder or a failure, sorted."""
        names = [folder.name for folder in self.root.glob("work/*")]
        names += [file.stem for file in self.root.glob("failures/*.json")]
        left = ((kind, id) for kind, _, id in (name.partition("-") for name in names))
        return sorted({*self.artifact_keys(), *(key for key in left if is_job(*key))})


def open_layout(root: Path, *, create: bool) -> Layout:
    """The layout of the store at `root`; `create` makes one in a new or empty folder. See `Store.open`."""
    try:
        if root.exists() and not root.is_dir():
            raise StoreError(f"the store {root} is a file: expected a folder. Name another with --store.")
        is_store = (root / STORE_FILE).is_file()
        others = [] if is_store or not root.is_dir() else os.listdir(root)
    except PermissionError as error:
        raise StoreError(f"the store {root} cannot be read: permission denied. Name another with --store.") from error
    if is_store:
        _check_format(root)
    elif any(not name.startswith(TEMPORARY) for name in others):
        raise StoreError(
            f"{root} is not a tunescope store (it has no {STORE_FILE}) and not empty: "
            "name a new or empty folder with --store."
        )
    elif not create:
        raise StoreError(f"there is no store at {root}: name one with --store, or make it with `tunescope run`.")
    else:
        _make(root)
    if create and not os.access(root, os.W_OK | os.X_OK):
        raise StoreError(f"the store {root} is not writable: change that, or name another folder with --store.")
    return Layout(root=root)


def _make(root: Path) -> None:
    with writing_in(nearest_folder(root)):
        try:
            root.mkdir(parents=True, exist_ok=True)
        except NotADirectoryError as error:
            raise StoreError(
                f"the store {root} cannot be made: a part of the path is a file. Name another with --store."
            ) from error
        except FileExistsError as error:
            raise StoreError(
                f"the store {root} cannot be made: it is a link to what is not there. Remove it, or name another with --store."
            ) from error
        except FileNotFoundError as error:
            raise StoreError(
                f"the store {root} cannot be made: the file system refuses new folders there. Name another with --store."
            ) from error
        write_json(root / STORE_FILE, {"format": STORE_FORMAT})
        sync_folder(root.parent)


def _check_format(root: Path) -> None:
    file = root / STORE_FILE
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f'{file} is torn: expected {{"format": {STORE_FORMAT}}}. If the folder is a tunescope store, '
            "write that into it; if not, name another with --store."
        ) from error
    if found != STORE_FORMAT:
        raise StoreError(
            f"the store {root} has format {found!r}, and this tunescope reads format {STORE_FORMAT}: "
            "use the version of tunescope that made it, or name a new store with --store."
        )

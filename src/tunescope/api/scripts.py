"""`plan --write-scripts` as a function: a script for each of several machines that cannot see each other."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tunescope.api.stored import DEFAULT_STORE, plan_of
from tunescope.errors import TunescopeError
from tunescope.report.export.scripts import MARKER, ScriptsFor, next_steps, script
from tunescope.store.atomic import TEMPORARY
from tunescope.study.estimate import estimate
from tunescope.study.known import architectures, expected_device, source_for
from tunescope.study.load import load_study
from tunescope.study.own_files import with_own_rows
from tunescope.study.placement import load_of
from tunescope.study.shards import Shard, nominal_predictions, shard_jobs

_VM = re.compile(r"vm[0-9]+\.sh")


@dataclass(frozen=True, kw_only=True)
class ScriptsWritten:
    """What was written."""

    files: tuple[Path, ...]
    removed: tuple[Path, ...]
    """Scripts of an earlier division among more machines: started now, they would do what others do."""
    next_steps: tuple[str, ...]
    """What to do with them, for people."""


def write_scripts(
    study: Path,
    folder: Path,
    *,
    workers: int,
    store: Path = DEFAULT_STORE,
    mirror: Path | None = None,
    changes: Sequence[str] = (),
) -> ScriptsWritten:
    """Writes `vm1.sh`, `vm2.sh`, ...: each runs one shard of a study, from the folder that this is called in.

    Args:
        study: The study's YAML file.
        folder: Where the scripts go, below the current folder. Scripts written there before are replaced.
        workers: Machines.
        store: What their stores are named after: `<store>-vm1` and so on.
        mirror: A folder that stands in for the hub, there under the same path on every machine.
        changes: As given to `--set`.

    Raises:
        TunescopeError: If the study is wrong, a pin names a machine that is not there, the folder lies elsewhere or cannot be
            written, or a file of the same name there is not one of tunescope's.
    """
    spec = load_study(study, changes)
    source = source_for(study, mirror)
    plan = plan_of(spec, source)
    nominal = nominal_predictions(plan, source)
    device = expected_device(spec)
    counted = replace(plan, study=with_own_rows(spec, source))
    timed = estimate(counted, architectures(spec, source), device)
    common = ScriptsFor(
        study=spec,
        path=_from_here(study),
        folder=_below(folder),
        count=workers,
        store=_from_here(store),
        mirror=None if mirror is None else _from_here(mirror),
        changes=tuple(changes),
        device=device,
    )
    texts = {}
    for number in range(1, workers + 1):
        jobs = shard_jobs(timed, Shard(index=number, count=workers), nominal)
        texts[common.file(number)] = script(common, load_of(number, jobs, nominal))
    old = _replaceable(common.folder, list(texts))
    _write(texts)
    removed = [file for file in old if file not in texts]
    for file in removed:
        file.unlink()
    return ScriptsWritten(files=tuple(texts), removed=tuple(removed), next_steps=tuple(next_steps(common)))


def _from_here(path: Path) -> Path:
    """As seen from the current folder, where it lies below it."""
    absolute = Path(os.path.normpath(path.absolute()))
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else path


def _below(folder: Path) -> Path:
    seen = _from_here(folder)
    if seen.is_absolute() or ".." in seen.parts:
        raise TunescopeError(
            f"--write-scripts {folder}: expected a folder below the one that the study is run from ({Path.cwd()}), because each "
            "script finds the study from where it lies. Name one such as scripts/phase1."
        )
    return seen


def _replaceable(folder: Path, files: Sequence[Path]) -> list[Path]:
    """Scripts of tunescope's that are there; raises at anything else that has a name to be written."""
    try:
        there = sorted(file for file in folder.iterdir() if _VM.fullmatch(file.name)) if folder.exists() else []
        ours = [file for file in there if file.is_file() and MARKER.encode() in file.read_bytes()[:400]]
    except OSError as error:
        raise TunescopeError(f"--write-scripts {folder}: {error.filename}: {error.strerror}.") from error
    strange = [file for file in there if file in files and file not in ours]
    if strange:
        raise TunescopeError(
            f"--write-scripts {folder}: {', '.join(map(str, strange))} {'is' if len(strange) == 1 else 'are'} there and not written "
            "by tunescope. Nothing was written. Move them away, or name another folder."
        )
    return ours


def _write(texts: dict[Path, str]) -> None:
    for file, text in texts.items():
        temporary = file.with_name(f"{TEMPORARY}{file.name}-{os.getpid()}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(text, encoding="utf-8", newline="\n")
            temporary.chmod(0o755)
            os.replace(temporary, file)
        except OSError as error:
            with suppress(OSError):  # what kept it from being written may keep it from being deleted
                temporary.unlink()
            raise TunescopeError(f"--write-scripts: {file} cannot be written: {error.strerror}.") from error

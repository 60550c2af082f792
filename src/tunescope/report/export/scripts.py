"""A shell script for each of several machines that cannot see each other: what `plan --write-scripts` writes."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunescope.cost.devices import DeviceProfile
from tunescope.report.terminal.plan import gib, time_shown, what_of
from tunescope.study.placement import WorkerLoad
from tunescope.study.spec import StudySpec

MARKER = "# Written by `tunescope plan --write-scripts`, which replaces it when asked again: change a copy."
"""The second line of every script: what may be replaced."""


@dataclass(frozen=True, kw_only=True)
class ScriptsFor:
    """What all scripts of a study have in common. Paths are relative to where the study is run from, or absolute."""

    study: StudySpec
    path: Path
    """Of the study's file."""
    folder: Path
    """Of the scripts, below the folder that the study is run from."""
    count: int
    """Machines."""
    store: Path
    """What the stores of the machines are named after."""
    mirror: Path | None
    changes: Sequence[str]
    device: DeviceProfile
    """What predictions are for."""

    def vm(self, number: int) -> str:
        """What a machine is called."""
        return f"vm{number}"

    def file(self, number: int) -> Path:
        """Its script."""
        return self.folder / f"{self.vm(number)}.sh"

    def store_of(self, number: int) -> Path:
        """Its store."""
        return self.store.with_name(f"{self.store.name}-{self.vm(number)}")

    def logs_of(self, number: int) -> Path:
        """The folder of its log."""
        return Path(self.study.logs or f"logs/{self.study.name}") / self.vm(number)


def script(common: ScriptsFor, load: WorkerLoad) -> str:
    """The script of one machine.

    Args:
        common: What all have in common.
        load: Its jobs, and what they come to.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tunescope.report.export"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # a shell script: every word goes through `shlex.quote`, every remark through `_remark`
    )
    environment.filters |= {"time": time_shown, "gib": gib}
    file, log = common.file(load.number), common.logs_of(load.number) / "run.log"
    text: str = environment.get_template("vm.sh.j2").render(
        marker=MARKER,
        vm=common.vm(load.number),
        load=load,
        count=common.count,
        study_name=common.study.name,
        study_path=_remark(common.path),
        what=_remark(what_of(load.jobs)),
        device=f"{common.device.name} ({gib(common.device.memory_gib)})",
        script=_remark(_command(file)),
        log=_remark(shlex.quote(str(log))),
        way_back="/" + "/".join(".." for _ in common.folder.parts) if common.folder.parts else "",
        study=_word(common.path),
        store=_word(common.store_of(load.number)),
        mirror=None if common.mirror is None else _word(common.mirror),
        changes=[shlex.quote(change) for change in common.changes],
        logs=_word(common.logs_of(load.number)),
        environment={name: shlex.quote(value) for name, value in variables(common.study, common.mirror).items()},
    )
    return text


def variables(study: StudySpec, mirror: Path | None) -> Mapping[str, str]:
    """The environment of a study's runs; keys and passwords are never part of it.

    Args:
        study: The study.
        mirror: The folder that stands in for the hub, if there is one: then nothing is asked of the hub.
    """
    found = {"PYTHONUNBUFFERED": "1"}
    if mirror is not None:
        found |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    if study.compute.num_threads is not None:
        found["OMP_NUM_THREADS"] = str(study.compute.num_threads)
    wandb = study.trackers.wandb
    if wandb is not None:
        found |= {
            "WANDB_PROJECT": wandb.project,
            "WANDB_MODE": wandb.mode,
            "WANDB_RUN_GROUP": wandb.group or study.name,
        }
        if wandb.entity is not None:
            found["WANDB_ENTITY"] = wandb.entity
    return found


def next_steps(common: ScriptsFor) -> list[str]:
    """What to do with the scripts, as lines for people."""
    numbers = range(1, common.count + 1)
    stores = " ".join(shlex.quote(str(common.store_of(number))) for number in numbers)
    merged = shlex.quote(str(common.store))
    mirror = "" if common.mirror is None else f" --mirror {shlex.quote(str(common.mirror))}"
    changes = "".join(f" --set {shlex.quote(change)}" for change in common.changes)
    some = _command(common.file(1))
    return [
        "1. Have this folder, with the study, its data files and these scripts, on every machine, and tunescope installed there.",
        f"2. On the first machine: nohup {some} >/dev/null 2>&1 &   on the others theirs. "
        f"Logs: {_remark(shlex.quote(str(common.logs_of(1) / 'run.log')))} and so on. A script that was stopped is started again.",
        f"3. When all have ended, bring the stores to one machine: tunescope merge {stores} --into {merged}",
        f"4. There: tunescope run {shlex.quote(str(common.path))} --store {merged}{mirror}{changes}   "
        "which makes what is missing, if anything is, and writes the report.",
    ]


def _command(script: Path) -> str:
    """What starts a script in the folder that the study is run from: without a slash it would be looked for on the PATH."""
    return shlex.quote(str(script) if len(script.parts) > 1 else f"./{script}")


def _word(path: Path) -> str:
    """A path as one word that is no option."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else os.fspath(text))


def _remark(text: object) -> str:
    """What may stand behind a `#`: one line."""
    return " ".join(str(text).split())

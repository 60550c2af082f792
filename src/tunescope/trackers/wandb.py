"""Weights & Biases: run id = job id. Offline, a folder per run that `wandb sync` sends; online, the run itself.

Points are history with its own steps, in order; config and summary are W&B's. What wandb collects by itself (machine, git,
code, console, system statistics, packages) is turned off.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tunescope.study.trackers import Artifacts, WandbTracker
from tunescope.trackers.told import ToldRun

_LONGEST_TAG = 64
_SMALL_WEIGHTS = ("adapter/", "head.safetensors")
_EXIT_CODE = {"done": 0, "failed": 1, "unfinished": 255}


class _Wandb:
    """What offline and online have in common: how a run is begun, told and ended."""

    def __init__(self, settings: WandbTracker, *, study: str, folder: Path) -> None:
        self._settings = settings
        self._group = settings.group or study
        name = settings.project if settings.entity is None else f"{settings.entity}--{settings.project}"
        self._root = (folder / name).absolute()
        self._root.mkdir(parents=True, exist_ok=True)
        self.target = f"{settings.mode} {settings.entity} {settings.project}"

    def _begin(self, run: ToldRun) -> Any:
        import wandb

        quiet = wandb.Settings(
            root_dir=str(self._root),
            mode=self._settings.mode,
            use_dot_wandb=False,
            silent=True,
            console="off",
            disable_code=True,
            disable_git=True,
            save_code=False,
            program="tunescope",
            host="",
            label_disable=True,
            init_timeout=60.0,
            finish_timeout=300.0,
            finish_timeout_raises=True,
            x_disable_machine_info=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
        )
        return wandb.init(
            project=self._settings.project,
            entity=self._settings.entity,
            id=run.id,
            name=run.name,
            group=self._group,
            job_type=run.kind,
            tags=[tag[:_LONGEST_TAG] for tag in run.tags],
            config=dict(run.config),
            # Offline the whole run is told each time: `wandb sync` would put a resumed run's steps behind those sent before.
            resume="allow" if self._settings.mode == "online" else None,
            reinit="create_new",
            settings=quiet,
        )

    def _tell_points(self, told: Any, run: ToldRun, first: int) -> None:
        for point in run.points[first:]:
            told.log(dict(point.values) | {"_timestamp": run.started_s + point.at_s}, step=point.step)

    def _end(self, told: Any, run: ToldRun) -> None:
        import wandb

        told.summary.update(dict(run.summary))
        names = _chosen(run, self._settings.artifacts)
        if names:
            assert run.folder is not None
            files = wandb.Artifact(f"{run.kind}-{run.id}", type="model", metadata={"name": run.name})
            for name in names:
                # What a store holds never changes, so no copy is made; it is read when the run is sent.
                files.add_file(str(run.folder.absolute() / name), name=name, policy="immutable", skip_cache=True)
            told.log_artifact(files)
        told.finish(exit_code=_EXIT_CODE[run.status])


class OfflineWandb(_Wandb):
    """One folder per run in FOLDER/wandb: telling a run again replaces its folder, so that `wandb sync` finds it once."""

    shows_unfinished = False

    def has(self, run: ToldRun) -> bool:
        return len(self._folders(run)) == 1

    def tell(self, run: ToldRun, num_there: int) -> None:
        for folder in self._folders(run):
            shutil.rmtree(folder)
        told = self._begin(run)
        self._tell_points(told, run, 0)
        self._end(told, run)

    def close(self) -> None:
        return None

    def _folders(self, run: ToldRun) -> list[Path]:
        return [
            *self._root.glob(f"wandb/offline-run-*-{run.id}"),
            *self._root.glob(f"wandb/offline-run-*-{run.id}-*"),
        ]


class OnlineWandb(_Wandb):
    """Runs are resumed by id. What W&B holds of a run's history stays as it was first told: it cannot be taken back."""

    shows_unfinished = True

    def __init__(self, settings: WandbTracker, *, study: str, folder: Path) -> None:
        super().__init__(settings, study=study, folder=folder)
        self._open: dict[str, tuple[Any, int]] = {}  # runs under way, and how many of their points were told

    def has(self, run: ToldRun) -> bool:
        return True  # as far as we told it: asking costs a request per run

    def tell(self, run: ToldRun, num_there: int) -> None:
        if run.id not in self._open:
            begun = self._begin(run)
            first_step = begun.starting_step  # 0, or the one after the last that W&B holds
            self._open[run.id] = (begun, sum(point.step < first_step for point in run.points))
        told, first = self._open[run.id]
        self._tell_points(told, run, first)
        self._open[run.id] = (told, max(first, len(run.points)))
        if run.is_over:
            told.config.update(dict(run.config), allow_val_change=True)
            self._end(told, run)
            del self._open[run.id]

    def close(self) -> None:
        """Ends runs that are still under way; they are resumed when there is more to tell."""
        for told, _ in self._open.values():
            told.finish(exit_code=_EXIT_CODE["unfinished"])
        self._open.clear()


def _chosen(run: ToldRun, artifacts: Artifacts) -> list[str]:
    if run.kind != "train" or artifacts == "none":
        return []
    return [name for name in run.files if artifacts == "all" or name.startswith(_SMALL_WEIGHTS)]

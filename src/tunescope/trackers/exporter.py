"""The command's side of an export: starts the process that tells a tracker, hears what it told, and ends it if it hangs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunescope.store.atomic import writing_in
from tunescope.store.layout import Layout
from tunescope.study.trackers import TrackerName, TrackerSettings, WandbTracker
from tunescope.trackers.serve import Asked
from tunescope.trackers.tracker import TrackerError

_WANDB_KEPT = frozenset(
    {"WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_APP_URL", "WANDB_CONFIG_DIR", "WANDB_IDENTITY_TOKEN_FILE"}
    | {"WANDB_CREDENTIALS_FILE", "WANDB_INSECURE_DISABLE_SSL", "WANDB_HTTP_PROXY", "WANDB_HTTPS_PROXY"}
)
"""Of W&B's environment variables, those that say who and where; what runs are and hold is said by the study."""
_NOTHING_MORE = {
    "WANDB_ERROR_REPORTING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
"""No word to the libraries' makers."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What a tracker has now."""

    tracker: TrackerName
    num_told: int
    """Runs that were told, or told more."""
    num_unchanged: int
    """Runs that it had as they are."""
    num_not_begun: int
    """Runs of which the store knows nothing yet."""
    not_whole: tuple[str, ...]
    """Why runs could not be told: their artifacts are damaged."""
    seconds: float
    shown_by: str
    """The command that shows what was told, or sends it."""


class Exporter:
    """A process that tells one tracker of one study; it looks at the store by itself."""

    def __init__(self, asked: Asked) -> None:
        """Starts it.

        Raises:
            StoreError: If the store's exports cannot be written to.
        """
        self._asked = asked
        folder = Layout(root=Path(asked.store)).exports(asked.tracker)
        self.log = folder / "log.txt"
        """What the tracker's library printed."""
        with writing_in(Path(asked.store)):
            folder.mkdir(parents=True, exist_ok=True)
            log = self.log.open("wb")
        self._began = time.monotonic()
        self._answers: list[dict[str, Any]] = []
        hears, self._control = os.pipe()
        with log, tempfile.TemporaryFile() as request:
            request.write(asked.model_dump_json().encode())
            request.seek(0)
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "tunescope.trackers.serve", str(hears)],
                    stdin=request,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    pass_fds=(hears,),
                    start_new_session=True,  # Ctrl-C is for the command, which then ends this
                    env=environment(os.environ),
                )
            except OSError:
                os.close(self._control)
                raise
            finally:
                os.close(hears)
        self._hearing = threading.Thread(target=self._hear, name=f"tunescope-{asked.tracker}", daemon=True)
        self._hearing.start()

    def ask_for_rest(self) -> None:
        """Has it tell what is left and then end, without waiting for that."""
        with suppress(BrokenPipeError):  # it has failed already: `finish` tells of that
            os.write(self._control, b"f")

    def finish(self, timeout_s: float | None = None, on_telling: Callable[[str], None] | None = None) -> Exported:
        """Has it tell what is left, and ends it.

        Args:
            timeout_s: It is killed after so many seconds; None: it may take as long as it does.
            on_telling: Told how far it is: a line per run.

        Raises:
            TrackerError: If it failed or did not end in time, saying why and how to export later.
        """
        try:
            self.ask_for_rest()
            self._hear_out(None if timeout_s is None else time.monotonic() + timeout_s, on_telling)
            ended = self._hearing.is_alive() is False
        finally:
            self.kill()
        failed = next((answer for answer in self._answers if "failed" in answer), None)
        if failed is not None:
            kind = "" if failed["kind"] in ("TrackerError", "StoreError") else f"{failed['kind']}: "
            raise TrackerError(f"{self._asked.tracker}: {kind}{failed['failed']} (its own words: {self.log})")
        if not ended:
            raise TrackerError(f"{self._asked.tracker}: it was not done in time and was ended")
        if not any(answer.get("ended") for answer in self._answers):
            raise TrackerError(f"{self._asked.tracker}: its process died; its own words: {self.log}")
        return self._exported()

    def kill(self) -> None:
        """Ends it, and all that its library started, at once; safe to call again."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):  # it ended just now
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._control >= 0:
            os.close(self._control)
            self._control = -1

    def _hear(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as answers:
            for line in answers:
                self._answers.append(json.loads(line))

    def _hear_out(self, until: float | None, on_telling: Callable[[str], None] | None) -> None:
        """Until it has said its last word, or time is over."""
        num_heard = 0
        while self._hearing.is_alive() and (until is None or time.monotonic() < until):
            self._hearing.join(0.1)
            for answer in self._answers[num_heard:]:
                num_heard += 1
                if on_telling is not None and answer.get("what") == "told":
                    on_telling(f"{answer['name']}: {answer['num_points']} points")

    def _exported(self) -> Exported:
        last = [answer for answer in self._answers if answer.get("is_last")]
        told = {answer["name"] for answer in self._answers if answer.get("what") == "told"}
        count = Counter(answer["what"] for answer in last)
        settings = self._asked.trackers.wanted()[self._asked.tracker]
        folder = Layout(root=Path(self._asked.store)).exports(self._asked.tracker)
        return Exported(
            tracker=self._asked.tracker,
            num_told=len(told),
            num_unchanged=count["unchanged"],
            num_not_begun=count["not begun"],
            not_whole=tuple(answer["reason"] for answer in last if answer["what"] == "not whole"),
            seconds=time.monotonic() - self._began,
            shown_by=shown_by(settings, self._asked.study, folder),
        )


def shown_by(settings: TrackerSettings, study: str, folder: Path) -> str:
    """The command that shows what a tracker was told; of W&B offline, the one that sends it.

    Args:
        settings: The tracker's.
        study: The study's name.
        folder: The tracker's, in the store's exports.
    """
    if isinstance(settings, WandbTracker):
        named = settings.project if settings.entity is None else f"{settings.entity}--{settings.project}"
        return f"wandb sync {folder / named / 'wandb'}" if settings.mode == "offline" else "wandb.ai shows them"
    kind = type(settings).__name__
    if kind == "MlflowTracker":
        uri = getattr(settings, "tracking_uri", None) or f"sqlite:///{(folder / 'mlflow.db').absolute()}"
        return f"mlflow ui --backend-store-uri {uri}"
    place = getattr(settings, "folder", None) or folder / "runs"
    if kind == "TensorboardTracker":
        return f"tensorboard --logdir {place}"
    return f"TRACKIO_DIR={place} trackio show --project {getattr(settings, 'project', None) or study}"


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """What the process is given: who the user is, and none of what would turn runs into others than the study says."""
    kept = {name: value for name, value in variables.items() if not name.startswith("WANDB_") or name in _WANDB_KEPT}
    return kept | {"OMP_NUM_THREADS": "1"} | _NOTHING_MORE

"""Whether the trackers a study names can be told anything, and where that goes."""

from __future__ import annotations

import importlib.util
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from tunescope.preflight.finding import Finding, Status
from tunescope.study.trackers import TrackerName, Trackers, TrackerSettings, WandbTracker

_WANDB = "https://api.wandb.ai"
_TIMEOUT_S = 3.0
_MODULES: Mapping[TrackerName, tuple[str, ...]] = {
    "wandb": ("wandb",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
    "tensorboard": ("tensorboard",),
    "trackio": ("trackio",),
}
"""What each tracker's extra installs."""


def check_trackers(
    trackers: Trackers,
    *,
    is_installed: Callable[[str], bool] = lambda name: importlib.util.find_spec(name) is not None,
    is_reachable: Callable[[str, int], bool] | None = None,
) -> Iterator[Finding]:
    """What is known of each tracker beforehand. None of it is a fault: results are kept in the store, and exported later.

    Args:
        trackers: What the study names.
        is_installed: Whether a module can be imported.
        is_reachable: Whether a server (host, port) answers; by default a connection is tried for three seconds.
    """
    wanted = trackers.wanted()
    if trackers.wandb is not None and "wandb" not in wanted:
        yield _finding("wandb", "ok", "disabled: nothing is told")
    elif not wanted:
        yield _finding("trackers", "ok", "none asked for; metrics are kept in the store")
    for name, settings in wanted.items():
        missing = [module for module in _MODULES[name] if not is_installed(module)]
        if missing:
            message = (
                f"{', '.join(missing)} not installed: pip install 'tunescope[{name}]'; metrics are kept in the store"
            )
            yield _finding(name, "note", message)
        else:
            yield _finding(name, "ok", _where(settings))
        if isinstance(settings, WandbTracker) and settings.mode == "online":
            yield from _online(is_reachable or _answers)


def _where(settings: TrackerSettings) -> str:
    if isinstance(settings, WandbTracker):
        if settings.mode == "online":
            return f"runs are sent to project {settings.project} while the study runs"
        return f"runs of project {settings.project} are written into the store's exports/wandb; `wandb sync` sends them"
    for name in ("tracking_uri", "folder"):
        place = getattr(settings, name, None)
        if place is not None:
            return f"runs are written to {place}"
    return "runs are written into the store's exports"


def _online(is_reachable: Callable[[str, int], bool]) -> Iterator[Finding]:
    address = urlsplit(os.environ.get("WANDB_BASE_URL", _WANDB))
    host, port = address.hostname or "", address.port or (80 if address.scheme == "http" else 443)
    if is_reachable(host, port):
        yield _finding("wandb", "ok", f"{host} answers")
    else:
        yield _finding(
            "wandb",
            "note",
            f"{host} does not answer within {_TIMEOUT_S:g} s: use mode: offline on machines without internet",
        )


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=_TIMEOUT_S).close()
    except OSError:  # no name service, no route, refused, timed out
        return False
    return True


def _finding(subject: str, status: Status, message: str) -> Finding:
    return Finding(section="trackers", subject=subject, status=status, message=message)

"""Whether the trackers a study names could be reached."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Callable, Iterator

from tunescope.preflight.finding import Finding, Status
from tunescope.study.spec import Trackers

_WANDB_HOST = ("api.wandb.ai", 443)
_TIMEOUT_S = 3.0


def check_trackers(
    trackers: Trackers,
    *,
    is_installed: Callable[[str], bool] = lambda name: importlib.util.find_spec(name) is not None,
    is_reachable: Callable[[], bool] | None = None,
) -> Iterator[Finding]:
    """What is known of each tracker beforehand. None of it is a fault: results are kept in the store.

    Args:
        trackers: What the study names.
        is_installed: Whether a module can be imported.
        is_reachable: Whether the tracker's server answers; by default a connection is tried for three seconds.
    """
    wandb = trackers.wandb
    if wandb is None:
        yield _finding("trackers", "ok", "none asked for; metrics are kept in the store")
        return
    yield _finding(
        "wandb",
        "note",
        f"project {wandb.project} ({wandb.mode}) is noted; this version sends nothing, metrics are kept in the store",
    )
    if wandb.mode == "disabled":
        return
    if not is_installed("wandb"):
        yield _finding("wandb", "note", "the wandb package is not installed: pip install wandb")
    if wandb.mode == "offline":
        yield _finding("wandb", "ok", "offline: no server is needed")
        return
    if (is_reachable or _wandb_answers)():
        yield _finding("wandb", "ok", f"{_WANDB_HOST[0]} answers")
    else:
        yield _finding(
            "wandb",
            "note",
            f"{_WANDB_HOST[0]} does not answer within {_TIMEOUT_S:g} s: use mode: offline on machines without internet",
        )


def _wandb_answers() -> bool:
    try:
        socket.create_connection(_WANDB_HOST, timeout=_TIMEOUT_S).close()
    except OSError:  # no name service, no route, refused, timed out
        return False
    return True


def _finding(subject: str, status: Status, message: str) -> Finding:
    return Finding(section="trackers", subject=subject, status=status, message=message)

"""A Ray cluster as an executor sees it: reached or not, with which nodes, and whether its head still answers."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tunescope.errors import RunError, TunescopeError

_LOG = logging.getLogger(__name__)

HEAD_SILENCE_S = 15.0
"""A head that takes no connection for so long is gone. Ray itself ends the command's process, without a word, after 60 s."""
_LOOK_EVERY_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Node:
    """A living node and all that it offers, whoever uses it now."""

    id: str
    host: str
    resources: Mapping[str, float]

    def holds(self, need: Mapping[str, float]) -> int:
        """How many times the need fits."""
        return min(int(self.resources.get(name, 0.0) // amount) for name, amount in need.items() if amount > 0.0)


def connected(address: str | None) -> bool:
    """Connects this process to a cluster, quietly; False where it was connected before.

    Args:
        address: "auto" or None: the cluster that runs on this machine, or the one of RAY_ADDRESS; "local": a cluster of this
            machine alone, which ends with the command; else "host:port" of the head.

    Raises:
        TunescopeError: If Ray is not installed, no cluster answers there, it is of another version of Ray or Python, or this
            machine is no node of it.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
        import ray._private.worker as ray_worker
    except ImportError as error:
        raise TunescopeError(
            "--executor ray needs Ray, which is not installed here. Install it on every machine: pip install 'tunescope[ray]'"
        ) from error
    if ray.is_initialized():
        return False
    if address is not None and address.startswith("ray://"):
        raise TunescopeError(
            f"--address {address} is Ray's client protocol, over which progress and stops come too late. "
            "Run the command on a node of the cluster with --address auto."
        )
    # What a dying node had to say would be printed over the progress display; the reason of a lost job is told by us.
    ray_worker.print_to_stdstream = _to_log
    wanted = address or "auto"
    if ":" in wanted:
        _check_answers(wanted)
    with _handlers_kept():
        try:
            ray.init(
                address=wanted,
                logging_level=logging.ERROR,
                log_to_driver=False,
                **({"include_dashboard": False} if wanted == "local" else {}),
            )
        except (ConnectionError, RuntimeError, ValueError, AssertionError, TimeoutError) as error:
            raise _unreachable(wanted, error) from error
    return True


class ClusterWatch:
    """Looks at a cluster every two seconds, in a thread: Ray's own calls hang for a minute once the head is gone.

    Args:
        pulse: Called after each look with the head there.
    """

    def __init__(self, pulse: Callable[[], None]) -> None:
        import ray

        self._address: str = ray.get_runtime_context().gcs_address
        self._pulse = pulse
        self._ended = threading.Event()
        self._answered = time.monotonic()
        self._nodes = _living_nodes()
        self._thread = threading.Thread(target=self._watch, name="cluster watch", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Of the head, "host:port"."""
        return self._address

    @property
    def nodes(self) -> Sequence[Node]:
        """The living ones, as of a few seconds ago."""
        return self._nodes

    @property
    def is_there(self) -> bool:
        """Whether the head takes a connection at this moment: asked before calls to Ray that hang without it."""
        return _answers(self._address, within_s=2.0)

    @property
    def is_gone(self) -> bool:
        """Whether the head has not answered for `HEAD_SILENCE_S` seconds."""
        return time.monotonic() - self._answered > HEAD_SILENCE_S

    def check(self) -> None:
        """Raises if the head is gone.

        Raises:
            RunError: If it is.
        """
        if self.is_gone:
            raise RunError(
                f"the head of the Ray cluster at {self._address} has not answered for {HEAD_SILENCE_S:.0f} s: its machine or its "
                "`ray start --head` has ended. What was done is kept, and what was under way goes on from its last checkpoint: "
                "start the cluster again and run the same command."
            )

    def end(self) -> None:
        """Ends the watch."""
        self._ended.set()
        if not self.is_gone:  # else the thread hangs in a call to Ray, and goes with the process
            self._thread.join(timeout=5.0)

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_EVERY_S):
            if not _answers(self._address, within_s=5.0):
                continue
            self._answered = time.monotonic()
            self._nodes = _living_nodes()
            self._pulse()


def _living_nodes() -> tuple[Node, ...]:
    import ray

    told: list[dict[str, Any]] = ray.nodes()
    return tuple(
        Node(id=one["NodeID"], host=one["NodeManagerHostname"], resources=one["Resources"])
        for one in told
        if one["Alive"]
    )


def _check_answers(address: str) -> None:
    if not _answers(address, within_s=10.0):
        raise TunescopeError(
            f"no Ray cluster answers at {address}. Start its head (`ray start --head --port 6379`), join this machine "
            f"(`ray start --address {address}`), and see that no firewall stands between them."
        )


def _answers(address: str, *, within_s: float) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=within_s):
            return True
    except (OSError, ValueError):
        return False


def _unreachable(address: str, error: Exception) -> TunescopeError:
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    if "ersion mismatch" in str(error):
        said = " ".join(str(error).split())
        return TunescopeError(
            f"the Ray cluster at {address} is of another version: {said}. Install the same Python and the same versions on "
            "every machine, and start the cluster again."
        )
    return TunescopeError(
        f"no Ray cluster can be used at --address {address}: {said} Start one with `ray start --head`, join machines with "
        "`ray start --address HEAD:6379`, and run the command on one of them; --address local is this machine alone."
    )


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Ray puts its own handler for SIGTERM in the place of ours."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _to_log(data: Mapping[str, Any], *args: object, **kwargs: object) -> None:
    _LOG.debug("ray: %s", "\n".join(str(line) for line in data.get("lines", ())))

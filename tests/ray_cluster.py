"""A real Ray cluster of three nodes on this machine, and an executor over it; shared by the tests of Ray."""

from __future__ import annotations

import atexit
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fake_steps import fake_context

if TYPE_CHECKING:
    from tunescope.execution.ray.executor import RayExecutor
    from tunescope.store import Store

TESTS = Path(__file__).resolve().parent

NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
"""What each node is started with."""


class ThreeNodes:
    """A head and two more nodes, each with one processor to give; one machine plays them all."""

    def __init__(self, *, caches: Path | None = None) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ["PYTHONPATH"] = (
            f"{TESTS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"  # where workers find fake_steps
        )
        from ray.cluster_utils import Cluster

        self._caches, self._num_nodes = caches, 0
        self.cluster = Cluster(initialize_head=True, head_node_args=self._arguments())
        self.others = [self.cluster.add_node(**self._arguments()) for _ in range(2)]

    def _arguments(self) -> dict[str, Any]:
        self._num_nodes += 1
        if self._caches is None:
            return NODE
        return NODE | {"env_vars": {"XDG_CACHE_HOME": str(self._caches / f"node{self._num_nodes}")}}

    @property
    def address(self) -> str:
        address: str = self.cluster.address
        return address

    def add(self) -> Any:
        """One more node."""
        self.others.append(self.cluster.add_node(**self._arguments()))
        return self.others[-1]

    def kill(self, node: Any) -> None:
        """As if the machine lost its power."""
        self.others.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)

    def kill_head(self) -> None:
        """The head alone; the other nodes find out by themselves."""
        self.cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)

    def end(self) -> None:
        """All of it."""
        self.cluster.shutdown()


def ray_executor(store: Store, counts: Path, address: str, **more: Any) -> RayExecutor:
    """The executor over the fake steps."""
    from tunescope.execution.ray.executor import RayExecutor

    return RayExecutor(
        store, fake_context(), steps="fake_steps:fake_steps", steps_arguments=(counts,), address=address, **more
    )


@functools.cache
def shared_nodes() -> ThreeNodes:
    """One cluster for all tests of a session that do it no harm."""
    nodes = ThreeNodes()
    atexit.register(nodes.end)
    return nodes


_open: list[RayExecutor] = []


def on_ray(store: Store, counts: Path) -> RayExecutor:
    """The executor over the fake steps on the shared cluster, in the place of an earlier one: each holds all processors."""
    while _open:
        _open.pop().close()
    _open.append(ray_executor(store, counts, shared_nodes().address))
    return _open[-1]

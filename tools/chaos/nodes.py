"""A Ray cluster of three nodes, all of them on this machine, that can lose one as if it had lost its power."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

_NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
_NUM_OTHERS = 2


class Nodes:
    """The head, which stays, and two more nodes, which come and go."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._others = [cluster.add_node(**_NODE) for _ in range(_NUM_OTHERS)]

    @property
    def options(self) -> list[str]:
        """What a command needs to know to run on them."""
        return ["--executor", "ray", "--address", str(self._cluster.address)]

    def kill_one(self, chance: random.Random) -> None:
        """SIGKILL of all processes of a node; another takes its place."""
        node = self._others.pop(chance.randrange(len(self._others)))
        self._cluster.remove_node(node, allow_graceful=False)
        self._others.append(self._cluster.add_node(**_NODE))


@contextmanager
def three_nodes() -> Iterator[Nodes]:
    """Starts a cluster for as long as the block runs.

    Raises:
        SystemExit: If Ray is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        from ray.cluster_utils import Cluster
    except ImportError as error:
        raise SystemExit("--targets node needs Ray: pip install 'tunescope[ray]'") from error
    cluster = Cluster(initialize_head=True, head_node_args=_NODE)
    try:
        yield Nodes(cluster)
    finally:
        cluster.shutdown()

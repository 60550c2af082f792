"""The machine's memory, the container's where that is less, and the kernel's count of kills."""

from __future__ import annotations

import psutil
import pytest

from tunescope.execution.local.machine_memory import machine_memory


@pytest.fixture
def no_count(tmp_path):
    return tmp_path / "none"


def test_without_a_container_it_is_the_machines(tmp_path):
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("pgfault 12\noom_kill 3\n")
    found = machine_memory(tmp_path, vmstat)
    assert found.total_gib == psutil.virtual_memory().total / 2**30
    assert 0.0 < found.available_gib < found.total_gib
    assert found.num_killed == 3


def test_a_container_of_cgroup_v2_has_what_its_limit_leaves(tmp_path, no_count):
    (tmp_path / "memory.max").write_text(f"{2**28}\n")
    (tmp_path / "memory.current").write_text(f"{200 * 2**20}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {50 * 2**20}\n")
    found = machine_memory(tmp_path, no_count)
    assert (found.total_gib, found.available_gib, found.num_killed) == (0.25, 106 / 1024, None)


def test_a_container_of_cgroup_v1_too(tmp_path, no_count):
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text(f"{2**28}\n")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text(f"{2**29}\n")
    assert machine_memory(tmp_path, no_count).available_gib == 0.0


@pytest.mark.parametrize("limit", ["max", str(2**62)])
def test_a_container_without_a_limit_has_all(tmp_path, no_count, limit):
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text("5")
    assert machine_memory(tmp_path, no_count).total_gib == psutil.virtual_memory().total / 2**30

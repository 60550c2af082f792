"""Jobs on a real Ray cluster of three nodes, which one machine plays: the same results as in this process, bit for bit."""

from __future__ import annotations

import hashlib
import os

import pytest

from fake_steps import fake_job, inline, ran
from tunescope.api.plan import plan_study
from tunescope.errors import TunescopeError
from tunescope.execution import WorkerSeen, run_plan
from tunescope.execution.inline import InlineExecutor
from tunescope.steps import STEPS
from tunescope.steps.context import StepContext
from tunescope.store import Store
from tunescope.study.known import source_for

pytest.importorskip("ray", reason="needs Ray: pip install 'tunescope[ray]'")
pytestmark = pytest.mark.slow  # starting a cluster takes seven seconds, each test three more

from ray_cluster import ThreeNodes, ray_executor  # noqa: E402
from tunescope.execution.ray.executor import RayExecutor  # noqa: E402
from tunescope.store.remote.storage import RemoteStore  # noqa: E402


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """The cluster; each node has a cache folder of its own."""
    three = ThreeNodes(caches=tmp_path_factory.mktemp("caches"))
    yield three
    three.end()


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store", create=True)


def _tree():
    bases = [fake_job(f"base{index}") for index in range(4)]
    return [*bases, *(fake_job(f"tuned{index}", base) for index, base in enumerate(bases)), fake_job("all", *bases)]


def _files(store):
    """The SHA-256 of every file of every artifact that is the same from run to run."""
    found = {}
    for record in store.records():
        folder = store.path / "artifacts" / record.kind / record.id
        for name in record.files:
            if name.endswith((".safetensors", ".parquet", ".txt")):
                found[f"{record.kind}/{record.id}/{name}"] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    return found


def test_a_plan_on_three_nodes_makes_the_same_files_as_in_this_process(nodes, store, tmp_path):
    here, seen = Store.open(tmp_path / "here", create=True), []
    assert run_plan(_tree(), here, inline(here, tmp_path / "ran here")).exit_code == 0
    executor = ray_executor(store, tmp_path / "ran", nodes.address)
    assert executor.num_workers == 3
    assert run_plan(_tree(), store, executor, seen.append).exit_code == 0
    assert _files(store) == _files(here)
    assert len(_files(store)) == 18
    assert sorted(ran(tmp_path / "ran")) == sorted(job.label for job in _tree())
    pids = {event.worker.pid for event in seen if isinstance(event, WorkerSeen)}
    assert len(pids) == 3  # warm: no process was started for a second job
    assert os.getpid() not in pids
    assert not list(store.path.glob(".tmp-ray-*"))


def test_a_real_study_gives_the_same_weights_and_scores_bit_for_bit(nodes, desk, study):
    path = desk.write(study | {"tasks": study["tasks"][:1], "seeds": [1]})
    plan, source = plan_study(path)[0], source_for(path, None)
    spec = plan.study
    context = StepContext(
        source=source, compute=spec.compute, device="cpu", num_threads=1, report=lambda progress: None
    )
    stores = [Store.open(desk.folder / name, create=True) for name in ("here", "there")]
    assert run_plan(plan.jobs, stores[0], InlineExecutor(stores[0], STEPS, context)).exit_code == 0
    there = RayExecutor(stores[1], context, address=nodes.address)
    assert run_plan(plan.jobs, stores[1], there).exit_code == 0
    found = _files(stores[0])
    assert any("/adapter_model.safetensors" in name for name in found)
    assert _files(stores[1]) == found


def test_through_object_storage_each_node_fetches_what_it_needs(nodes, tmp_path, store):
    url = f"file://{tmp_path}/bucket/study"
    remote = RemoteStore.open(url, create=True)
    assert run_plan(_tree(), store, ray_executor(store, tmp_path / "ran", nodes.address, remote=remote)).exit_code == 0
    here = Store.open(tmp_path / "here", create=True)
    assert run_plan(_tree(), here, inline(here, tmp_path / "ran here")).exit_code == 0
    assert _files(store) == _files(here)
    assert all(remote.has(job.kind, job.id) for job in _tree())
    again = Store.open(tmp_path / "again", create=True)
    assert remote.pull_all(again) == 9
    assert _files(again) == _files(here)


def test_a_node_that_comes_later_is_used(nodes, store, tmp_path):
    executor = ray_executor(store, tmp_path / "ran", nodes.address)
    late = nodes.add()
    try:
        jobs = [fake_job(f"job{index}", sleep_s=1.0) for index in range(16)]
        seen = []
        assert run_plan(jobs, store, executor, seen.append).exit_code == 0
        assert len({event.worker.name for event in seen if isinstance(event, WorkerSeen)}) == 4
    finally:
        nodes.kill(late)


def test_a_node_with_another_version_is_named_before_anything_runs(nodes, store, tmp_path, monkeypatch):
    import tunescope.execution.ray.executor as ray_module

    monkeypatch.setattr(ray_module, "library_versions", lambda: {"tunescope": "9.9.9", "torch": "2.0.0"})
    with pytest.raises(
        TunescopeError, match=r"node \S+ has tunescope \S+ instead of 9\.9\.9, torch \S+ instead of 2\.0\.0"
    ):
        ray_executor(store, tmp_path / "ran", nodes.address)


def test_a_gpu_that_no_node_has_and_more_processors_than_any_has_are_refused(nodes, store):
    from dataclasses import replace

    from fake_steps import fake_context
    from tunescope.study.spec import Compute

    with pytest.raises(TunescopeError, match=r"compute\.device is cuda, and no node of the Ray cluster offers a GPU"):
        RayExecutor(store, replace(fake_context(), compute=Compute(device="cuda")), address=nodes.address)
    with pytest.raises(TunescopeError, match=r"which needs 64 CPU\. Nodes offer: \S+ 1 CPU"):
        RayExecutor(store, replace(fake_context(), num_threads=64), address=nodes.address)

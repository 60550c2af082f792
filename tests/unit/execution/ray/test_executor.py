"""The Ray executor's parts that need no cluster; what it does on one: tests/e2e/test_ray.py, tests/fault/test_ray_faults.py."""

from __future__ import annotations

import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from fake_steps import fake_context, fake_job, fake_training, inline
from tunescope.errors import TunescopeError
from tunescope.execution import run_plan
from tunescope.execution.order import order_of
from tunescope.execution.ray.actor import device_of, for_nodes, in_words, need_of
from tunescope.execution.ray.cluster import Node, connected
from tunescope.execution.ray.worker import Place, RayWorker, token_in, wait_for_input
from tunescope.hub.source import Source
from tunescope.store import Store


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store", create=True)


@pytest.fixture
def worker(store, tmp_path):
    """A worker in this process that has found its store."""
    with token_in(store, "abc") as file:
        one = RayWorker(
            Place(path=str(store.path), token_file=str(file), token="abc"),
            "fake_steps:fake_steps",
            (tmp_path / "ran",),
            fake_context(),
            silence_s=3600.0,
        )
        assert one.hello(within_s=0.0).problem == ""
    return one


def test_a_worker_does_a_job_tells_its_progress_once_and_its_name_is_kept(worker, store):
    job = fake_job("a")
    ended = worker.work(order_of(job), "node-a worker 1")
    assert (ended.result.status, ended.sign.number, ended.sign.progress.step) == ("done", 1, 1)
    assert store.record(job.kind, job.id).worker == "node-a worker 1"
    sign = worker.poll(1, 0.0)
    assert (sign.number, sign.job_id) == (1, None)
    assert sign.rss_gib > 0.01


def test_a_poll_waits_for_news_and_a_training_can_be_asked_to_stop(worker, store):
    job, ended = fake_training("t", num_steps=10_000), []
    thread = threading.Thread(target=lambda: ended.append(worker.work(order_of(job), "w")))
    thread.start()
    sign = worker.poll(0, 30.0)
    assert sign.job_id == job.id
    assert worker.poll(sign.number, 30.0).number > sign.number
    worker.ask_stop()
    thread.join(timeout=30.0)
    assert ended[0].result.status == "stopped"
    assert store.artifact(job.kind, job.id) is None


def test_models_and_data_stay_for_the_next_job_because_one_thread_does_all(worker, store):
    for name in ("a", "b"):
        worker.work(order_of(fake_job(name)), "w")
    assert {thread.name for thread in threading.enumerate() if thread.name.startswith("job")} == {"job_0"}


def test_a_failed_job_says_why_and_the_worker_goes_on(worker, store):
    bad = fake_job("bad", does="raise")
    assert worker.work(order_of(bad), "w").result.error == store.failure(bad.kind, bad.id)
    assert worker.work(order_of(fake_job("good")), "w").result.status == "done"


@pytest.mark.parametrize("token", ["", "other"])
def test_a_worker_that_sees_another_folder_says_so(tmp_path, store, token):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if token:
        (elsewhere / "token").write_text(token)
    place = Place(path=str(elsewhere), token_file=str(elsewhere / "token"), token="abc")
    problem = (
        RayWorker(place, "fake_steps:fake_steps", (), fake_context(), silence_s=3600.0).hello(within_s=0.0).problem
    )
    assert f"does not see the store {elsewhere}" in problem
    assert "Share one folder with all nodes" in problem


def test_an_input_that_may_have_failed_is_not_waited_for_when_its_failure_is_there(store, tmp_path):
    bad = fake_job("bad", does="raise")
    run_plan([bad], store, inline(store, tmp_path / "ran"))
    wait_for_input(store, bad.kind, bad.id, may_fail=True, patience_s=3600.0)


def test_nodes_hold_as_many_workers_as_their_scarcest_resource_allows():
    node = Node(id="n", host="a", resources={"CPU": 8.0, "GPU": 2.0, "memory": 20 * 2**30})
    assert node.holds(need_of("cpu", 3, None)) == 2
    assert node.holds(need_of("cuda:0", 8, None)) == 2
    assert node.holds(need_of("cuda:0", 8, 15.0)) == 1
    assert Node(id="n", host="a", resources={"CPU": 8.0}).holds(need_of("cuda:0", 1, None)) == 0
    assert in_words(need_of("cuda:0", 1, 15.0)) == "1 CPU, 1 GPU, 15.0 GiB of memory"


def test_the_device_is_the_clusters_and_not_the_commands():
    assert device_of("auto", has_gpu=True) == "cuda:0"
    assert device_of("auto", has_gpu=False) == device_of("cpu", has_gpu=True) == "cpu"
    with pytest.raises(TunescopeError, match=r"no node of the Ray cluster offers a GPU"):
        device_of("cuda", has_gpu=False)


def test_paths_are_sent_as_they_are_everywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sent = for_nodes(replace(fake_context(), source=Source(mirror=Path("mirror"), study_folder=Path())), "cpu")
    assert (sent.source.mirror, sent.source.study_folder) == (tmp_path / "mirror", tmp_path)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(TunescopeError, match=r"pip install 'tunescope\[ray\]'"):
        connected("auto")


def test_an_address_where_nothing_listens_or_of_rays_client_is_refused():
    pytest.importorskip("ray", reason="needs Ray: pip install 'tunescope[ray]'")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(TunescopeError, match=f"no Ray cluster answers at {address}"):
            connected(address)
    with pytest.raises(TunescopeError, match="with --address auto"):
        connected("ray://127.0.0.1:10001")

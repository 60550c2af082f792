"""One worker per device, and what each of them sees."""

from __future__ import annotations

import psutil
import pytest

from tunescope.execution.local.devices import worker_devices


def _gpus(*arguments, **named):
    return [(one.name, one.device, one.gpu_id) for one in worker_devices(*arguments, **named)]


def test_one_worker_on_a_cpu_by_default():
    (one,) = worker_devices(None, "cpu", num_threads=3, environment={})
    assert (one.name, one.device, one.gpu_id, one.num_threads) == ("worker 1", "cpu", None, 3)
    assert one.environment() == {
        "OMP_NUM_THREADS": "3",
        "MKL_NUM_THREADS": "3",
        "OPENBLAS_NUM_THREADS": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }


def test_one_worker_per_gpu_and_each_sees_its_own_as_the_first():
    found = worker_devices(None, "cuda", num_gpus=2, num_threads=4, environment={})
    assert [(one.name, one.device, one.gpu_id) for one in found] == [
        ("worker 1", "cuda:0", "0"),
        ("worker 2", "cuda:0", "1"),
    ]
    assert [one.environment()["CUDA_VISIBLE_DEVICES"] for one in found] == ["0", "1"]
    assert {one.num_threads for one in found} == {4}


def test_more_workers_than_gpus_share_them_in_turn_and_fewer_leave_some():
    assert [gpu for _, _, gpu in _gpus(5, "cuda", num_gpus=2, environment={})] == ["0", "1", "0", "1", "0"]
    assert [gpu for _, _, gpu in _gpus(1, "cuda", num_gpus=2, environment={})] == ["0"]


@pytest.mark.parametrize(
    "variable,expected",
    [("3, 5", ["3", "5"]), ("GPU-8f1c,GPU-22aa", ["GPU-8f1c", "GPU-22aa"]), ("", ["0", "1"]), ("2,3,4", ["2", "3"])],
)
def test_gpus_are_named_as_the_users_own_variable_names_them(variable, expected):
    found = _gpus(None, "cuda", num_gpus=2, environment={"CUDA_VISIBLE_DEVICES": variable})
    assert [gpu for _, _, gpu in found] == expected


def test_threads_are_shared_among_workers_unless_someone_says_how_many(monkeypatch):
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 8)
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda self: list(range(8)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def threads(num_workers, asked=None, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        found = worker_devices(num_workers, "cpu", num_threads=asked)
        return {one.num_threads for one in found}

    assert threads(1) == {8}
    assert threads(3) == {2}
    assert threads(20) == {1}
    assert threads(3, asked=5) == {5}
    assert threads(3, OMP_NUM_THREADS="4") == {4}

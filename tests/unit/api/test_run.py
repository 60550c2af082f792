"""What `run` refuses before it reads much or writes anything. Whole runs: tests/e2e."""

from __future__ import annotations

import pytest

from tunescope import api
from tunescope.errors import StoreError, TunescopeError
from tunescope.store import Store

_STUDY = """
name: s
base_model: tunescope/demo-llama
tasks: [demo_paraphrase]
methods: {head_only: {learning_rate: 1e-2}}
seeds: [1]
compute: {device: cpu}
"""


@pytest.fixture
def study(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(_STUDY, encoding="utf-8")
    return file


@pytest.mark.parametrize("asked", [{"executor": "inline", "workers": 2}, {"executor": "local", "address": "host:6379"}])
def test_what_does_not_go_together_leaves_no_store_behind(study, tmp_path, asked):
    with pytest.raises(TunescopeError, match="the executor"):
        api.run_study(study, store=tmp_path / "store", **asked)
    assert not (tmp_path / "store").exists()


def test_a_store_that_another_run_holds_is_told_before_its_data_is_read(study, tmp_path, monkeypatch):
    monkeypatch.setattr("tunescope.api.run.check_whole", lambda plan, store: pytest.fail("the store was read"))
    with (
        Store.open(tmp_path / "store", create=True).lock(),
        pytest.raises(StoreError, match="is in use by process"),
    ):
        api.run_study(study, store=tmp_path / "store")


def test_a_study_that_is_done_needs_no_cluster(study, tmp_path, monkeypatch):
    monkeypatch.setattr("tunescope.api.run._check", lambda *asked: False)  # as if all of it were there
    monkeypatch.setattr("tunescope.api.run.run_plan", _Reached.raise_with)
    with pytest.raises(_Reached) as reached:
        api.run_study(study, store=tmp_path / "store", executor="ray", address="127.0.0.1:1")
    assert reached.value.num_workers == 1


class _Reached(Exception):
    """Raised where the jobs would run, with the number of workers that they would run on."""

    def __init__(self, num_workers: int) -> None:
        self.num_workers = num_workers

    @classmethod
    def raise_with(cls, jobs, store, executor, on_event):
        raise cls(executor.num_workers)

"""Which executor a run gets, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunescope.api.executors import VARIABLE, executor_name, make_executor
from tunescope.errors import TunescopeError
from tunescope.execution import InlineExecutor
from tunescope.execution.local.executor import LocalExecutor
from tunescope.hub.source import Source
from tunescope.store import Store
from tunescope.study.load import parse_study
from tunescope.study.shards import Shard

_STUDY = """
name: s
base_model: org/m
tasks: [rte]
methods: {full: {}}
seeds: [1]
logs: logs/s
compute: {device: cpu, num_threads: 1, job_timeout_s: 60}
"""


@pytest.fixture
def made(tmp_path):
    def made(name, **how):
        store = Store.open(tmp_path / "store", create=True)
        return make_executor(name, store, parse_study(_STUDY, "s"), Source(), **how)

    return made


def test_the_command_is_asked_first_then_the_environment(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert executor_name(None) == "local"
    monkeypatch.setenv(VARIABLE, "inline")
    assert executor_name(None) == "inline"
    assert executor_name("ray") == "ray"


@pytest.mark.parametrize("asked, where", [("lokal", "--executor"), (None, VARIABLE)])
def test_an_unknown_executor_is_told_with_what_was_meant(monkeypatch, asked, where):
    monkeypatch.setenv(VARIABLE, "lokal")
    with pytest.raises(TunescopeError, match=rf"{where}: unknown executor 'lokal'. Did you mean 'local'\?"):
        executor_name(asked)


def test_workers_are_as_many_as_asked(made):
    executor = made("local", num_workers=3)
    assert isinstance(executor, LocalExecutor)
    assert executor.num_workers == 3
    assert made("local").num_workers == 1
    assert isinstance(made("inline"), InlineExecutor)


def test_what_does_not_go_together_is_refused(made):
    with pytest.raises(TunescopeError, match="--workers 2: the executor inline runs one job at a time"):
        made("inline", num_workers=2)
    with pytest.raises(TunescopeError, match=r"--address 10.0.0.1:6379: that is for --executor ray"):
        made("local", address="10.0.0.1:6379")


def test_more_workers_than_a_machine_can_use_are_refused(made, monkeypatch):
    monkeypatch.setattr("psutil.cpu_count", lambda: 2)
    assert made("local", num_workers=8).num_workers == 8
    with pytest.raises(TunescopeError, match="--workers 9: expected at most 8 on this machine, 4 for each of its 2"):
        made("local", num_workers=9)


def test_a_shard_has_its_own_folder_of_logs(made):
    assert made("local")._context.logs == Path("logs/s").absolute()
    shard = Shard(index=2, count=3)
    assert made("local", part=shard)._context.logs == Path("logs/s/vm2").absolute()

"""A sweep's jobs in any order that their inputs allow, on one worker or eight, some of them out of memory: the same outcome."""

from __future__ import annotations

import json
import math
import random
from types import SimpleNamespace

import pytest
import torch

from fake_steps import fake_context
from tunescope.execution.order import order_of
from tunescope.execution.outcome import Outcome
from tunescope.execution.runner import run_plan
from tunescope.execution.worker import run_job
from tunescope.steps import propose, select, trial
from tunescope.store import Store
from tunescope.study.load import parse_study
from tunescope.study.plan import make_plan

_TEXT = """
name: t
base_model: org/decoder
tasks: [rte]
methods:
  full: {learning_rate: {sweep: {log_uniform: [1e-6, 1e-3]}}}
  lora: {learning_rate: {sweep: {log_uniform: [1e-5, 1e-2]}}, rank: {sweep: [2, 4, 8]}}
seeds: [1]
sweep: {num_trials: 10, wave_size: 3, num_startup_trials: 3, seeds_per_trial: 2, pruner: {name: median, num_startup_trials: 2}}
"""
_STEPS = {"propose": propose.run, "trial": trial.run, "select": select.run}
_BEST = {"full": 3e-5, "lora": 6e-4}
_OUT_OF_MEMORY = {
    "rte-full-trial4-1": torch.OutOfMemoryError("CUDA out of memory."),
    "rte-lora-trial2-0": MemoryError(),
}


class Shuffled:
    """So many jobs at once, which end in a random order."""

    def __init__(self, store, workers, rng):
        self._store, self._workers, self._rng, self._started = store, workers, rng, []

    @property
    def num_workers(self):
        return self._workers

    def accepts(self, job):
        return len(self._started) < self._workers

    def start(self, job, attempts=()):
        self._started.append((job, attempts))
        return ""

    def wait(self, on_event):
        job, attempts = self._started.pop(self._rng.randrange(len(self._started)))
        ended = run_job(order_of(job, attempts), self._store, _STEPS[job.kind], fake_context())
        return Outcome(job=job, status=ended.status, duration_s=ended.duration_s, error=ended.error)

    def on_stop_asked(self):
        return False

    def stop(self):
        self._started.clear()

    def close(self):
        assert not self._started


def _tune(config, out, scratch, context, is_hopeless=lambda curve: False):
    """In place of a training: five scores on the way to one that follows from the values and the seed."""
    kind = type(config.method).__name__.lower()
    label = f"rte-{kind}-trial{config.number}-{config.replicate}"
    if label in _OUT_OF_MEMORY:
        raise _OUT_OF_MEMORY[label]
    end = 0.9 - 0.1 * abs(math.log10(config.training.learning_rate / _BEST[kind])) + config.seed % 97 / 1e5
    curve, pruned = [], False
    for scoring in range(1, 6):
        curve.append((scoring, end * scoring / 5))
        pruned = is_hopeless(tuple(curve))
        if pruned:
            break
    details = {"num_examples": 300, "standard_error": 0.01}
    trained = SimpleNamespace(
        selection=SimpleNamespace(value=curve[-1][1], details=details, note=""),
        pruned=pruned,
        curve=tuple(curve),
        num_tokens=100 * len(curve),
        num_tokens_planned=500,
    )
    return SimpleNamespace(trained=trained, facts={})


def _outcome(folder, workers, seed):
    """The jobs in a random topological order, on so many workers; and what every proposal and choice says."""
    rng = random.Random(seed)
    plan = make_plan(parse_study(_TEXT, "t"), {"org/decoder": True})
    store = Store.open(folder, create=True)
    jobs = [job for job in plan.jobs if job.kind in _STEPS]
    order = sorted(jobs, key=lambda job: rng.random())
    with store.lock():
        summary = run_plan(order, store, Shuffled(store, workers, rng))
    assert not summary.failed
    assert not summary.blocked
    names = {"propose": "proposals.json", "select": "selected.json"}
    said = {
        job.label: json.loads((store.artifact(job.kind, job.id) / names[job.kind]).read_text())
        for job in jobs
        if job.kind in names
    }
    return said, [job.label for job in summary.done], {one.job.label: one.error.reason for one in summary.tolerated}


@pytest.fixture(autouse=True)
def trainings_in_no_time(monkeypatch):
    monkeypatch.setattr(trial, "tune", _tune)


def test_any_order_on_any_number_of_workers_has_the_same_trials_and_winner(tmp_path):
    first, order, _ = _outcome(tmp_path / "one", 1, 0)
    assert {trial["state"] for trial in first["rte-full-select"]["trials"]} == {"complete", "pruned", "failed"}
    orders = {tuple(order)}
    for seed in range(1, 9):
        said, order, _ = _outcome(tmp_path / str(seed), (1, 8)[seed % 2], seed)
        orders.add(tuple(order))
        assert said == first
    assert len(orders) == 9, "the jobs ended in other orders"


def test_out_of_memory_is_a_failed_trial_told_to_the_sampler_and_never_a_score(tmp_path):
    said, _, tolerated = _outcome(tmp_path, 1, 0)
    assert "ran out of GPU memory" in tolerated["rte-full-trial4-1"]
    assert "ran out of memory" in tolerated["rte-lora-trial2-0"]
    for label, number, wave in (("rte-full", 4, 2), ("rte-lora", 2, 1)):
        trials = said[f"{label}-select"]["trials"]
        assert (trials[number]["state"], trials[number]["score"]) == ("failed", None)
        assert said[f"{label}-select"]["trial"] != number
        told = said[f"{label}-wave{wave}"]["trials"][number]
        assert (told["state"], told["score"]) == ("failed", None)
        assert trials[number]["reason"] == "1 of 2 trainings failed"

"""The loop, asked to stop or out of memory: nothing is lost, and what was done differently is said."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from small_run import NUM_ROWS, assert_same_bits, make_run, train_one, weights
from tunescope.errors import StopRequested
from tunescope.training.loop import train
from tunescope.training.metric_log import read_log
from tunescope.training.run import Run, SelectionScore


class _StopError(Exception):
    """The process dies here."""


@pytest.mark.parametrize("stop_after", [1, 4, 5, 12, 19, 20])
def test_a_run_that_is_asked_to_stop_goes_on_to_the_same_bits(tmp_path: Path, stop_after: int) -> None:
    """Also where the stop comes after the last step of an epoch (5) or of all (20), before the scoring."""
    undisturbed = make_run(tmp_path / "a")
    straight = train_one(undisturbed)
    asked = make_run(tmp_path / "b")
    with pytest.raises(StopRequested, match=rf"^at step {stop_after} of 20$"):
        train_one(asked, should_stop=_after(stop_after, asked))
    resumed = make_run(tmp_path / "b")
    trained = train_one(resumed)
    assert trained.resumed_from == stop_after
    assert_same_bits(weights(undisturbed), weights(resumed))
    for fact in (
        "selection",
        "kept_step",
        "curve",
        "num_steps",
        "num_tokens",
        "num_examples",
        "padding_share",
        "flags",
    ):
        assert getattr(trained, fact) == getattr(straight, fact), fact
    assert _without_time(tmp_path / "a") == _without_time(tmp_path / "b")


def test_a_run_that_is_always_asked_to_stop_gets_to_its_end_step_by_step(tmp_path: Path) -> None:
    undisturbed = make_run(tmp_path / "a")
    train_one(undisturbed)
    for _ in range(2 * 20):  # a step, or what is due after one
        run = make_run(tmp_path / "b")
        try:
            trained = train_one(run, should_stop=lambda: True)
        except StopRequested:
            continue
        break
    assert trained.num_steps == 20
    assert_same_bits(weights(undisturbed), weights(run))


def test_a_stop_within_a_scoring_scores_again_later(tmp_path: Path) -> None:
    undisturbed = make_run(tmp_path / "a")
    train_one(undisturbed)

    def interrupted() -> SelectionScore:
        raise StopRequested

    asked = make_run(tmp_path / "b")
    with pytest.raises(StopRequested):
        train_one(Run(**{**vars(asked), "score": interrupted}), should_stop=_once_scoring(asked))
    resumed = make_run(tmp_path / "b")
    assert train_one(resumed).resumed_from == 5
    assert_same_bits(weights(undisturbed), weights(resumed))
    assert _without_time(tmp_path / "a") == _without_time(tmp_path / "b")


def test_all_runs_of_a_company_stop_with_a_checkpoint(tmp_path: Path) -> None:
    alone = [make_run(tmp_path / f"alone{seed}", seed=seed, epochs=seed + 1) for seed in range(3)]
    for run in alone:
        train_one(run)
    together = [make_run(tmp_path / f"together{seed}", seed=seed, epochs=seed + 1) for seed in range(3)]
    with pytest.raises(StopRequested, match="at step 5 of 5, at step 7 of 10, at step 7 of 15"):
        train(together, micro_batch_tokens=10_000, should_stop=_after(7, together[2]))
    again = [make_run(tmp_path / f"together{seed}", seed=seed, epochs=seed + 1) for seed in range(3)]
    assert [trained.resumed_from for trained in train(again, micro_batch_tokens=10_000)] == [5, 7, 7]
    for one, other in zip(alone, again, strict=True):
        assert_same_bits(weights(one), weights(other))


def test_out_of_memory_is_told_and_remembered(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    tried: list[int] = []

    def tight(rows: np.ndarray) -> torch.Tensor:
        tried.append(len(rows) * int(run.lengths[rows].max()))
        if tried[-1] > 160:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return run.loss_sum(rows)

    def die(progress: Any) -> None:
        if progress.step == 3:
            raise _StopError

    ticks = iter(range(10**9))
    tight_run = Run(**{**vars(run), "loss_sum": tight})
    with pytest.raises(_StopError):
        train_one(tight_run, report=die, checkpoint_every_s=0.5, clock=lambda: float(next(ticks)))
    (lowered,) = (entry for entry in read_log(tmp_path / "log.jsonl") if entry["event"] == "out_of_memory")
    assert lowered == {"event": "out_of_memory", "step": 1, "tokens_at_once": 10_000, "went_on_with": 156}
    del tried[:]
    trained = train_one(tight_run)
    assert max(tried) <= 160  # it does not run into it again
    assert trained.resumed_from == 3
    assert trained.micro_batch_tokens == 156
    assert trained.flags == (
        "out of memory at step 1 with 10000 tokens at once: went on with 156; the objective is "
        "unchanged, but dropout drew other masks, as they follow the portions: a single run ends elsewhere within the "
        "spread of seeds",
    )


def _after(num_steps: int, run: Run) -> Callable[[], bool]:
    """Says stop once the run's model has gone through so many training steps, each of one portion."""
    taken = 0

    def count(*_: Any) -> None:
        nonlocal taken
        taken += 1

    run.model.register_forward_pre_hook(lambda module, _: count() if module.training else None)
    return lambda: taken >= num_steps


def _once_scoring(run: Run) -> Callable[[], bool]:
    steps = math.ceil(NUM_ROWS / run.settings.batch_size)
    begun = _after(steps, run)
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += begun()
        return asked > 1  # the first time is after the step, before the scoring

    return should_stop


def _without_time(folder: Path) -> list[dict[str, Any]]:
    entries = [entry for entry in read_log(folder / "log.jsonl") if entry["event"] != "resumed"]
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in entries]

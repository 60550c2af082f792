"""The loop: splitting changes nothing, resuming changes nothing, company changes nothing, and what goes wrong is said."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from small_run import NUM_ROWS, assert_same_bits, make_run, train_one, weights
from tunescope.errors import BegunOtherwiseError, NotFiniteError, RunError
from tunescope.training.loop import train
from tunescope.training.metric_log import read_log
from tunescope.training.run import Run, SelectionScore


def test_it_learns(tmp_path: Path) -> None:
    run = make_run(tmp_path, epochs=40)
    before = run.score().value
    trained = train_one(run)
    assert before is not None
    assert trained.selection.value is not None
    assert trained.selection.value > before / 4
    assert trained.num_steps == trained.num_steps_planned == 40 * math.ceil(NUM_ROWS / 8)


def test_the_gradient_does_not_depend_on_the_split(tmp_path: Path) -> None:
    whole, split = make_run(tmp_path / "a"), make_run(tmp_path / "b")
    for run in (whole, split):
        run.model.drop.p = 0.0  # type: ignore[union-attr]
    train_one(whole, micro_batch_tokens=100_000)
    trained = train_one(split, micro_batch_tokens=40)
    for name, tensor in weights(whole).items():
        torch.testing.assert_close(tensor, weights(split)[name], atol=1e-5, rtol=1e-5)
    assert 0.0 <= trained.padding_share < 0.5


class _StopError(Exception):
    """The process dies here."""


@pytest.mark.parametrize("stop_at", [1, 2, 5, 6, 11, 19])
@pytest.mark.parametrize("checkpoint_every", [1, 3])
def test_a_killed_run_resumes_to_the_same_bits(tmp_path: Path, stop_at: int, checkpoint_every: int) -> None:
    undisturbed = make_run(tmp_path / "a", keep="last")
    train_one(undisturbed)

    ticks = iter(range(10**9))

    def die(progress: Any) -> None:
        if progress.step == stop_at:
            raise _StopError

    killed = make_run(tmp_path / "b", keep="last")
    with pytest.raises(_StopError):
        train_one(killed, report=die, checkpoint_every_s=checkpoint_every * 3, clock=lambda: float(next(ticks)))
    resumed = make_run(tmp_path / "b", keep="last")
    trained = train_one(resumed)
    assert_same_bits(weights(undisturbed), weights(resumed))
    steps = [entry for entry in read_log(tmp_path / "b" / "log.jsonl") if entry["event"] == "step"]
    assert [entry["step"] for entry in steps] == list(range(1, trained.num_steps + 1))
    straight = [entry for entry in read_log(tmp_path / "a" / "log.jsonl") if entry["event"] == "step"]
    assert [entry["loss"] for entry in steps] == [entry["loss"] for entry in straight]


def test_resuming_keeps_the_best_weights_seen_before(tmp_path: Path) -> None:
    def scripted(run: Run, values: list[float]) -> Run:
        script = iter(values)
        return Run(**{**vars(run), "score": lambda: SelectionScore(value=next(script))})

    straight = scripted(make_run(tmp_path / "a"), [0.1, 0.9, 0.3, 0.2])
    assert train_one(straight).kept_step == 10
    ticks = iter(range(10**9))

    def die(progress: Any) -> None:
        if progress.step == 13:
            raise _StopError

    with pytest.raises(_StopError):
        train_one(
            scripted(make_run(tmp_path / "b"), [0.1, 0.9]),
            report=die,
            checkpoint_every_s=0.5,
            clock=lambda: float(next(ticks)),
        )
    resumed = scripted(make_run(tmp_path / "b"), [0.3, 0.2])
    trained = train_one(resumed)
    assert trained.kept_step == 10
    assert trained.resumed_from == 13
    assert_same_bits(weights(straight), weights(resumed))


def test_a_checkpoint_cut_in_half_starts_the_run_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    undisturbed = make_run(tmp_path / "a")
    train_one(undisturbed)
    folder = tmp_path / "b"
    ticks = iter(range(10**9))

    def die(progress: Any) -> None:
        if progress.step == 4:
            raise _StopError

    with pytest.raises(_StopError):
        train_one(make_run(folder), report=die, checkpoint_every_s=0.5, clock=lambda: float(next(ticks)))
    file = folder / "checkpoint.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    resumed = make_run(folder)
    with caplog.at_level(logging.WARNING):
        trained = train_one(resumed)
    assert trained.resumed_from is None
    assert trained.flags == ("started over, because its checkpoint could not be read",)
    assert "checkpoint.safetensors cannot be read" in caplog.text
    assert_same_bits(weights(undisturbed), weights(resumed))


def _begin(folder: Path, stop_at: int = 4, **changes: Any) -> None:
    """Begins a run, a checkpoint after every step, and lets it die."""
    ticks = iter(range(10**9))

    def die(progress: Any) -> None:
        if progress.step == stop_at:
            raise _StopError

    begun = Run(**{**vars(make_run(folder)), **changes})
    with pytest.raises(_StopError):
        train_one(begun, report=die, checkpoint_every_s=0.5, clock=lambda: float(next(ticks)))


def test_a_run_begun_from_other_bytes_is_not_gone_on_with(tmp_path: Path) -> None:
    then = {"its training data": "aa", "its base model": "bb"}
    undisturbed = make_run(tmp_path / "a")
    train_one(undisturbed)
    _begin(tmp_path / "b", made_from=then)
    for now in ({**then, "its training data": "cc"}, {}):
        other = Run(**{**vars(make_run(tmp_path / "b")), "made_from": now})
        before = weights(other)
        with pytest.raises(BegunOtherwiseError, match=r"stands at step 4 .* its training data.* changed\. Put back"):
            train_one(other)
        assert_same_bits(weights(other), before)
    back = Run(**{**vars(make_run(tmp_path / "b")), "made_from": then})
    trained = train_one(back)
    assert trained.resumed_from == 4
    assert trained.flags == ()
    assert_same_bits(weights(undisturbed), weights(back))


def test_a_run_begun_under_another_torch_goes_on_and_says_so(tmp_path: Path) -> None:
    _begin(tmp_path, versions={"torch": "1.0", "numpy": "1.0"})
    trained = train_one(Run(**{**vars(make_run(tmp_path)), "versions": {"torch": "2.0", "numpy": "1.0"}}))
    assert trained.flags == ("begun under torch 1.0, now 2.0 (from step 4)",)


def test_a_run_that_starts_over_leaves_nothing_of_the_earlier_try_in_its_log(tmp_path: Path) -> None:
    _begin(tmp_path, stop_at=9)
    (tmp_path / "checkpoint.safetensors").unlink()
    train_one(make_run(tmp_path, epochs=1))
    steps = [entry["step"] for entry in read_log(tmp_path / "log.jsonl") if entry["event"] == "step"]
    assert steps == [1, 2, 3, 4, 5]


def test_runs_in_company_equal_runs_alone(tmp_path: Path) -> None:
    alone = [make_run(tmp_path / f"alone{seed}", seed=seed, epochs=seed + 1) for seed in range(3)]
    for run in alone:
        train_one(run)
    together = [make_run(tmp_path / f"together{seed}", seed=seed, epochs=seed + 1) for seed in range(3)]
    train(together, micro_batch_tokens=10_000)
    for one, other in zip(alone, together, strict=True):
        assert_same_bits(weights(one), weights(other))


def test_the_global_random_state_is_left_alone(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    train_one(make_run(tmp_path))
    assert torch.equal(before, torch.random.get_rng_state())


def test_early_stopping_keeps_the_best(tmp_path: Path) -> None:
    script = iter([0.1, 0.5, 0.4, 0.3, 0.2, 0.1])
    run = make_run(tmp_path, epochs=6, early_stopping_patience=2)
    run = Run(**{**vars(run), "score": lambda: SelectionScore(value=next(script))})
    trained = train_one(run)
    assert trained.stopped_early
    assert trained.selection.value == 0.5
    assert trained.kept_step == 2 * math.ceil(NUM_ROWS / 8)
    assert trained.num_steps == 4 * math.ceil(NUM_ROWS / 8)


def test_scores_by_steps_and_at_the_end(tmp_path: Path) -> None:
    train_one(make_run(tmp_path, epochs=2, evaluate_every=4))
    scored = [entry["step"] for entry in read_log(tmp_path / "log.jsonl") if entry["event"] == "selection"]
    assert scored == [4, 8, 10]


def test_settings_in_force_are_read_back(tmp_path: Path) -> None:
    trained = train_one(make_run(tmp_path, weight_decay=0.3, adam_beta2=0.95, warmup_share=0.25))
    in_force = trained.in_force
    decayed, plain = in_force["groups"]
    assert decayed["weight_decay"] == 0.3
    assert decayed["num_parameters"] == 10 * 16 + 16
    assert plain["weight_decay"] == 0.0
    assert plain["num_parameters"] == 16 + 16 + 16 + 1
    assert decayed["betas"] == [0.9, 0.95]
    assert in_force["num_warmup_steps"] == 5
    assert in_force["peak_learning_rate"] == 1e-2
    assert in_force["learning_rates"] == {
        "first": 0.0,
        "peak": 1e-2,
        "peak_step": 6,
        "last": pytest.approx(1e-2 / 15),
    }
    logged = [entry for entry in read_log(tmp_path / "log.jsonl") if entry["event"] == "step"]
    assert in_force["num_clipped_steps"] == sum(entry["grad_norm"] > 1.0 for entry in logged) > 0
    assert in_force["largest_batch"] == 8
    assert in_force["dropout"] == [0.2]
    assert in_force["dtypes"] == ["float32"]


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    run = make_run(tmp_path, learning_rate=10.0, epochs=50, loss=lambda errors: torch.exp(errors * 50).sum())
    with pytest.raises(
        NotFiniteError,
        match=r"is (inf|nan) at step \d+ of 250 \(step \d+ was the last good one\).*[Ll]ower learning_rate",
    ):
        train_one(run)


def test_a_method_that_trains_nothing_is_an_error(tmp_path: Path) -> None:
    run = make_run(tmp_path, loss=lambda errors: errors.sum() * 0.0)
    with pytest.raises(RunError, match="none of the 4 tensors the method trains has a gradient"):
        train_one(run)


def test_a_run_whose_only_step_is_all_warm_up_is_an_error(tmp_path: Path) -> None:
    one_step = {"batch_size": NUM_ROWS, "epochs": 1}
    with pytest.raises(
        RunError, match="the only optimiser step is all warm-up, at learning rate 0, and trains nothing"
    ):
        train_one(make_run(tmp_path / "warm", **one_step))
    assert train_one(make_run(tmp_path / "cold", warmup_share=0.0, **one_step)).num_steps == 1

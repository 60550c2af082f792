"""The training loop, written for k runs in lockstep over one device; a plain run is k = 1."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from tunescope.errors import NotFiniteError, RunError, StopRequested
from tunescope.inference.out_of_memory import TokensAtOnce
from tunescope.training.checkpoint import TornCheckpointError, load_checkpoint, save_checkpoint, trainable
from tunescope.training.gradients import Computed, compute_gradients
from tunescope.training.metric_log import LOG_NAME, MetricLog
from tunescope.training.optimiser import dropouts_in_force, make_optimiser, settings_in_force
from tunescope.training.order import DataOrder
from tunescope.training.progress import Progress
from tunescope.training.run import Curve, Run, SelectionScore, Trained
from tunescope.training.schedule import learning_rate_factor, num_warmup_steps

_LOG = logging.getLogger(__name__)


def train(
    runs: Sequence[Run],
    *,
    micro_batch_tokens: int,
    checkpoint_every_s: float = math.inf,
    report: Callable[[Progress], None] = lambda progress: None,
    clock: Callable[[], float] = time.monotonic,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Trained]:
    """Trains runs side by side, one optimiser step of each in turn, each as if it were alone.

    Every run has its own model, data order, optimiser, schedule, random numbers and end. The gradient of a step is that
    of the mean loss over the step's rows, however they are split into micro-batches. A run resumes from the checkpoint
    in its scratch folder, to the same weights bit for bit on CPU.

    Where a micro-batch does not fit in memory, the step is computed again in smaller ones, and the run goes on with those.

    Args:
        runs: One or more.
        micro_batch_tokens: Tokens, padding included, computed at once.
        checkpoint_every_s: Seconds between checkpoints.
        report: Told the progress after every step of every run.
        clock: Seconds that only grow.
        should_stop: Asked after every optimiser step.

    Raises:
        StopRequested: If `should_stop` said so; every run that is not over has a checkpoint of where it stands.
        NotFiniteError: If a loss or a gradient is not finite.
        RunError: If nothing but the head has a gradient where the method trains more, or the only step
            is all warm-up.
        BegunOtherwiseError: If a checkpoint was made from other inputs.
    """
    trainings = [_Training(run, micro_batch_tokens, checkpoint_every_s, report, clock, should_stop) for run in runs]
    try:
        live = [training for training in trainings if not training.is_over]
        while live:
            for training in live:
                training.advance()
            live = [training for training in live if not training.is_over]
            if live and should_stop():
                for training in trainings:
                    training.checkpoint()
                raise StopRequested(", ".join(f"at step {one.step} of {one.num_steps}" for one in trainings))
        return [training.finish() for training in trainings]
    finally:
        for training in trainings:
            training.log.__exit__(None, None, None)


class _Training:
    """One run under way."""

    def __init__(
        self,
        run: Run,
        micro_batch_tokens: int,
        checkpoint_every_s: float,
        report: Callable[[Progress], None],
        clock: Callable[[], float],
        should_stop: Callable[[], bool],
    ) -> None:
        self.run, self.settings = run, run.settings
        self._at_once, self._checkpoint_every_s = TokensAtOnce(micro_batch_tokens), checkpoint_every_s
        self._report, self._clock, self._should_stop = report, clock, should_stop
        num_rows = len(run.lengths)
        self.order = DataOrder(num_rows=num_rows, batch_size=run.settings.batch_size, seed=run.seed)
        self.num_steps = run.settings.num_steps(num_rows)
        if untrained := run.settings.why_untrained(self.num_steps):
            raise RunError(untrained)
        self.num_warmup = num_warmup_steps(self.num_steps, run.settings.warmup_share)
        self.optimiser = make_optimiser(run.model, run.settings)
        self.parameters = trainable(run.model)
        self.device = next(iter(self.parameters.values())).device
        self.step = 0
        self.kept_step = 0
        self.is_looked_at = True
        """Whether all that was due after the last step was done: scoring, watching. A stop may come before."""
        self._is_in_training_mode = False
        """Whether every module is known to be; setting it takes half a millisecond, so it is not set again each step."""
        self.best = SelectionScore(value=None)
        self.best_weights: dict[str, torch.Tensor] = {}
        self.num_without_better = 0
        self.stopped_early = False
        self.pruned = False
        self.num_scorings = 0
        self.curve: Curve = ()
        self.counts = {"examples": 0, "tokens": 0, "computed_tokens": 0, "clipped_steps": 0, "largest_batch": 0}
        self.learning_rates: dict[str, float | int] = {}
        self.loss = math.nan  # of the last step
        self.train_s = 0.0
        self.last = SelectionScore(value=None)
        self.flags: tuple[str, ...] = ()
        self.begun_with: dict[str, str] = dict(run.versions)
        self.resumed_from = self._resume()
        # A run that starts over leaves no line of an earlier try behind: a shorter one would not replace them all.
        self.log = MetricLog(run.scratch / LOG_NAME, anew=self.resumed_from is None)
        if self.resumed_from is not None:
            self.log.append(event="resumed", step=self.resumed_from)
        self._started, self._first_step = clock(), self.step
        self._last_checkpoint = clock()

    @property
    def is_over(self) -> bool:
        return self.is_looked_at and (self.stopped_early or self.pruned or self.step >= self.num_steps)

    def advance(self) -> None:
        """One optimiser step; scoring and a checkpoint where they are due. One that a stop cut short is completed."""
        if self.is_looked_at:
            self._step()
            if self._should_stop():
                return
        try:
            self._look()
        except StopRequested:  # while scoring: it is done again from the start
            return
        if self._clock() - self._last_checkpoint >= self._checkpoint_every_s:
            self.checkpoint()
        self._tell()

    def _step(self) -> None:
        began = self._clock()
        rows = self.order.rows(self.step)
        factor = learning_rate_factor(
            self.step, num_steps=self.num_steps, num_warmup=self.num_warmup, schedule=self.settings.schedule
        )
        learning_rate = self.settings.learning_rate * factor
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        computed = self._backward(rows)
        grad_norm = self._clip()
        self.optimiser.step()
        self.step += 1
        self.is_looked_at = False
        self._note_executed(grad_norm, len(rows))
        num_tokens = int(self.run.lengths[rows].sum())
        self.counts["examples"] += len(rows)
        self.counts["tokens"] += num_tokens
        self.counts["computed_tokens"] += computed.num_tokens
        seconds = self._clock() - began
        self.train_s += seconds
        self.log.append(
            event="step",
            step=self.step,
            loss=computed.loss,
            learning_rate=learning_rate,
            grad_norm=grad_norm,
            examples=len(rows),
            tokens=num_tokens,
            seconds=round(seconds, 6),
        )
        self.loss = computed.loss

    def _look(self) -> None:
        """Scores and watches where it is due after the last step."""
        if self._score_is_due():
            self.log.flush()  # a scoring may take minutes, in which others want to see how far the run is
            self._is_in_training_mode = False
            self._score()
        watched = self.run.watch(self.step, self.num_steps)
        if watched is not None:
            self._is_in_training_mode = False
            self.log.append(event="watched", step=self.step, **watched)
        self.is_looked_at = True

    def finish(self) -> Trained:
        """The run's result; the model ends with the weights that are kept."""
        if self.settings.keep == "best" and self.best_weights:
            with torch.no_grad():
                for name, tensor in self.best_weights.items():
                    self.parameters[name].copy_(tensor)
            kept, kept_step = self.best, self.kept_step
        else:
            kept, kept_step = self.last, self.step
        in_force = settings_in_force(self.run.model, self.optimiser)
        in_force |= {
            "peak_learning_rate": self.learning_rates["peak"],
            "learning_rates": self.learning_rates,
            "num_clipped_steps": self.counts["clipped_steps"],
            "largest_batch": self.counts["largest_batch"],
            "num_steps": self.num_steps,
            "num_warmup_steps": self.num_warmup,
            "num_rows": self.order.num_rows,
        }
        self.log.flush()
        return Trained(
            micro_batch_tokens=self._at_once.used,
            num_steps=self.step,
            num_steps_planned=self.num_steps,
            kept_step=kept_step,
            selection=kept,
            stopped_early=self.stopped_early,
            pruned=self.pruned,
            curve=self.curve,
            num_examples=self.counts["examples"],
            num_tokens=self.counts["tokens"],
            num_tokens_planned=sum(
                int(self.run.lengths[self.order.rows(step)].sum()) for step in range(self.step, self.num_steps)
            )
            + self.counts["tokens"],
            padding_share=1.0 - self.counts["tokens"] / max(1, self.counts["computed_tokens"]),
            train_s=self.train_s,
            resumed_from=self.resumed_from,
            in_force=in_force,
            flags=(*self.flags, *((kept.note,) if kept.note else ())),
        )

    def _backward(self, rows: np.ndarray) -> Computed:
        if not self._is_in_training_mode:
            self.run.model.train()
            self._is_in_training_mode = True
        self.optimiser.zero_grad(set_to_none=True)
        computed = compute_gradients(
            self.run, rows, step=self.step, device=self.device, at_once=self._at_once, on_lowered=self._note_lowered
        )
        if not math.isfinite(computed.loss):
            raise NotFiniteError(
                f"the loss is {computed.loss} at step {self.step + 1} of {self.num_steps} (step {self.step} was the last "
                f"good one). Lower learning_rate ({self.settings.learning_rate:g}), lengthen warmup_share, or use "
                "precision: fp32"
            )
        if self.step == 0:
            self._check_gradients()
        return computed

    def _note_lowered(self) -> None:
        """Memory ran out: the log, and who reads the result, are told with how many tokens the run went on."""
        at_once, number = self._at_once, self.step + 1
        self.log.append(event="out_of_memory", step=number, tokens_at_once=at_once.refused, went_on_with=at_once.used)
        self.log.flush()
        unchanged = "the objective is unchanged"
        if dropouts_in_force(self.run.model):
            unchanged += (
                ", but dropout drew other masks, as they follow the portions: a single run ends elsewhere within "
            )
            unchanged += "the spread of seeds"
        self.flags = (*self.flags, f"{at_once.told(at=f'at step {number}')}; {unchanged}")

    def _check_gradients(self) -> None:
        adapted = {name: p.grad for name, p in self.parameters.items() if name not in self.run.head_names}
        if adapted and not any(grad is not None and bool(grad.any()) for grad in adapted.values()):
            raise RunError(
                f"after the first backward pass none of the {len(adapted)} tensors the method trains has a gradient: "
                "the graph is cut, and training would leave them as they are. "
                "Check target_modules, and compute.gradient_checkpointing"
            )

    def _clip(self) -> float:
        limit = self.settings.max_grad_norm
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.parameters.values() if p.grad is not None])
        length = float(norm)
        if not math.isfinite(length):
            raise NotFiniteError(
                f"the gradient's norm is {length} at step {self.step + 1} of {self.num_steps} "
                f"(step {self.step} was the last good one). Lower learning_rate ({self.settings.learning_rate:g})"
            )
        if limit is not None and length > 0.999 * limit:  # well below, clipping would multiply every gradient by 1
            torch.nn.utils.clip_grads_with_norm_(self.parameters.values(), limit, norm)
        return length

    def _note_executed(self, grad_norm: float, num_rows: int) -> None:
        """What of the settings was seen to happen at this step: the optimiser's learning rate, clipping, batch size."""
        rate = float(self.optimiser.param_groups[0]["lr"])
        first = self.learning_rates.setdefault("first", rate)
        if rate > self.learning_rates.get("peak", -math.inf):
            self.learning_rates |= {"peak": rate, "peak_step": self.step}
        self.learning_rates |= {"first": first, "last": rate}
        limit = self.settings.max_grad_norm
        self.counts["clipped_steps"] += int(limit is not None and grad_norm > limit)
        self.counts["largest_batch"] = max(self.counts["largest_batch"], num_rows)

    def _score_is_due(self) -> bool:
        every = self.settings.evaluate_every
        steps = self.order.steps_per_epoch if every == "epoch" else every
        return self.step % steps == 0 or self.step >= self.num_steps

    def _score(self) -> None:
        self.run.model.eval()
        with torch.no_grad():
            self.last = self.run.score()
        is_better = self.last.value is not None and (self.best.value is None or self.last.value > self.best.value)
        if is_better:
            self.best, self.kept_step, self.num_without_better = self.last, self.step, 0
            if self.settings.keep == "best":
                self.best_weights = {name: p.detach().cpu().clone() for name, p in self.parameters.items()}
        else:
            self.num_without_better += 1
        self.num_scorings += 1
        if self.last.value is not None:
            self.curve = (*self.curve, (self.num_scorings, self.last.value))
        patience = self.settings.early_stopping_patience
        goes_on = self.step < self.num_steps
        self.stopped_early = patience is not None and self.num_without_better >= patience and goes_on
        self.pruned = goes_on and not self.stopped_early and bool(self.run.is_hopeless(self.curve))
        self.log.append(
            event="selection", step=self.step, score=self.last.value, note=self.last.note, **self.last.details
        )

    def checkpoint(self) -> None:
        """Writes down where the run stands, so that it can be gone on with."""
        self.log.flush()
        save_checkpoint(
            self.run.scratch,
            model=self.run.model,
            optimiser=self.optimiser,
            best=self.best_weights,
            progress={
                "step": self.step,
                "is_looked_at": self.is_looked_at,
                "tokens_that_fit": None if self._at_once.refused is None else self._at_once.used,
                "kept_step": self.kept_step,
                "best": vars(self.best),
                "last": vars(self.last),
                "num_without_better": self.num_without_better,
                "stopped_early": self.stopped_early,
                "pruned": self.pruned,
                "num_scorings": self.num_scorings,
                "curve": self.curve,
                "counts": self.counts,
                "loss": self.loss,
                "train_s": self.train_s,
                "learning_rates": self.learning_rates,
                "begun_with": self.begun_with,
                "flags": self.flags,
            },
            made_from=self.run.made_from,
        )
        self._last_checkpoint = self._clock()

    def _resume(self) -> int | None:
        try:
            loaded = load_checkpoint(
                self.run.scratch, model=self.run.model, optimiser=self.optimiser, made_from=self.run.made_from
            )
        except TornCheckpointError as error:  # the run starts over, to the same result
            self.flags = ("started over, because its checkpoint could not be read",)
            _LOG.warning("%s. The run starts over", error)
            return None
        if loaded is None:
            return None
        progress, self.best_weights = loaded
        self.step, self.kept_step = progress["step"], progress["kept_step"]
        self.is_looked_at = progress["is_looked_at"]
        self._at_once.keep_to(progress["tokens_that_fit"])
        self.best, self.last = SelectionScore(**progress["best"]), SelectionScore(**progress["last"])
        self.num_without_better, self.stopped_early = progress["num_without_better"], progress["stopped_early"]
        self.pruned, self.num_scorings = progress["pruned"], progress["num_scorings"]
        self.curve = tuple((number, value) for number, value in progress["curve"])
        self.counts, self.loss, self.train_s = progress["counts"], progress["loss"], progress["train_s"]
        self.learning_rates = progress["learning_rates"]
        self.begun_with, self.flags = progress["begun_with"], tuple(progress["flags"])
        others = [name for name, version in self.run.versions.items() if self.begun_with.get(name) != version]
        if others:
            told = ", ".join(f"{name} {self.begun_with.get(name)}, now {self.run.versions[name]}" for name in others)
            flag = f"begun under {told} (from step {self.step})"
            self.flags = (*self.flags, flag) if flag not in self.flags else self.flags
        return self.step

    def _tell(self) -> None:
        done = self.step - self._first_step
        if done == 0:  # what a stop had cut short was completed, and no step done yet
            return
        elapsed = max(self._clock() - self._started, 1e-9)
        rate = done / elapsed
        self._report(
            Progress(
                step=self.step,
                num_steps=self.num_steps,
                loss=self.loss,
                rate=rate,
                remaining_s=(self.num_steps - self.step) / rate,
            )
        )

"""One training of a sweep's trial: its score on the selection rows, and no weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunescope.search.prune import pruning_rule
from tunescope.search.trial import TrialTraining
from tunescope.steps.context import StepContext
from tunescope.steps.propose import read_wave
from tunescope.steps.train import tune, with_values
from tunescope.study.configs import TrialConfig

TRIAL_NAME = "trial.json"


def run(
    config: TrialConfig, inputs: Mapping[str, Path], out: Path, scratch: Path, context: StepContext
) -> dict[str, Any]:
    """Trains with the values that the wave proposes for this trial, and writes `trial.json`.

    Raises:
        TunescopeError: If data or model do not fit the config.
        RunError: If the training goes wrong: the trial is failed, and the sampler is told so.
        StopRequested: If the context says so; run again with the same scratch folder, it goes on from there.
    """
    wave = read_wave(inputs["proposals"])
    values = wave.values[config.number - wave.first]
    pruner = wave.settings.pruner
    rule = None if pruner is None else pruning_rule(pruner, wave.trials, config.replicate)
    chosen = with_values(config, values)
    tuning = tune(chosen, out, scratch, context) if rule is None else tune(chosen, out, scratch, context, rule)
    trained = tuning.trained
    score = trained.selection.value
    told = TrialTraining(
        number=config.number,
        replicate=config.replicate,
        seed=config.seed,
        values=values,
        state="pruned" if trained.pruned else "complete" if score is not None else "undefined",
        score=score,
        standard_error=trained.selection.details.get("standard_error"),
        num_examples=trained.selection.details["num_examples"],
        curve=trained.curve,
        num_tokens=trained.num_tokens,
        num_tokens_planned=trained.num_tokens_planned,
        note=trained.selection.note,
    )
    (out / TRIAL_NAME).write_text(told.model_dump_json(indent=1), encoding="utf-8")
    return tuning.facts | {"trial": told.model_dump(mode="json", exclude={"curve"})}

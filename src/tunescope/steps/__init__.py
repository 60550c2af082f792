"""The work of one job, a file each. `STEPS` says which file does which kind; nothing heavy is imported until one is run."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunescope.steps.context import Step, StepContext
from tunescope.study.job import StepConfig

KINDS = (
    *("baseline", "propose", "trial", "select", "train", "evaluate"),
    *("represent", "drift", "drift_controls", "retention", "probe", "examples"),
)
"""Kinds of job; `tunescope.steps.<kind>` holds each one's `run`."""


def _lazily(kind: str) -> Step:
    def run(
        config: StepConfig, inputs: Mapping[str, Path], out: Path, scratch: Path, context: StepContext
    ) -> dict[str, Any]:
        step: Step = importlib.import_module(f"tunescope.steps.{kind}").run
        return step(config, inputs, out, scratch, context)

    return run


STEPS: Mapping[str, Step] = {kind: _lazily(kind) for kind in KINDS}

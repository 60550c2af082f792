"""Full fine-tuning, LoRA or another PEFT method, for my model and my tasks? One YAML study in, one report out."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunescope import plots
    from tunescope.api import load_results, plan_study, report_study, run_study, study_results, study_status

__all__ = ["load_results", "plan_study", "plots", "report_study", "run_study", "study_results", "study_status"]


def __getattr__(name: str) -> Any:
    # The functions are found on first use, so that `tunescope --help` does not wait for what they need.
    if name == "plots":
        return importlib.import_module("tunescope.plots")
    if name in __all__:
        return getattr(importlib.import_module("tunescope.api"), name)
    raise AttributeError(f"module 'tunescope' has no attribute '{name}'")

"""A plan -> artifacts: which jobs are ready, where they run, and what became of each."""

from __future__ import annotations

from tunescope.execution.events import Event, JobBlocked, JobEnded, JobProgress, JobStarted, OnEvent, PlanSkipped
from tunescope.execution.executor import Executor
from tunescope.execution.inline import InlineExecutor
from tunescope.execution.outcome import Outcome
from tunescope.execution.runner import Blocked, Summary, run_plan

__all__ = [
    "Blocked",
    "Event",
    "Executor",
    "InlineExecutor",
    "JobBlocked",
    "JobEnded",
    "JobProgress",
    "JobStarted",
    "OnEvent",
    "Outcome",
    "PlanSkipped",
    "Summary",
    "run_plan",
]

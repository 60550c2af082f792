"""A plan -> artifacts: which jobs are ready, where they run, and what became of each."""

from __future__ import annotations

from tunescope.execution.events import (
    Event,
    JobBlocked,
    JobEnded,
    JobProgress,
    JobRetried,
    JobStarted,
    OnEvent,
    PlanSkipped,
    StopAsked,
    WorkerSeen,
    WorkerState,
)
from tunescope.execution.executor import Executor
from tunescope.execution.inline import InlineExecutor
from tunescope.execution.order import Needed, Order, order_of
from tunescope.execution.outcome import Outcome, Result
from tunescope.execution.runner import Blocked, Summary, run_plan

__all__ = [
    "Blocked",
    "Event",
    "Executor",
    "InlineExecutor",
    "JobBlocked",
    "JobEnded",
    "JobProgress",
    "JobRetried",
    "JobStarted",
    "Needed",
    "OnEvent",
    "Order",
    "Outcome",
    "PlanSkipped",
    "Result",
    "StopAsked",
    "Summary",
    "WorkerSeen",
    "WorkerState",
    "order_of",
    "run_plan",
]

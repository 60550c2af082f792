"""What a chaos run came to, as a table for people and as JSON."""

from __future__ import annotations

import platform
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from moments import MOMENTS
from state import State

WHO = {
    "driver": "the command (SIGKILL)",
    "worker": "a worker process (SIGKILL)",
    "term": "the command (SIGTERM)",
    "node": "a Ray node (SIGKILL)",
}


def rows(state: State) -> list[dict[str, Any]]:
    """A row per target."""
    assert state.undisturbed is not None
    told = []
    for target in WHO:
        rounds = state.of(target)
        if not rounds:
            continue
        kills = [kill for one in rounds for kill in one.kills]
        moments = Counter(kill.moment for kill in kills)
        lost = sum(one.seconds - state.undisturbed.seconds for one in rounds if one.is_complete)
        told.append(
            {"killed": WHO[target], "kills": len(kills)}
            | {moment: moments[moment] for moment in MOMENTS}
            | {
                "studies completed": sum(one.is_complete for one in rounds),
                "commands": sum(one.num_starts for one in rounds),
                "resumed from a checkpoint": sum(one.num_resumed for one in rounds),
                "jobs done twice": sum(len(one.done_twice) for one in rounds),
                "differences": sum(len(one.differences) for one in rounds),
                "left behind or not whole": sum(len(one.left) for one in rounds),
                "otherwise wrong": sum(len(one.wrong) for one in rounds),
                "seconds lost per kill": round(lost / max(len(kills), 1), 1),
            }
        )
    return told


def as_markdown(state: State, command: str) -> str:
    """The table, turned so that each target is a column, and what it was measured with."""
    assert state.undisturbed is not None
    columns = rows(state)
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {machine()} with `{command}`; "
        f"commit {state.about['commit']}. Undisturbed, the study's {state.undisturbed.num_jobs} jobs take "
        f"{state.undisturbed.seconds:.0f} s, {state.undisturbed.startup_s:.0f} s of them until the first job begins.",
        "",
        "| killed | " + " | ".join(row["killed"] for row in columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for name in columns[0]:
        if name != "killed":
            lines.append(f"| {name} | " + " | ".join(str(row[name]) for row in columns) + " |")
    return "\n".join(lines) + "\n"


def wrongs(state: State) -> list[str]:
    """All that should not have been."""
    return [
        f"{one.store}: {what}"
        for one in state.rounds
        for what in (*(f"{job} ran twice" for job in one.done_twice), *one.differences, *one.left, *one.wrong)
    ]


def machine() -> str:
    """Processors, memory and system, in words."""
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    memory_gib = psutil.virtual_memory().total / 2**30
    return f"{psutil.cpu_count()} processors ({model}), {memory_gib:.0f} GiB, {platform.system()}"

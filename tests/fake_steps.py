"""Jobs whose work takes no time, and that count how often they ran; shared by the tests of store and execution."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from tunescope.execution import InlineExecutor
from tunescope.hub.source import Source
from tunescope.steps.context import Progress, Step, StepContext
from tunescope.store import Store
from tunescope.study.job import Job, StepConfig
from tunescope.study.spec import Compute


class FakeConfig(StepConfig):
    """What a fake job does."""

    kind: ClassVar[str] = "fake"
    version: int = 1
    name: str
    does: str = "write"
    sleep_s: float = 0.0
    num_files: int = 2


class TrialLike(FakeConfig):
    """Wanted for others alone, and others make do without it."""

    kind: ClassVar[str] = "fake_trial"
    is_for_others: ClassVar[bool] = True


class WaveLike(FakeConfig):
    """Makes do without trials that failed; wanted for others alone."""

    kind: ClassVar[str] = "fake_wave"
    makes_do_without: ClassVar[frozenset[str]] = frozenset({"fake_trial"})
    is_for_others: ClassVar[bool] = True


class ChoiceLike(FakeConfig):
    """Makes do without trials that failed."""

    kind: ClassVar[str] = "fake_choice"
    makes_do_without: ClassVar[frozenset[str]] = frozenset({"fake_trial"})


def fake_job(
    name: str,
    *inputs: Job,
    does: str = "write",
    sleep_s: float = 0.0,
    num_files: int = 2,
    kind: type[FakeConfig] = FakeConfig,
) -> Job:
    """A job whose inputs play the roles input0, input1, ..."""
    config = kind(name=name, does=does, sleep_s=sleep_s, num_files=num_files)
    return Job(label=name, config=config, inputs={f"input{index}": job for index, job in enumerate(inputs)})


def ran(counts: Path) -> list[str]:
    """Names of the fake jobs that began, in order."""
    return counts.read_text(encoding="utf-8").split() if counts.exists() else []


def fake_steps(counts: Path) -> dict[str, Step]:
    """The one step, which notes each start in the file `counts`."""

    def run(
        config: FakeConfig, inputs: Mapping[str, Path], out: Path, scratch: Path, context: StepContext
    ) -> dict[str, Any]:
        with open(counts, "a", encoding="utf-8") as file:
            file.write(config.name + "\n")
        assert not list(out.iterdir()), "a job begins with an empty output"
        read = {role: (folder / "file0.txt").read_text(encoding="utf-8") for role, folder in inputs.items()}
        resumed = (scratch / "checkpoint").exists()
        (scratch / "checkpoint").write_text("half way", encoding="utf-8")
        context.report(Progress(step=1, num_steps=2, loss=0.5, rate=4.0, remaining_s=0.25))
        _misbehave(config.does, out, resumed)
        time.sleep(config.sleep_s)
        for index in range(config.num_files):
            path = out / ("sub" if index else ".") / f"file{index}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{config.name} {index}\n" * 50, encoding="utf-8")
        return {"read": read, "resumed": resumed, "device": context.device}

    return dict.fromkeys((kind.kind for kind in (FakeConfig, TrialLike, WaveLike, ChoiceLike)), run)


def _misbehave(does: str, out: Path, resumed: bool) -> None:
    if does == "raise":
        raise RuntimeError("the step broke\nsecond line")
    if does == "raise once" and not resumed:
        raise RuntimeError("the step broke the first time")
    if does == "interrupt" and not resumed:
        raise KeyboardInterrupt
    if does == "hang once" and not resumed:
        time.sleep(60.0)
    if does == "fill the disk":
        (out / "big.bin").write_bytes(bytes(3 * 2**20))
    if does == "link":
        os.symlink("/etc/hostname", out / "link")


def fake_context() -> StepContext:
    """A context with nothing in it that a fake step reads, but the device."""
    return StepContext(source=Source(), compute=Compute(), device="cpu", num_threads=1, report=lambda progress: None)


def inline(store: Store, counts: Path) -> InlineExecutor:
    """The executor of this process over the fake steps."""
    return InlineExecutor(store, fake_steps(counts), fake_context())

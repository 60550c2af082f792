"""Jobs whose work takes no time, and that count how often they ran; shared by the tests of store and execution."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from tunescope.errors import StopRequested
from tunescope.execution import InlineExecutor
from tunescope.execution.local.devices import worker_devices
from tunescope.execution.local.executor import LocalExecutor
from tunescope.hub.source import Source
from tunescope.steps.context import Progress, Step, StepContext
from tunescope.store import Store
from tunescope.study.job import Job, StepConfig
from tunescope.study.spec import Compute

_ADOPT = Store.adopt


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


class TrainingLike(FakeConfig):
    """Takes `num_steps` steps, and goes on from the last one that it had done when it was asked to stop or killed."""

    kind: ClassVar[str] = "fake_training"
    keeps_checkpoints: ClassVar[bool] = True
    num_steps: int = 100
    step_s: float = 0.02


KINDS = (FakeConfig, TrialLike, WaveLike, ChoiceLike, TrainingLike)


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


def fake_training(name: str, *, num_steps: int = 100, step_s: float = 0.02, does: str = "write") -> Job:
    """A job that keeps checkpoints."""
    return Job(label=name, config=TrainingLike(name=name, does=does, num_steps=num_steps, step_s=step_s))


def ran(counts: Path) -> list[str]:
    """Names of the fake jobs that began, in order."""
    return counts.read_text(encoding="utf-8").split() if counts.exists() else []


def fake_steps(counts: Path) -> dict[str, Step]:
    """The one step, which notes each start in the file `counts`.

    Another process finds it as "fake_steps:fake_steps" with `counts` as its argument.
    """

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
        _misbehave(config.does, out, resumed, context)
        time.sleep(config.sleep_s)
        told: dict[str, Any] = {}
        if isinstance(config, TrainingLike):
            told |= _train(config, scratch / "step", context)
        if config.does == "tell":
            told |= {"tokens": context.compute.micro_batch_tokens, "pid": os.getpid(), "threads": context.num_threads}
            told |= {
                "environment": {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")}
            }
        for index in range(config.num_files):
            path = out / ("sub" if index else ".") / f"file{index}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{config.name} {index}\n" * 50, encoding="utf-8")
        return {"read": read, "resumed": resumed, "device": context.device} | told

    return dict.fromkeys((kind.kind for kind in KINDS), run)


def _train(config: TrainingLike, checkpoint: Path, context: StepContext) -> dict[str, Any]:
    """Steps one by one; "kill at K" does so after step K, in the first try alone."""
    first = int(checkpoint.read_text(encoding="utf-8")) if checkpoint.exists() else 0
    for step in range(first, config.num_steps):
        if context.should_stop() and config.does != "deaf":
            raise StopRequested(f"step {step}")
        time.sleep(config.step_s)
        half = checkpoint.with_name("half")
        half.write_text(str(step + 1), encoding="utf-8")
        os.replace(half, checkpoint)
        context.report(
            Progress(step=step + 1, num_steps=config.num_steps, loss=1.0 / (step + 1), rate=50.0, remaining_s=0.0)
        )
        if config.does.startswith("kill at ") and first == 0 and step + 1 == int(config.does.split()[2]):
            os.kill(os.getpid(), signal.SIGKILL)
    return {"first_step": first}


def _misbehave(does: str, out: Path, resumed: bool, context: StepContext) -> None:
    if does == "raise":
        raise RuntimeError("the step broke\nsecond line")
    if does == "raise once" and not resumed:
        raise RuntimeError("the step broke the first time")
    if does == "interrupt" and not resumed:
        raise KeyboardInterrupt
    if does == "hang once" and not resumed:
        time.sleep(60.0)
    if does == "be killed" or (does == "be killed once" and not resumed):
        os.kill(os.getpid(), signal.SIGKILL)
    if does == "exit" or (does == "exit once" and not resumed):
        print("the library gave up", file=sys.stderr, flush=True)
        os._exit(3)
    if does == "be killed when done":
        Store.adopt = _adopt_and_be_killed  # this process dies of it, and its patch with it
    if does == "freeze" or (does == "freeze once" and not resumed):
        os.kill(os.getpid(), signal.SIGSTOP)
    if does == "hang":
        time.sleep(3600.0)
    if does == "hang for good":
        _hang_for_good()
    if does == "hold memory":
        _hold_memory(round(400 * context.compute.micro_batch_tokens / 4096))
    if does == "print":
        print("\r 12%|###     | 17/141 [00:03<00:24]", file=sys.stderr, flush=True)
        print("a library says hello", flush=True)
    if does == "fill the disk":
        (out / "big.bin").write_bytes(bytes(3 * 2**20))
    if does == "link":
        os.symlink("/etc/hostname", out / "link")


def _adopt_and_be_killed(store: Store, folder: Path, kind: str, id: str) -> None:
    """The artifact is whole in its place; what a commit does after that, and the word that it is done, are cut off."""
    _ADOPT(store, folder, kind, id)
    os.kill(os.getpid(), signal.SIGKILL)


def _hang_for_good() -> None:
    while True:
        try:
            time.sleep(3600.0)
        except KeyboardInterrupt:
            continue


def _hold_memory(mib: int) -> None:
    block = bytearray(os.urandom(2**20)) * mib
    time.sleep(1.2)
    assert len(block) == mib * 2**20


def fake_context() -> StepContext:
    """A context with nothing in it that a fake step reads, but the device."""
    return StepContext(source=Source(), compute=Compute(), device="cpu", num_threads=1, report=lambda progress: None)


def inline(store: Store, counts: Path) -> InlineExecutor:
    """The executor of this process over the fake steps."""
    return InlineExecutor(store, fake_steps(counts), fake_context())


def local(store: Store, counts: Path, num_workers: int = 2, **limits: Any) -> LocalExecutor:
    """The executor of several processes over the fake steps."""
    devices = worker_devices(num_workers, "cpu", num_threads=1)
    found = {"steps": "fake_steps:fake_steps", "steps_arguments": (counts,)}
    return LocalExecutor(store, fake_context(), devices, **(found | limits))

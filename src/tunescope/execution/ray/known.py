"""What the executor knows of each Ray worker and of the job that it gave it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Literal

from tunescope.execution.events import WorkerState
from tunescope.execution.order import Order
from tunescope.execution.ray.worker import Hello, Sign
from tunescope.study.job import Job


@dataclass(kw_only=True, eq=False)
class Try:
    """One try of a job."""

    job: Job
    order: Order
    started: float
    """Since it was given to its worker, by the steady clock."""
    told: int = 0
    """Number of the last progress that was passed on."""


@dataclass(kw_only=True, eq=False)
class Worker:
    """An actor, and what was last heard of it."""

    name: str
    actor: Any
    hello: Any
    """Ray's promise of an answer, here and below; None where none is awaited."""
    poll: Any = None
    work: Any = None
    who: Hello | None = None
    """None until it has started."""
    refused: str = ""
    """Why it gets no jobs. It is kept all the same: gone, Ray would start the next one in its place."""
    doing: Try | None = None
    sign: Sign | None = None
    heard: float = field(default_factory=time.monotonic)
    shown: float = 0.0

    @property
    def is_idle(self) -> bool:
        return self.who is not None and not self.refused and self.doing is None

    @property
    def refs(self) -> list[Any]:
        """The answers that are awaited."""
        return [ref for ref in (self.hello, self.poll, self.work) if ref is not None]

    def state(self, state: Literal["lost"] | None = None) -> WorkerState:
        """As others see it; only of one that has started."""
        who, sign = self.who, self.sign
        assert who is not None
        return WorkerState(
            name=self.name,
            host=who.host,
            pid=who.pid,
            device=who.device,
            state=state or ("lost" if self.refused else "running" if self.doing else "idle"),
            job_id=self.doing.job.id if self.doing else None,
            rss_gib=sign.rss_gib if sign else None,
            gpu_memory_gib=sign.gpu_memory_gib if sign else None,
        )

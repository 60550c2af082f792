"""How long each worker would take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tunescope.cost.devices import DeviceProfile
from tunescope.cost.predict import Prediction
from tunescope.preflight.finding import Finding, Status
from tunescope.study.placement import place
from tunescope.study.plan import Plan


def check_workers(
    plan: Plan, num_workers: int, device: DeviceProfile, nominal: Mapping[str, Prediction | None] | None = None
) -> Iterator[Finding]:
    """Predicted time of every worker, and of all together.

    Args:
        plan: With predictions in its jobs' resources.
        num_workers: Workers to place the jobs on.
        device: What each of them has.
        nominal: What the division rests on (`nominal_predictions`); the plan's own predictions where absent.

    Raises:
        StudyError: If a pin names a worker that is not there.
    """
    placement = place(plan, num_workers, nominal)
    for worker in placement.workers:
        tasks = ", ".join(dict.fromkeys(str(job.about["task"]) for job in worker.jobs)) or "nothing"
        yield _finding(
            f"worker {worker.number}",
            "ok" if worker.predicted_s is not None else "note",
            f"{len(worker.jobs)} jobs ({tasks}): {in_words(worker.predicted_s)} on {device.name}",
        )
    if num_workers > 1:
        yield _finding("all", "ok", f"{in_words(placement.makespan_s)} until the last worker is done")
    for said in placement.notes:
        yield _finding("all", "note", said)


def in_words(seconds: float | None) -> str:
    """A predicted time as a person says it.

    Example:
        >>> in_words(5400.0)
        'about 1.5 h'
    """
    if seconds is None:
        return "time not known"
    if seconds < 120.0:
        return f"about {seconds:.0f} s"
    if seconds < 5400.0:
        return f"about {seconds / 60.0:.0f} min"
    return f"about {seconds / 3600.0:.1f} h"


def _finding(subject: str, status: Status, message: str) -> Finding:
    return Finding(section="time", subject=subject, status=status, message=message)

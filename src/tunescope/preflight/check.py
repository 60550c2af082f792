"""`tunescope check`: all that can be known of a study before it runs. Nothing is written to the store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunescope.preflight.environment import check_environment
from tunescope.preflight.finding import SECTIONS, CheckReport, Finding, findings_of
from tunescope.study.known import expected_device, source_for
from tunescope.study.load import load_study

__all__ = ["CheckReport", "Finding", "check_study"]


def check_study(
    study: Path,
    *,
    store: Path,
    mirror: Path | None = None,
    changes: Sequence[str] = (),
    workers: int = 1,
    deep: bool = False,
) -> CheckReport:
    """Looks at libraries, data, models, methods, memory, disk, trackers and time; a fault in one hides no other.

    Every base model is loaded, and every method takes two real training steps with it, each in a process of its own.

    Args:
        study: The study's YAML file.
        store: Where results are to be kept; not written to.
        mirror: Stands in for the hub.
        changes: `key=value` changes of the study.
        workers: Workers to place the jobs on.
        deep: Also let every method learn ten examples by heart.

    Raises:
        TunescopeError: If the study file is wrong or the mirror is not there.
    """
    spec = load_study(study, changes)
    source, device = source_for(study, mirror), expected_device(spec)
    found = findings_of("environment", "libraries", check_environment)
    try:
        # Not before the libraries were looked at: a broken one is told as a fault, not as a traceback.
        from tunescope.preflight.fresh_process import FreshProcesses
        from tunescope.preflight.sections import Check
    except ImportError as error:
        message = f"the other sections wait until the libraries can be imported: {error}"
        found.append(Finding(section="environment", subject="libraries", status="fault", message=message))
        return CheckReport(study=spec.name, findings=tuple(found))
    with FreshProcesses() as processes:
        check = Check(
            spec=spec,
            source=source,
            store=store,
            num_workers=workers,
            deep=deep,
            device=device,
            processes=processes,
        )
        found.extend(check.findings())
    found.sort(key=lambda finding: SECTIONS.index(finding.section))
    return CheckReport(study=spec.name, findings=tuple(found))

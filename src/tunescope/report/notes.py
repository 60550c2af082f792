"""What stands in a study and a reader must know: what is noted and not acted on, and methods that are not tuned alike."""

from __future__ import annotations

from tunescope.study.parity import search_warnings, unequal_budgets
from tunescope.study.spec import StudySpec


def study_notes(study: StudySpec) -> list[str]:
    """One line for each such thing; none for most studies."""
    notes = []
    if study.trackers.wandb is not None:
        wandb = study.trackers.wandb
        notes.append(
            f"trackers.wandb (project {wandb.project}, {wandb.mode}) is noted: metrics stay in the store, nothing is sent"
        )
    if study.logs is not None:
        notes.append(f"logs ({study.logs}) is noted: job logs stay in the store, under logs/")
    unequal = unequal_budgets(study)
    notes.extend([unequal] if unequal else [])
    notes.extend(search_warnings(study))
    return notes

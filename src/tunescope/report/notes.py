"""What a study names that this version keeps in mind and does not act on, said wherever the study is shown."""

from __future__ import annotations

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
    if study.sweep.allow_unequal_budgets:
        fixed = [entry.name for entry in study.methods if not entry.sweep]
        told = f": {', '.join(fixed)} not tuned at all" if fixed and len(fixed) < len(study.methods) else ""
        notes.append(
            f"the study allows unequal tuning budgets (sweep.allow_unequal_budgets){told}; differences may be the tuning"
        )
    return notes

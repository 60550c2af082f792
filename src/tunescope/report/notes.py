"""What stands in a study and a reader must know: methods that are not tuned alike."""

from __future__ import annotations

from tunescope.study.parity import search_warnings, unequal_budgets
from tunescope.study.spec import StudySpec


def study_notes(study: StudySpec) -> list[str]:
    """One line for each such thing; none for most studies."""
    unequal = unequal_budgets(study)
    return [*([unequal] if unequal else []), *search_warnings(study)]

"""What a reader should know of a sweep's winner, in words: how far the search can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tunescope.search.settings import SearchSettings
from tunescope.search.space import Choice, Range
from tunescope.search.trial import Trial

EDGE_SHARE = 0.05
"""An optimum within this share of a range's width, on the range's own scale, lies on its edge."""
FEW_ROWS = 200
"""Below so many selection rows, one row is half a point and the winner is mostly luck."""


def advice(
    spaces: Mapping[str, Choice | Range], settings: SearchSettings, trials: Sequence[Trial], best: Trial
) -> list[str]:
    """Warnings on a sweep, each a sentence that says what was found and what to do.

    Args:
        spaces: Where was looked.
        settings: How.
        trials: Every trial.
        best: The winner, one of them, complete.
    """
    told = [edge for name, value in best.values.items() if (edge := _edge(name, spaces[name], value)) is not None]
    before_last = trials[: (len(trials) - 1) // settings.wave_size * settings.wave_size]
    num_known = sum(trial.state != "failed" for trial in before_last)
    if settings.sampler in ("tpe", "cmaes") and num_known < settings.num_startup_trials:
        told.append(
            f"no trial was chosen in the light of others: {settings.sampler} learns from results after "
            f"num_startup_trials ({settings.num_startup_trials}) in earlier waves of {settings.wave_size}. "
            "Give more trials, or say sampler: random"
        )
    failed = [trial for trial in trials if trial.state == "failed"]
    if failed:
        told.append(f"{len(failed)} of {len(trials)} trials failed: {failed[0].reason}")
    if best.num_examples is not None and best.num_examples < FEW_ROWS:
        told.append(
            f"{best.num_examples} selection rows are few: one row is {100 / best.num_examples:.1f} points. "
            "Raise selection_share or max_selection"
        )
    noise = _noise(trials, best)
    if noise is not None:
        told.append(noise)
    return told


def _edge(name: str, space: Choice | Range, value: Any) -> str | None:
    """Whether the best value of a range lies on its edge, and which way to widen it."""
    if isinstance(space, Choice):
        return None
    scale = math.log if space.log else float
    low, high, at = scale(space.low), scale(space.high), scale(value)
    margin = EDGE_SHARE * (high - low)
    for is_there, side, bound, way in (
        (at <= low + margin, "lower", space.low, "lower"),
        (at >= high - margin, "upper", space.high, "higher"),
    ):
        if is_there:
            return (
                f"the best {name}, {_short(value)}, lies on the {side} edge of its range ({space.low:g} to {space.high:g}): "
                f"better values may lie {way}. Widen it beyond {bound:g}"
            )
    return None


def _short(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3g}"


def _noise(trials: Sequence[Trial], best: Trial) -> str | None:
    """Whether the scores that the winner was chosen by differ by more than chance."""
    others = [
        trial.score for trial in trials if trial.state == "complete" and trial is not best and trial.score is not None
    ]
    if not others or best.score is None:
        return None
    lead = best.score - max(others)
    if lead == 0.0:
        ties = sum(score == best.score for score in others)
        return (
            f"{ties} other trial{'s score' if ties > 1 else ' scores'} the same as the winner, which was taken for being the first. "
            "More selection rows or seeds_per_trial would tell them apart"
        )
    error = _error(best)
    if error is None or lead > error:
        return None
    within = 1 + sum(best.score - score <= error for score in others)
    return (
        f"the winner leads the next by {lead:.4f}, and a score on {best.num_examples} selection rows has a standard error of "
        f"{error:.4f}: {within} of {len(others) + 1} complete trials are within one of the best. "
        "More selection rows or seeds_per_trial would tell them apart"
    )


def _error(best: Trial) -> float | None:
    """The standard error of the best score; of a share of 0 or 1, whose own is 0, that of (x + 2) right of n + 4.

    Agresti and Coull, 1998, doi:10.1080/00031305.1998.10480550.
    """
    n = best.num_examples
    if best.standard_error != 0.0 or best.score not in (0.0, 1.0) or n is None:
        return best.standard_error
    return math.sqrt(2.0 * (n + 2.0) / (n + 4.0) ** 3)

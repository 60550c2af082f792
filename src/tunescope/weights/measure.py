"""A base folder and a tuned folder -> one row of numbers per parameter: how far, along how many directions, which.

W base weight, dW update, k leading singular directions; norms are Frobenius norms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tunescope.weights.deltas import module_updates
from tunescope.weights.intruders import (
    THRESHOLDS,
    Intruders,
    count_intruders,
    random_update,
    same_spectrum_update,
)
from tunescope.weights.spectrum import (
    Array,
    Sides,
    Svd,
    dense_spectrum,
    effective_rank,
    frobenius,
    leading_svd,
    low_rank_svd,
    numerical_rank,
    stable_rank,
    subspace_cosines,
    whole_svd,
)
from tunescope.weights.update import Floats, LowRank, ModuleUpdate

NO_MATRIX = "not a matrix: no spectrum, no directions"
UNCHANGED = "unchanged: an update of zero has no rank and no direction"

_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, kw_only=True)
class Directions:
    """How the singular directions of W, W + dW and dW lie to each other; left is a Linear's output side."""

    k: int
    """Leading directions of W and of W + dW that are compared."""
    tuned_in_base: Sides
    """Principal subspace cosine of W + dW with W, in [0, 1]; 1: the weight's own directions did not turn."""
    k_update: int
    """Leading directions of dW that are compared with as many of W: k, or dW's rank where it is lower."""
    update_in_base: Sides
    """The same of dW with W: how far the update lies along directions that W already had."""
    update_in_base_by_chance: Sides
    """sqrt(k_update / m) and sqrt(k_update / n): the root mean square of `update_in_base` for random directions."""
    intruders: Intruders
    """Of W + dW."""
    random_intruders: Intruders
    """Of W + a Gaussian matrix of dW's norm."""
    same_spectrum_intruders: Intruders
    """Of W + a matrix with dW's singular values along random directions."""


@dataclass(frozen=True, kw_only=True)
class UpdateRow:
    """One parameter's update in numbers; None where one has no value, and then `note` says why."""

    module: str
    """Name in the base checkpoint, or `WHOLE_MODEL`."""
    shape: tuple[int, ...]
    update_norm: float | None
    """||dW||. Squares add up over rows: sqrt(sum update_norm^2) / sqrt(sum base_norm^2) is a group's relative norm."""
    base_norm: float | None
    """||W||."""
    relative_norm: float | None
    """||dW|| / ||W||."""
    share_changed: float | None
    """Share of entries whose stored value (float32) is another after adding dW, in [0, 1]."""
    effective_rank: float | None
    """Of dW, Roy & Vetterli (2007)."""
    stable_rank: float | None
    """Of dW, ||dW||^2 / s_1^2."""
    top_singular_values: tuple[float, ...]
    """Up to k of dW, descending; empty where there are none."""
    directions: Directions | None
    note: str


def update_rows(
    tuned: Path,
    base: Path,
    *,
    k: int = 10,
    thresholds: Sequence[float] = THRESHOLDS,
    seed: int = 0,
    directions: bool = True,
    base_is_half: bool = False,
    trust_remote_code: bool = False,
    base_svd: Callable[[str, Floats], Svd] | None = None,
) -> list[UpdateRow]:
    """Measures every parameter's update, one module in memory at a time.

    Args:
        tuned: As for `module_updates`.
        base: As for `module_updates`.
        k: Leading singular directions looked at.
        thresholds: The sweep of `num_intruders`, each above 0 and below 1.
        seed: Draws the random controls; each parameter's own follow from it and its name.
        directions: Also decompose W, which takes most of the time; without it `directions` is None in every row.
        base_is_half: As for `module_updates`.
        trust_remote_code: As for `module_updates`.
        base_svd: All singular triplets of a base weight, by its name and values; for keeping them between
            runs of one base. Default: computed anew.

    Returns:
        A row per parameter that a full model has or an adapter changes; none for a run that trained its head alone.

    Raises:
        ModelError: As `module_updates`.
        ValueError: If k is less than 1 or a threshold is out of range.
    """
    if k < 1:
        raise ValueError(f"update_rows: k must be 1 or more, got {k}")
    if not thresholds or not all(0.0 < threshold < 1.0 for threshold in thresholds):
        raise ValueError(f"update_rows: thresholds must lie between 0 and 1, got {tuple(thresholds)}")
    updates = module_updates(tuned, base, base_is_half=base_is_half, trust_remote_code=trust_remote_code)
    decompose = base_svd or (lambda _, W: whole_svd(W))
    return [
        measure_update(update, k=k, thresholds=thresholds, seed=seed, base_svd=decompose if directions else None)
        for update in updates
    ]


def measure_update(
    update: ModuleUpdate,
    *,
    k: int = 10,
    thresholds: Sequence[float] = THRESHOLDS,
    seed: int = 0,
    base_svd: Callable[[str, Floats], Svd] | None,
) -> UpdateRow:
    """One row; `base_svd` None leaves the directions out."""
    W, change = update.base, update.change
    if W is None or change is None:
        return _row(update, note=f"not available: {update.reason}")
    base_norm = frobenius(W)
    factored = low_rank_svd(change.A, change.B, change.scale) if isinstance(change, LowRank) else None
    update_norm = frobenius(factored.s if factored else update.dense())
    relative = update_norm / base_norm if base_norm > 0.0 else None
    notes = [] if relative is not None else ["the base parameter is all zeros: no relative norm"]
    spectrum: Array | None = None
    found: Directions | None = None
    if update_norm == 0.0:
        notes.append(UNCHANGED)
    elif W.ndim != 2 or min(W.shape) == 1:
        notes.append(NO_MATRIX)
    else:
        spectrum = factored.s if factored else dense_spectrum(update.dense())
        if base_svd is not None and base_norm > 0.0:
            own_seed = _seed_of(seed, update.module)
            leading = factored or leading_svd(update.dense(), min(k, *W.shape))
            base = base_svd(update.module, W)
            found = _directions(update, W, base, leading, spectrum, k=k, thresholds=thresholds, seed=own_seed)
    return _row(
        update,
        update_norm=update_norm,
        base_norm=base_norm,
        relative_norm=relative,
        share_changed=_share_changed(W, change),
        spectrum=spectrum,
        k=k,
        directions=found,
        note="; ".join(notes),
    )


def _row(
    update: ModuleUpdate,
    *,
    update_norm: float | None = None,
    base_norm: float | None = None,
    relative_norm: float | None = None,
    share_changed: float | None = None,
    spectrum: Array | None = None,
    k: int = 0,
    directions: Directions | None = None,
    note: str,
) -> UpdateRow:
    return UpdateRow(
        module=update.module,
        shape=update.shape,
        update_norm=update_norm,
        base_norm=base_norm,
        relative_norm=relative_norm,
        share_changed=share_changed,
        effective_rank=None if spectrum is None else effective_rank(spectrum),
        stable_rank=None if spectrum is None else stable_rank(spectrum),
        top_singular_values=() if spectrum is None else tuple(float(s) for s in spectrum[:k]),
        directions=directions,
        note=note,
    )


def _directions(
    update: ModuleUpdate,
    W: Floats,
    base: Svd,
    of_update: Svd,
    spectrum: Array,
    *,
    k: int,
    thresholds: Sequence[float],
    seed: int,
) -> Directions:
    rows, columns = W.shape
    k_base = min(k, numerical_rank(base.s, W.shape))
    tuned = leading_svd(W + update.dense(), k_base)
    rank = numerical_rank(spectrum, W.shape)
    k_update = min(k_base, rank)

    def against(control: Array) -> Intruders:
        return count_intruders(base, leading_svd(W + control, k_base), thresholds=thresholds)

    return Directions(
        k=k_base,
        tuned_in_base=subspace_cosines(tuned, base, k_base),
        k_update=k_update,
        update_in_base=subspace_cosines(of_update, base, k_update),
        update_in_base_by_chance=Sides(float(np.sqrt(k_update / rows)), float(np.sqrt(k_update / columns))),
        intruders=count_intruders(base, tuned, thresholds=thresholds),
        random_intruders=against(random_update(frobenius(spectrum), (rows, columns), seed=seed)),
        same_spectrum_intruders=against(same_spectrum_update(spectrum[:rank], (rows, columns), seed=seed)),
    )


def _share_changed(W: Floats, change: Array | LowRank) -> float:
    """In slices of rows, so that a low-rank update is never whole in memory."""
    if W.size == 0:
        return 0.0
    num_changed = sum(int(np.sum((rows + moved).astype(rows.dtype) != rows)) for rows, moved in _slices(W, change))
    return num_changed / W.size


def _slices(W: Floats, change: Array | LowRank) -> Iterator[tuple[Floats, Array]]:
    if W.ndim == 0:
        assert not isinstance(change, LowRank)
        yield W, change
        return
    for start in range(0, len(W), _ROWS_AT_ONCE):
        stop = min(start + _ROWS_AT_ONCE, len(W))
        yield W[start:stop], change.rows(start, stop) if isinstance(change, LowRank) else change[start:stop]


def _seed_of(seed: int, module: str) -> int:
    """A seed of a parameter's own that does not depend on the order in which parameters are read."""
    drawn = np.random.SeedSequence([seed, *module.encode()]).generate_state(1, dtype=np.uint32)
    return int(drawn[0])

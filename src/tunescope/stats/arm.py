"""One arm of a comparison: a method's score components by seed and example; and two arms brought into one order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

_NAMED = 3
"""So many ids of those that do not match stand in an error."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Arm:
    """What one method scored: S seeds, the same n examples for each, k components of the score.

    Raises:
        ValueError: If shapes do not fit, a seed or example id stands twice, there are none, or a component is not finite.
    """

    seeds: tuple[int, ...]
    example_ids: tuple[str, ...]
    components: np.ndarray
    """(S, n, k) float64, as `ScoreOfMeans.components` makes them per seed."""

    def __post_init__(self) -> None:
        for name, entries in (("seeds", self.seeds), ("example_ids", self.example_ids)):
            if not entries:
                raise ValueError(f"Arm: {name} is empty")
            if len(set(entries)) != len(entries):
                raise ValueError(f"Arm: {name} hold an entry twice: {_some(_doubles(entries))}")
        components = np.asarray(self.components, dtype=np.float64)
        expected = (len(self.seeds), len(self.example_ids))
        if components.ndim != 3 or components.shape[:2] != expected or components.shape[2] == 0:
            raise ValueError(f"Arm: components must be {expected} by components, got shape {components.shape}")
        if not np.isfinite(components).all():
            s, i, _ = np.argwhere(~np.isfinite(components))[0]
            raise ValueError(f"Arm: components of seed {self.seeds[s]}, example {self.example_ids[i]} are not finite")
        object.__setattr__(self, "components", components)


def aligned(a: Arm, b: Arm, *, paired_by_seed: bool, same_examples: bool) -> tuple[Arm, Arm]:
    """Both arms with seeds and examples in rising order, so that rows and columns match where they are paired.

    Raises:
        ValueError: If the arms differ in components, in seeds though `paired_by_seed`, or in examples though
            `same_examples`; the message counts and names them. None is dropped to make them fit.
    """
    if a.components.shape[2] != b.components.shape[2]:
        raise ValueError(
            f"compare: both arms must hold the same components, got {a.components.shape[2]} and {b.components.shape[2]}"
        )
    if paired_by_seed:
        _require_same("seeds", a.seeds, b.seeds)
    if same_examples:
        _require_same("examples", a.example_ids, b.example_ids)
    return _sorted(a), _sorted(b)


def _sorted(arm: Arm) -> Arm:
    rows = sorted(range(len(arm.seeds)), key=lambda s: arm.seeds[s])
    columns = sorted(range(len(arm.example_ids)), key=lambda i: arm.example_ids[i])
    return Arm(
        seeds=tuple(arm.seeds[s] for s in rows),
        example_ids=tuple(arm.example_ids[i] for i in columns),
        components=arm.components[np.ix_(rows, columns)],
    )


def _require_same(what: str, a: Sequence[int] | Sequence[str], b: Sequence[int] | Sequence[str]) -> None:
    in_a, in_b = set(a), set(b)
    only_a, only_b = [entry for entry in a if entry not in in_b], [entry for entry in b if entry not in in_a]
    if not only_a and not only_b:
        return
    told = [
        f"{len(entries)} only in {arm} ({_some(entries)})" for arm, entries in (("A", only_a), ("B", only_b)) if entries
    ]
    raise ValueError(f"compare: paired arms must hold the same {what}, got {len(a)} and {len(b)}: {'; '.join(told)}")


def _doubles(entries: Iterable[object]) -> list[object]:
    return [entry for entry, count in Counter(entries).items() if count > 1]


def _some(entries: Sequence[object]) -> str:
    shown = ", ".join(str(entry) for entry in entries[:_NAMED])
    return shown + (", ..." if len(entries) > _NAMED else "")

"""Arms: what is refused, and how two are brought into one order."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.stats.arm import Arm, aligned


def _arm(seeds: tuple[int, ...] = (1, 2), ids: tuple[str, ...] = ("x", "y", "z")) -> Arm:
    return Arm(seeds=seeds, example_ids=ids, components=np.zeros((len(seeds), len(ids), 1)))


def test_aligned_sorts_rows_and_columns_with_their_labels() -> None:
    cells = np.array([[[1.0], [2.0]], [[3.0], [4.0]]])
    a = Arm(seeds=(5, 2), example_ids=("q", "p"), components=cells)
    b = Arm(seeds=(2, 5), example_ids=("p", "q"), components=np.zeros((2, 2, 1)))
    first, second = aligned(a, b, paired_by_seed=True, same_examples=True)
    assert first.seeds == second.seeds == (2, 5)
    assert first.example_ids == second.example_ids == ("p", "q")
    assert first.components[..., 0].tolist() == [[4.0, 3.0], [2.0, 1.0]]


def test_unequal_example_sets_are_counted_and_named() -> None:
    b = _arm(ids=("x", "y", "v", "w", "t", "u"))
    with pytest.raises(
        ValueError, match=r"same examples, got 3 and 6: 1 only in A \(z\); 4 only in B \(v, w, t, \.\.\.\)"
    ):
        aligned(_arm(), b, paired_by_seed=True, same_examples=True)


def test_unequal_seeds_are_named_only_where_they_are_paired() -> None:
    b = _arm(seeds=(1, 3))
    with pytest.raises(ValueError, match=r"same seeds, got 2 and 2: 1 only in A \(2\); 1 only in B \(3\)"):
        aligned(_arm(), b, paired_by_seed=True, same_examples=True)
    assert aligned(_arm(), b, paired_by_seed=False, same_examples=True)[1].seeds == (1, 3)


def test_other_examples_are_fine_where_they_are_not_shared() -> None:
    _, b = aligned(_arm(), _arm(ids=("k", "j")), paired_by_seed=True, same_examples=False)
    assert b.example_ids == ("j", "k")


@pytest.mark.parametrize(
    "seeds, ids, components, message",
    [
        ((), ("x",), np.zeros((0, 1, 1)), "seeds is empty"),
        ((1,), (), np.zeros((1, 0, 1)), "example_ids is empty"),
        ((1, 1), ("x",), np.zeros((2, 1, 1)), "seeds hold an entry twice: 1"),
        ((1,), ("x", "y", "x"), np.zeros((1, 3, 1)), "example_ids hold an entry twice: x"),
        ((1,), ("x",), np.zeros((1, 1)), r"components must be \(1, 1\) by components, got shape \(1, 1\)"),
        ((1,), ("x",), np.zeros((1, 2, 1)), r"got shape \(1, 2, 1\)"),
        ((1,), ("x",), np.zeros((1, 1, 0)), r"got shape \(1, 1, 0\)"),
        ((1, 2), ("x",), np.array([[[1.0]], [[np.nan]]]), "components of seed 2, example x are not finite"),
    ],
)
def test_what_is_no_arm_is_refused(
    seeds: tuple[int, ...], ids: tuple[str, ...], components: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Arm(seeds=seeds, example_ids=ids, components=components)


def test_arms_of_different_scores_are_refused() -> None:
    b = Arm(seeds=(1, 2), example_ids=("x", "y", "z"), components=np.zeros((2, 3, 2)))
    with pytest.raises(ValueError, match="same components, got 1 and 2"):
        aligned(_arm(), b, paired_by_seed=True, same_examples=True)

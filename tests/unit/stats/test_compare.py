"""Whole comparisons: what they hold, and what they say of data that carry less."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.stats.arm import Arm
from tunescope.stats.claim import Claim
from tunescope.stats.compare import compare, compare_scores, not_comparable
from tunescope.stats.components import score_of_means
from tunescope.stats.crossed import crossed_interval

ACCURACY = score_of_means("accuracy")


def _arms(num_seeds: int = 3, n: int = 80, *, gap: float = 0.2, seed: int = 0) -> tuple[Arm, Arm]:
    rng = np.random.default_rng(seed)
    common, ids = rng.random(n), tuple(f"e{i:03}" for i in range(n))
    arms = [
        Arm(
            seeds=tuple(range(num_seeds)),
            example_ids=ids,
            components=((rng.random((num_seeds, n)) + common) / 2 < share).astype(float)[..., None],
        )
        for share in (0.5 + gap, 0.5)
    ]
    return arms[0], arms[1]


def test_three_paired_seeds_never_show_a_difference_however_large() -> None:
    a, b = _arms(gap=0.4)
    found = compare(a, b, ACCURACY, paired_by_seed=True)
    assert found.permutation.p_value == found.permutation.smallest_p == 0.25
    assert found.p_interval is not None
    assert found.p_interval < 0.05
    assert found.p_value == 0.25


def test_a_comparison_holds_the_crossed_interval_and_everything_beside_it() -> None:
    a, b = _arms(10)
    found = compare(a, b, ACCURACY, paired_by_seed=True)
    crossed = crossed_interval(a.components[..., 0], b.components[..., 0], paired_by_seed=True)
    assert found.difference == crossed.estimate
    assert found.p_value == max(crossed.p_value or 0.0, found.permutation.p_value or 0.0)
    assert found.bootstrap.ci_low == pytest.approx(crossed.estimate.ci_low, abs=0.02)
    assert found.a_scores == tuple(a.components[..., 0].mean(axis=1))
    assert found.effect_size.is_estimable
    assert found.probability_better.value == 1.0
    assert sorted(found.mcnemar) == list(range(10))
    assert (found.num_seeds, found.num_examples, found.reason) == ((10, 10), (80, 80), "")


def test_unpaired_seeds_are_relabelled() -> None:
    a, b = _arms(5)
    found = compare(a, b, ACCURACY, paired_by_seed=False)
    assert "label permutation" in found.permutation.method
    assert found.permutation.smallest_p == pytest.approx(2 / 252)
    assert found.mcnemar == {}


def test_one_seed_speaks_of_examples_and_says_so() -> None:
    a, b = _arms(1)
    found = compare(a, b, ACCURACY, paired_by_seed=True)
    assert found.permutation.num_units == 80
    assert "over examples (one seed per arm" in found.permutation.method
    assert "one seed per arm" in found.difference.method
    assert "BCa" in found.bootstrap.method
    assert not found.effect_size.is_estimable
    apart = compare(a, b, ACCURACY, paired_by_seed=True, same_examples=False)
    assert "label permutation test" in apart.permutation.method
    assert apart.mcnemar == {}


def test_arms_that_score_alike_differ_by_zero_with_p_1_and_say_why() -> None:
    a, _ = _arms()
    for paired in (True, False):
        same = Arm(seeds=a.seeds, example_ids=a.example_ids, components=np.repeat(a.components[:1], 3, axis=0))
        found = compare(same, same, ACCURACY, paired_by_seed=paired)
        assert (found.difference.value, found.difference.ci_low) == (0.0, None)
        assert (found.p_value, found.p_interval) == (1.0, 1.0)
        assert found.reason == found.difference.reason == "both arms score alike on every example"
        assert not found.effect_size.is_estimable


def test_no_variation_with_a_difference_has_no_p_value() -> None:
    ids = ("x", "y")
    right = Arm(seeds=(1, 2), example_ids=ids, components=np.ones((2, 2, 1)))
    wrong = Arm(seeds=(1, 2), example_ids=ids, components=np.zeros((2, 2, 1)))
    found = compare(right, wrong, ACCURACY, paired_by_seed=True)
    assert found.difference.value == 1.0
    assert found.p_value is None
    assert found.reason.startswith("no variation over 2 seeds and 2 examples")


def test_an_undefined_score_names_its_seed_and_arm() -> None:
    f1 = score_of_means("f1")
    ids = ("x", "y")
    none = Arm(seeds=(1, 2), example_ids=ids, components=np.zeros((2, 2, 3)))
    found = compare(none, none, f1, paired_by_seed=True, claim=Claim(kind="not_worse_by", bound=0.1))
    assert not found.is_estimable
    assert found.reason == "f1 is undefined (0/0) for seed 1 of A"
    assert found.claim_test is not None
    assert found.claim_test.reason == found.reason


def test_errors_turn_the_probability_round_and_keep_the_sign() -> None:
    a, b = _arms(6)
    found = compare(a, b, score_of_means("mse"), paired_by_seed=True)
    assert found.difference.value is not None
    assert found.difference.value > 0
    assert found.probability_better.value == 0.0
    assert not found.higher_is_better


def test_a_ratio_claim_takes_examples_into_account() -> None:
    a, b = _arms(4, gap=0.3)
    claim = Claim(kind="ratio_below", bound=0.8)
    found = compare(b, a, ACCURACY, paired_by_seed=True, claim=claim).claim_test
    assert found is not None
    ratios = b.components.mean(axis=(1, 2)) / a.components.mean(axis=(1, 2))
    assert found.estimate == pytest.approx(np.exp(np.log(ratios).mean()))
    assert found.p_value is not None
    assert found.ci_low is not None
    assert "crossed model" in found.method
    zero = Arm(seeds=a.seeds, example_ids=a.example_ids, components=np.zeros((4, 80, 1)))
    refused = compare(a, zero, ACCURACY, paired_by_seed=True, claim=claim).claim_test
    assert refused is not None
    assert refused.reason == "a ratio needs scores above 0 on every seed"


def test_scores_alone() -> None:
    rng = np.random.default_rng(1)
    a, b = 0.8 + 0.01 * rng.normal(size=8), 0.7 + 0.01 * rng.normal(size=8)
    found = compare_scores(a, b, paired=True, claim=Claim(kind="equivalent_within", bound=0.2))
    assert "BCa" in found.bootstrap.method
    assert found.num_examples is None
    assert found.p_value == pytest.approx(2 / 2**8)
    assert found.claim_test is not None
    assert found.claim_test.p_value is not None
    assert found.claim_test.p_value < 0.05
    few = compare_scores(a[:3], b[:4], paired=False)
    assert "fewer than 8 paired seeds" in few.bootstrap.reason
    assert few.num_seeds == (3, 4)


def test_one_score_each_has_a_difference_and_nothing_else() -> None:
    found = compare_scores([0.8], [0.7], paired=True)
    assert found.difference.value == pytest.approx(0.1)
    assert found.p_value is None
    assert "one seed and no scores of single examples" in found.reason
    equal = compare_scores([0.8], [0.8], paired=True)
    assert equal.p_value is None


def test_a_failed_arm_is_not_estimable() -> None:
    found = not_comparable("lora failed on seed 13: out of memory", claim=Claim(kind="ratio_below", bound=0.8))
    assert not found.is_estimable
    assert found.permutation.reason == found.reason == "lora failed on seed 13: out of memory"
    with pytest.raises(ValueError, match="reason must say why"):
        not_comparable("")


def test_arms_that_do_not_match_are_refused() -> None:
    a, b = _arms()
    fewer = Arm(seeds=b.seeds, example_ids=b.example_ids[1:], components=b.components[:, 1:])
    with pytest.raises(ValueError, match=r"same examples, got 80 and 79: 1 only in A \(e000\)"):
        compare(a, fewer, ACCURACY, paired_by_seed=True)
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        compare(a, b, ACCURACY, paired_by_seed=True, level=95)
    with pytest.raises(ValueError, match="as many scores"):
        compare_scores([0.1, 0.2], [0.1], paired=True)
    with pytest.raises(ValueError, match="a is empty"):
        compare_scores([], [0.1], paired=False)

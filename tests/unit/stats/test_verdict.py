"""Verdicts: every answer, Holm over the family, and sentences that say what would decide it."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.stats.arm import Arm
from tunescope.stats.claim import Claim
from tunescope.stats.compare import compare, compare_scores, not_comparable
from tunescope.stats.components import score_of_means
from tunescope.stats.verdict import seeds_for, verdicts

NOISE = 0.01 * np.random.default_rng(0).normal(size=12)
HIGH, LOW = 0.8 + NOISE, 0.7 - NOISE[::-1]
MARGIN = Claim(kind="equivalent_within", bound=0.03)


def test_better_and_worse_follow_the_scores_direction() -> None:
    higher = verdicts([compare_scores(HIGH, LOW, paired=True), compare_scores(LOW, HIGH, paired=True)])
    assert [verdict.answer for verdict in higher] == ["better", "worse"]
    lower = verdicts([compare_scores(HIGH, LOW, paired=True, higher_is_better=False)])
    assert lower[0].answer == "worse"
    assert "95% interval" in lower[0].sentence


def test_three_seeds_are_undecided_and_say_how_many_would_do() -> None:
    three = compare_scores(HIGH[:3], LOW[:3], paired=True)
    (alone,) = verdicts([three])
    assert alone.answer == "undecided"
    assert alone.sentence.endswith("3 seeds allow no p below 0.25; 6 would.")
    both = verdicts([three, compare_scores(HIGH, LOW, paired=True)])
    assert both[0].sentence.endswith("3 seeds allow no p below 0.25; 7 would allow one as small as a family of 2 asks.")
    assert both[1].answer == "better"


def test_claims_have_their_own_answers() -> None:
    claims = {
        "equivalent": (HIGH, HIGH[::-1], MARGIN),
        "not worse": (HIGH, LOW, Claim(kind="not_worse_by", bound=0.03)),
        "holds": (LOW, HIGH, Claim(kind="ratio_below", bound=0.95)),
    }
    for answer, (a, b, claim) in claims.items():
        (found,) = verdicts([compare_scores(a, b, paired=True, claim=claim)])
        assert found.answer == answer
        assert found.sentence.startswith("Claim ")
        assert "90% interval" in found.sentence


def test_a_claim_that_the_data_contradict_says_so() -> None:
    for claim, a, b in (
        (MARGIN, HIGH, LOW),
        (Claim(kind="not_worse_by", bound=0.03), LOW, HIGH),
        (Claim(kind="ratio_below", bound=0.95), HIGH, LOW),
        (Claim(kind="ratio_above", bound=1.05), LOW, HIGH),
    ):
        (found,) = verdicts([compare_scores(a, b, paired=True, claim=claim)])
        assert found.answer == "undecided"
        assert "speaks against the claim" in found.sentence


def test_holm_takes_the_family_into_account_and_leaves_the_rest_out() -> None:
    rng = np.random.default_rng(3)
    weak = compare_scores(0.7 + 0.01 * rng.normal(size=6) + np.full(6, 0.03), np.full(6, 0.7), paired=True)
    assert weak.p_value == pytest.approx(0.03125)
    (alone,) = verdicts([weak])
    assert (alone.answer, alone.adjusted_p) == ("better", pytest.approx(0.03125))
    family = verdicts([weak, weak, not_comparable("lora failed")])
    assert [verdict.answer for verdict in family] == ["undecided", "undecided", "not estimable"]
    assert family[0].adjusted_p == pytest.approx(0.0625)
    assert family[0].p_value == pytest.approx(0.03125)
    assert (family[2].p_value, family[2].adjusted_p) == (None, None)
    assert family[2].sentence == "Not estimable: lora failed."


def test_a_claim_shown_alone_and_not_in_its_family_says_so() -> None:
    a = np.array([0.70, 0.72, 0.69, 0.71])
    claimed = compare_scores(a, a[::-1], paired=True, claim=Claim(kind="equivalent_within", bound=0.033))
    assert claimed.claim_test is not None
    assert claimed.claim_test.p_value is not None
    assert 0.01 < claimed.claim_test.p_value < 0.05
    found = verdicts([claimed] * 6)[0]
    assert found.answer == "undecided"
    assert "would do alone, and does not among 6" in found.sentence


def test_noise_is_called_noise_and_what_narrows_it_is_named() -> None:
    (found,) = verdicts([compare_scores(HIGH, HIGH[::-1] + 0.001, paired=True)])
    assert found.answer == "undecided"
    assert found.sentence.endswith("the difference lies inside the noise; more seeds would narrow the interval.")


def test_seeds_for_is_the_least_number() -> None:
    assert [seeds_for(p, paired=True) for p in (0.5, 0.25, 0.05, 0.01)] == [2, 3, 6, 8]
    assert [seeds_for(p, paired=False) for p in (0.1, 0.05, 0.01)] == [3, 4, 5]
    with pytest.raises(ValueError, match="p_value must lie between 0 and 1"):
        seeds_for(0.0, paired=True)


@pytest.mark.parametrize("num_seeds, arm", [((1, 3), "A"), ((40, 1), "B")])
@pytest.mark.parametrize("claim", [None, MARGIN, Claim(kind="ratio_below", bound=0.95)])
def test_one_seed_in_an_arm_gives_no_verdict(num_seeds: tuple[int, int], arm: str, claim: Claim | None) -> None:
    rng = np.random.default_rng(1)
    arms = [
        Arm(
            seeds=tuple(range(count)),
            example_ids=tuple(map(str, range(400))),
            components=(rng.random((count, 400, 1)) < share).astype(float),
        )
        for count, share in zip(num_seeds, (0.5, 0.9), strict=True)
    ]
    comparison = compare(arms[0], arms[1], score_of_means("mean"), paired_by_seed=False, claim=claim, num_resamples=100)
    (found,) = verdicts([comparison])
    assert found.answer == "undecided"
    assert found.sentence.endswith(f"{arm} has one seed, and nothing shows how far another seed of {arm} would score.")


def test_an_empty_family_and_a_wrong_alpha() -> None:
    assert verdicts([]) == []
    with pytest.raises(ValueError, match="alpha must lie between 0 and 1"):
        verdicts([], alpha=5)

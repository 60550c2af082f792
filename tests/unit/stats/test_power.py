from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest

from tunescope.stats.permutation import label_permutation_test, sign_flip_test
from tunescope.stats.power import (
    DESIGNS,
    MOST_SEEDS,
    Assumptions,
    Design,
    Power,
    power,
    smallest_p,
)
from tunescope.stats.spread import accuracy_spread
from tunescope.stats.t_power import equivalence_power, t_power

ACCURACY = accuracy_spread(0.85)


def test_three_paired_seeds_can_never_find_anything_and_it_says_so() -> None:
    found = power("paired", num_seeds=3, num_examples=872, spread=ACCURACY)
    assert found.smallest_p == 0.25
    assert found.detectable is None
    assert found.reason == "3 seeds allow no permutation p below 0.25; 6 would"
    assert found.half_width is not None
    assert found.detectable_by_interval is not None
    assert 0.0 < found.half_width < found.detectable_by_interval


def test_a_family_holds_the_tests_to_its_share_and_not_the_interval() -> None:
    alone = power("paired", num_seeds=10, num_examples=872, spread=ACCURACY, margin=0.05)
    family = power("paired", num_seeds=10, num_examples=872, spread=ACCURACY, margin=0.05, family=12)
    strict = power("paired", num_seeds=10, num_examples=872, spread=ACCURACY, margin=0.05, alpha=0.05 / 12)
    assert family.half_width == alone.half_width != strict.half_width
    assert family.detectable == strict.detectable
    assert family.seeds_to_detect == strict.seeds_to_detect
    assert family.seeds_for_equivalence == strict.seeds_for_equivalence
    assert alone.detectable is not None
    assert family.detectable is not None
    assert family.detectable > alone.detectable
    few = power("paired", num_seeds=6, num_examples=872, spread=ACCURACY, family=12)
    assert (
        few.reason == "6 seeds allow no permutation p below 0.0312; 9 would allow one as small as a family of 12 asks"
    )


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("num_seeds", [2, 3, 5])
def test_smallest_p_is_that_of_the_tests(design: Design, num_seeds: int) -> None:
    better, worse = [2.0 + 0.1 * seed for seed in range(num_seeds)], [1.0 + 0.01 * seed for seed in range(num_seeds)]
    if design == "paired":
        test = sign_flip_test([a - b for a, b in zip(better, worse, strict=True)])
    else:
        test = label_permutation_test(better, worse)
    assert test.p_value == pytest.approx(smallest_p(num_seeds, design))
    assert test.smallest_p == pytest.approx(smallest_p(num_seeds, design))


@pytest.mark.parametrize("design", DESIGNS)
def test_more_seeds_and_more_examples_find_smaller_differences(design: Design) -> None:
    def found(num_seeds: int, num_examples: int) -> tuple[float, float]:
        result = power(design, num_seeds=num_seeds, num_examples=num_examples, spread=ACCURACY)
        assert result.half_width is not None
        assert result.detectable is not None
        return result.half_width, result.detectable

    few = found(6, 277)
    assert all(many < less for many, less in zip(found(10, 277), few, strict=True))
    assert all(many < less for many, less in zip(found(6, 2000), few, strict=True))


def test_pairing_helps() -> None:
    widths = [
        power(design, num_seeds=10, num_examples=872, spread=ACCURACY, assumptions=Assumptions(seed_correlation=0.5))
        for design in ("paired", "unpaired_seeds", "unpaired")
    ]
    variances = [width.variance for width in widths]
    assert variances == sorted(variances)  # type: ignore[type-var]
    assert variances[0] < variances[1] < variances[2]  # type: ignore[operator]


def test_variance_by_hand() -> None:
    assumed = Assumptions(seed_sd=0.02, seed_correlation=0.25, discordance=0.12, seed_discordance=0.04)
    paired = power("paired", num_seeds=4, num_examples=400, spread=ACCURACY, assumptions=assumed)
    assert paired.variance == pytest.approx(2 * 0.02**2 * 0.75 / 4 + (0.12 - 0.04) / 400)
    other_seeds = power("unpaired_seeds", num_seeds=4, num_examples=400, spread=ACCURACY, assumptions=assumed)
    assert other_seeds.variance == pytest.approx(2 * 0.02**2 / 4 + (0.12 - 0.04) / 400)
    unpaired = power("unpaired", num_seeds=4, num_examples=400, spread=ACCURACY, assumptions=assumed)
    assert unpaired.variance == pytest.approx(2 * 0.02**2 / 4 + 2 * (0.85 * 0.15 - 0.02) / 400)


def test_seeds_cannot_agree_better_than_their_disagreement_allows() -> None:
    assumed = Assumptions(seed_sd=0.0, discordance=0.1, seed_discordance=0.1)
    found = power("paired", num_seeds=5, num_examples=500, spread=ACCURACY, assumptions=assumed)
    assert found.variance == pytest.approx(2 * (0.1 / (2 * 500)) / 5)


def test_seeds_needed_are_the_least_that_do() -> None:
    def found(num_seeds: int) -> Power:
        assumed = Assumptions(seed_sd=0.015)
        return power(
            "paired", num_seeds=num_seeds, num_examples=2000, spread=ACCURACY, assumptions=assumed, margin=0.03
        )

    needed = found(3).seeds_to_detect
    assert needed is not None
    assert needed.num_seeds is not None
    assert needed.num_seeds > 6
    enough = found(needed.num_seeds).detectable
    assert enough is not None
    assert enough <= 0.03 * 1.001
    fewer = found(needed.num_seeds - 1).detectable
    assert fewer is None or fewer > 0.03


def test_equivalence_seeds_are_the_least_that_do() -> None:
    assumed = Assumptions(seed_sd=0.02)
    found = power("unpaired_seeds", num_seeds=3, num_examples=None, assumptions=assumed, margin=0.015)
    assert found.seeds_for_equivalence is not None
    seeds = found.seeds_for_equivalence.num_seeds
    assert seeds is not None
    assert seeds > 12

    def reached(count: int) -> float:
        return equivalence_power(0.015, 0.02 * math.sqrt(2 / count), 2 * (count - 1))

    assert reached(seeds) >= 0.8 > reached(seeds - 1)


def test_too_few_examples_are_never_enough() -> None:
    found = power("paired", num_seeds=3, num_examples=277, spread=ACCURACY, margin=0.01)
    for needed in (found.seeds_to_detect, found.seeds_for_equivalence):
        assert needed is not None
        assert needed.num_seeds is None
        assert needed.reason == "277 examples leave too much uncertainty, whatever the number of seeds"


def test_more_seeds_than_anyone_trains() -> None:
    found = power("paired", num_seeds=3, num_examples=None, assumptions=Assumptions(seed_sd=0.05), margin=0.001)
    assert found.seeds_to_detect is not None
    assert found.seeds_to_detect.num_seeds is None
    assert found.seeds_to_detect.reason == f"more than {MOST_SEEDS} seeds"


def test_no_margin_asks_for_no_seeds() -> None:
    found = power("paired", num_seeds=6, num_examples=None)
    assert found.seeds_to_detect is None
    assert found.seeds_for_equivalence is None


def test_one_seed_speaks_of_its_runs() -> None:
    found = power("paired", num_seeds=1, num_examples=400, spread=ACCURACY, assumptions=Assumptions(discordance=0.1))
    assert found.variance == pytest.approx(0.1 / 400)
    assert found.df == 399
    assert found.smallest_p is None
    assert found.detectable == found.detectable_by_interval
    assert found.reason == "one seed: the interval is over examples and speaks of these runs, not of the methods"


def test_one_seed_without_examples_is_not_estimable() -> None:
    found = power("unpaired", num_seeds=1, num_examples=None, assumptions=Assumptions(seed_sd=0.01), margin=0.03)
    assert found.variance is None
    assert found.half_width is None
    assert found.detectable is None
    assert found.reason == "one seed and no examples: nothing tells how far a score may stray"
    assert found.seeds_to_detect is not None
    assert found.seeds_to_detect.num_seeds == 4  # 2 / C(8, 4) = 0.029 is the first below 0.05


def test_a_large_difference_needs_as_much_disagreement() -> None:
    """No difference of 20 points where the methods disagree on 1% of the examples: the disagreement is raised to it."""
    assumed = Assumptions(seed_sd=0.0, discordance=0.01, seed_discordance=0.0)
    found = power("paired", num_seeds=1, num_examples=50, spread=ACCURACY, assumptions=assumed)
    assert found.detectable_by_interval is not None
    assert t_power(found.detectable_by_interval, math.sqrt(found.detectable_by_interval / 50), 49) == pytest.approx(0.8)


def test_no_variance_at_all() -> None:
    found = power("paired", num_seeds=6, num_examples=None, assumptions=Assumptions(seed_sd=0.0))
    assert found.half_width == 0.0
    assert found.detectable == pytest.approx(0.0, abs=1e-12)


def test_examples_alone_vary() -> None:
    assumed = Assumptions(seed_sd=0.0, discordance=0.1, seed_discordance=0.0)
    found = power("paired", num_seeds=6, num_examples=400, spread=ACCURACY, assumptions=assumed, margin=0.1)
    assert found.df == pytest.approx(399)
    assert found.variance == pytest.approx(0.1 / 400)
    assert found.detectable == pytest.approx(found.detectable_by_interval, rel=0.02)
    assert found.seeds_to_detect is not None
    assert found.seeds_to_detect.num_seeds == 6


@pytest.mark.parametrize(
    "changed, told",
    [
        ({"design": "crossed"}, "design must be one of paired, unpaired_seeds, unpaired, got 'crossed'"),
        ({"num_seeds": 0}, "num_seeds must be 1 or more, got 0"),
        ({"num_examples": 1}, "num_examples must be 2 or more, or None where unknown, got 1"),
        ({"spread": None}, "num_examples needs a spread"),
        ({"margin": 0.0}, "margin must be finite and above 0, got 0.0"),
        ({"margin": math.nan}, "margin must be finite and above 0, got nan"),
        ({"alpha": 0.9}, "0 < alpha < target < 1 must hold"),
        ({"assumptions": Assumptions(seed_sd=-0.1)}, "seed_sd must be finite and not negative, got -0.1"),
        ({"assumptions": Assumptions(discordance=5.0)}, "discordance must be within [0, 1], got 5.0"),
        ({"assumptions": Assumptions(seed_correlation=1.5)}, "seed_correlation must be within [-1, 1], got 1.5"),
    ],
)
def test_wrong_arguments(changed: dict[str, Any], told: str) -> None:
    given = {"design": "paired", "num_seeds": 3, "num_examples": 277, "spread": ACCURACY} | changed
    with pytest.raises(ValueError) as raised:
        power(given.pop("design"), **given)
    assert told in str(raised.value)


def test_importing_loads_no_scipy() -> None:
    command = "import sys, tunescope.stats.power; print([name for name in sys.modules if name.startswith('scipy')])"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("design", ["paired", "unpaired"])
def test_more_seeds_than_a_float_has_powers_of_two(design: Design) -> None:
    """2 / 2^1250 is 0 to a float, and no overflow."""
    assert smallest_p(1250, design) == 0.0
    found = power(design, num_seeds=1250, num_examples=None, margin=0.01)
    assert found.detectable is not None

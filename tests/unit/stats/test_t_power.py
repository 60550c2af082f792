"""Power of t tests where the answer is plain."""

from __future__ import annotations

from tunescope.stats.t_power import equivalence_power, t_power


def test_no_variance_at_all() -> None:
    assert t_power(0.0, 0.0, 5) == 0.05
    assert t_power(0.1, 0.0, 5) == 1.0
    assert equivalence_power(0.1, 0.0, 5) == 1.0

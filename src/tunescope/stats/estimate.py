"""What every statistic here returns: a number with its interval, a p-value with the least it could have been, or a reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number and its confidence interval; where `value` is None it is not estimable, and `reason` says why.

    A number may stand without an interval (`ci_low` and `ci_high` None) where the data carry the one and not the other;
    `reason` then says why too.
    """

    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    level: float = 0.95
    """Share of such intervals that hold the true value."""
    method: str = ""
    """How the interval came about, in words for a table's foot."""
    num_seeds: int | None = None
    num_examples: int | None = None
    reason: str = ""

    @property
    def is_estimable(self) -> bool:
        return self.value is not None


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """A p-value; None where the test cannot be made, and `reason` says why."""

    __test__ = False  # the name is statistics' own; pytest would take it for a test class

    p_value: float | None
    smallest_p: float | None = None
    """The least p-value that data of this size could have given; None where there is no such limit."""
    method: str = ""
    num_units: int | None = None
    """Seeds, or examples, that were exchanged."""
    reason: str = ""

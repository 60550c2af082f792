"""The values a swept field may take: a list, or a range."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tunescope.fields import Frozen

When = dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]]
"""Another swept field -> the values of it for which this one is searched; elsewhere it keeps what the study says."""


class Choice(Frozen):
    """One of some values that have no order."""

    kind: Literal["choice"] = "choice"
    values: Annotated[tuple[Any, ...], Field(min_length=2)]
    default: Any = None
    """The value of the trial with the default setting; null where there is none."""
    when: When = Field(default_factory=dict)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        texts = [as_text(value) for value in self.values]
        values = list(self.values)
        double = next((value for value in values if values.count(value) > 1), None)  # 1, 1.0 and true are one to Optuna
        if double is not None:
            raise ValueError(f"holds the value {as_text(double)} twice")
        if self.default is not None and as_text(self.default) not in texts:
            raise ValueError(f"the default {as_text(self.default)} is none of the values")
        return self

    def ends(self) -> tuple[Any, ...]:
        """Every value."""
        return self.values

    def holds(self, value: Any) -> bool:
        return as_text(value) in [as_text(one) for one in self.values]


class Range(Frozen):
    """A number between two bounds, both included, uniform in itself or in its logarithm."""

    kind: Literal["range"] = "range"
    low: float
    high: float
    log: bool = False
    integer: bool = False
    default: float | None = None
    """The value of the trial with the default setting; null where there is none."""
    when: When = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low >= self.high:
            raise ValueError(
                f"the range {self.low:g} to {self.high:g} is {'empty' if self.low == self.high else 'inverted'}: "
                "give the lower bound first, then a higher one"
            )
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range starts above 0, got {self.low:g}")
        if self.integer and any(bound != int(bound) for bound in (self.low, self.high)):
            raise ValueError(f"a range of whole numbers has whole bounds, got {self.low:g} to {self.high:g}")
        if self.default is not None and not self.low <= self.default <= self.high:
            raise ValueError(f"the default {self.default:g} lies outside {self.low:g} to {self.high:g}")
        return self

    def ends(self) -> tuple[Any, ...]:
        """Both bounds, as the field's own kind of number."""
        return (self.as_value(self.low), self.as_value(self.high))

    def holds(self, value: Any) -> bool:
        """Whether a trial can have just this value; of a range that is not of whole numbers none can be counted on."""
        return self.integer and type(value) is int and self.low <= value <= self.high

    def inside(self) -> float | int:
        """A value between the bounds that is whole only where all are."""
        return self.as_value(self.low + (self.high - self.low) / (2 + math.sqrt(2)))

    def middle(self) -> float | int:
        """The middle of the range, on its own scale."""
        return self.as_value(math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2)

    def as_value(self, number: float) -> float | int:
        """A number of the range as the field takes it."""
        return round(number) if self.integer else float(number)


Space = Annotated[Choice | Range, Field(discriminator="kind")]
Spaces = Mapping[str, Choice | Range]
"""Field of a method or of its training -> where to look for its value."""


def typical(space: Choice | Range) -> Any:
    """A value to plan with: the default, else the first of a list or the middle of a range."""
    if space.default is not None:
        return space.default if isinstance(space, Choice) else space.as_value(space.default)
    return space.values[0] if isinstance(space, Choice) else space.middle()


def is_searched(space: Choice | Range, values: Mapping[str, Any]) -> bool:
    """Whether a conditional space is searched, given the values of the fields before it."""
    return all(
        field in values and as_text(values[field]) in [as_text(one) for one in wanted]
        for field, wanted in space.when.items()
    )


def grid(spaces: Mapping[str, Choice | Range]) -> Iterator[dict[str, Any]]:
    """Every combination of listed values, the last field fastest; one empty setting where nothing is swept.

    Raises:
        ValueError: If a space is a range, which has no list of values.
    """
    ranges = [name for name, space in spaces.items() if isinstance(space, Range)]
    if ranges:
        raise ValueError(f"a grid needs lists of values; {', '.join(ranges)} has a range")
    seen = set()
    for values in itertools.product(*(space.ends() for space in spaces.values())):
        setting: dict[str, Any] = {}
        for (name, space), value in zip(spaces.items(), values, strict=True):
            if is_searched(space, setting):
                setting[name] = value
        if as_text(setting) not in seen:
            seen.add(as_text(setting))
            yield setting


def as_text(value: Any) -> str:
    """A value of a study as one text: equal values have equal texts, 1 and 1.0 and true have not."""
    return json.dumps(value, sort_keys=True, default=list)

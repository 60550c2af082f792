"""How numbers are shown: shares in percent, differences in points, all rounded for reading; cells keep the whole number."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from tunescope.report.content.table import Cell
from tunescope.study.hypothesis import DRIFT, RUN_MEASURES
from tunescope.tasks.scores import SCORES

NOTHING = "–"
"""What a cell shows that has no value."""
_MEASURE_WORDS = {"train_s": "training time", "peak_memory_gib": "peak memory", DRIFT: "drift"}
_UNITS = {"train_s": "seconds", "peak_memory_gib": "GiB", DRIFT: "1 - debiased CKA"}


def is_share(measure: str) -> bool:
    """Whether a measure is a share of one, which is shown in percent and its differences in points."""
    return measure in SCORES and math.isfinite(SCORES[measure].range[1])


def measure_words(measure: str) -> str:
    """A measure as a sentence names it."""
    return _MEASURE_WORDS.get(measure, measure)


def axis_label(measure: str) -> str:
    """A measure with the unit it is drawn in."""
    if is_share(measure):
        return f"{measure} (percent)"
    return f"{measure_words(measure)} ({_UNITS[measure]})" if measure in RUN_MEASURES else measure


def as_drawn(value: float, measure: str) -> float:
    """A value in the unit of `axis_label`."""
    return 100.0 * value if is_share(measure) else value


def value_of(value: float, measure: str) -> str:
    """A value of a measure, without its unit.

    Example:
        >>> value_of(0.8333, "accuracy"), value_of(12.345, "train_s")
        ('83.3', '12.3')
    """
    if is_share(measure):
        return f"{_round(100.0 * value, 1):.1f}"
    return drift(value) if measure == DRIFT else f"{value:.3g}" if abs(value) < 1000.0 else f"{value:,.0f}"


def difference_of(value: float, measure: str) -> str:
    """A difference with its sign, without its unit."""
    if is_share(measure):
        return f"{_round(100.0 * value, 1):+.1f}"
    return f"{value + 0.0:+.3g}"


def with_unit(shown: str, measure: str) -> str:
    """A difference as shown, with its unit behind it."""
    units = {"train_s": " s", "peak_memory_gib": " GiB"}
    return f"{shown} points" if is_share(measure) else shown + units.get(measure, "")


def interval_of(low: float | None, high: float | None, measure: str) -> str:
    """Both ends in brackets, as differences are read; empty where there is no interval."""
    if low is None or high is None:
        return ""
    if is_share(measure):
        return f"[{_round(100.0 * low, 1):.1f}, {_round(100.0 * high, 1):.1f}]"
    return f"[{low + 0.0:.3g}, {high + 0.0:.3g}]"


def value_interval(low: float | None, high: float | None, measure: str) -> str:
    """Both ends in brackets, as values are read; empty where there is no interval."""
    return "" if low is None or high is None else f"[{value_of(low, measure)}, {value_of(high, measure)}]"


def drift(value: float) -> str:
    """A drift to four decimals; below 0.001 to two digits, so that an end of its interval does not look like the value itself.

    Example:
        >>> drift(0.3727), drift(0.00014), drift(3.5e-05), drift(0.0)
        ('0.3727', '0.00014', '3.5e-05', '0.0000')
    """
    return f"{value + 0.0:.4f}" if value == 0.0 or abs(value) >= 9.5e-4 else f"{value:.2g}"


def ratio(value: float) -> str:
    """A ratio to two digits: 1/900 where it is small, 0.6 or 1.4 elsewhere.

    Example:
        >>> ratio(1 / 897), ratio(0.59), ratio(3.27), ratio(1.0)
        ('1/900', '0.59', '3.3', '1.0')
    """
    if 0.0 < value < 0.1:
        return f"1/{_digits(1.0 / value, 2):,.0f}"
    return factor(value)


def factor(value: float) -> str:
    """A ratio to two digits, never as a fraction: what stands beside its interval.

    Example:
        >>> factor(0.0083), factor(1.04), factor(230.0)
        ('0.0083', '1.0', '230')
    """
    rounded = _digits(value, 2)
    return f"{rounded:.1f}" if 1.0 <= abs(rounded) < 10.0 else f"{rounded:,g}"


def times(value: float) -> str:
    """A ratio as "so many times"."""
    return ratio(value) if 0.0 < value < 0.1 else f"{ratio(value)} times"


def times_the(value: float) -> str:
    """A ratio before what it is of: "1/900 of the", "0.6 times the"."""
    return f"{ratio(value)} of the" if 0.0 < value < 0.1 else f"{ratio(value)} times the"


def seconds(value: float) -> str:
    """A duration in the units a person uses.

    Example:
        >>> seconds(0.52), seconds(48.0), seconds(190.0), seconds(7500.0), seconds(400000.0)
        ('0.52 s', '48 s', '3 min 10 s', '2 h 5 min', '111 h 7 min')
    """
    if value < 10.0:
        return f"{value:.2g} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(value / 60.0)
    return f"{minutes // 60:,} h {minutes % 60} min"


def energy(joules: float) -> str:
    """Energy in the unit a person uses.

    Example:
        >>> energy(0.0), energy(820.0), energy(90000.0), energy(7.2e6)
        ('0 J', '820 J', '25 Wh', '2 kWh')
    """
    if joules < 3600.0:
        return f"{joules:.3g} J"
    hours = joules / 3600.0
    return f"{hours:.3g} Wh" if hours < 1000.0 else f"{hours / 1000.0:,.3g} kWh"


def money(value: float) -> str:
    """A price in whatever money the study counts in: to the cent, below one to two digits.

    Example:
        >>> money(1234.5), money(0.0035), money(0.0)
        ('1,234.50', '0.0035', '0.00')
    """
    return f"{value:,.2f}" if value == 0.0 or abs(value) >= 1.0 else f"{value:.2g}"


def count(value: int) -> str:
    """A whole number, thousands apart."""
    return f"{value:,}"


def plural(number: int, one: str, many: str = "") -> str:
    """A number with its noun.

    Example:
        >>> plural(1, "seed"), plural(3, "seed"), plural(2, "study", "studies")
        ('1 seed', '3 seeds', '2 studies')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def short(value: float) -> str:
    """A number without a unit of its own, to four digits."""
    return f"{value + 0.0:.4g}"


def percent(value: float | None) -> str:
    """A share in percent; empty where there is none."""
    return "" if value is None else f"{_round(100.0 * value, 1):.1f}%"


def p_value(value: float) -> str:
    """A p-value as a person reads it."""
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"


def model_name(base_model: str | None) -> str:
    """A hub id without its owner."""
    return (base_model or "").rsplit("/", 1)[-1]


def model_names(base_models: Iterable[str]) -> dict[str, str]:
    """Hub id -> how it is shown among these: without its owner, where the rest tells them apart."""
    known = list(dict.fromkeys(base_models))
    shorts = [model_name(one) for one in known]
    return {one: one if shorts.count(short) > 1 else short for one, short in zip(known, shorts, strict=True)}


def number(value: float | int | None, shown: str = "", *, anchor: str = "") -> Cell:
    """A cell of a number; of what is not there where it is None.

    Args:
        value: Unrounded.
        shown: As a person reads it; to four digits where it is empty.
        anchor: Where its rows are.
    """
    if value is None:
        return Cell(shown=NOTHING, anchor=anchor, tone="faint")
    written = shown or (count(value) if isinstance(value, int) else short(value))
    return Cell(shown=written, value=value, anchor=anchor)


def score_cell(value: float | None, measure: str, *, anchor: str = "") -> Cell:
    """A cell of a measure's value."""
    return number(value, "" if value is None else value_of(value, measure), anchor=anchor)


def difference_cell(value: float | None, measure: str, *, anchor: str = "") -> Cell:
    """A cell of a difference, with its sign."""
    return number(value, "" if value is None else difference_of(value, measure), anchor=anchor)


def interval_method(method: str) -> str:
    """How an interval came about, without its degrees of freedom, which differ from one to the next."""
    return re.sub(r", df [0-9.]+", "", method)


def _round(value: float, digits: int) -> float:
    return round(value, digits) + 0.0  # + 0.0: no "-0.0"


def _digits(value: float, digits: int) -> float:
    """Rounded to so many digits that count."""
    if value == 0.0:
        return 0.0
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))

"""Energy that a device took while a job ran: from a counter where there is one, else from power over time, else none and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

POWERCAP = Path("/sys/class/powercap")


class EnergyMeter(Protocol):
    """Sampled from the begin to the end of a job."""

    source: str
    """What measures, or why nothing does."""

    def sample(self) -> None:
        """Reads the device; called at the begin, about once a second, and at the end."""
        ...

    def joules(self) -> float | None:
        """Energy between the first and the last sample, J; None where it could not be measured throughout."""
        ...


@dataclass(frozen=True, kw_only=True)
class Counter:
    """A count of joules that only grows, but for where it starts again from 0."""

    read: Callable[[], float | None]
    """Joules so far; None where it does not answer."""
    wraps_at_j: float | None = None


class CounterMeter:
    """The sum of what several counters counted. A counter may wrap around once between two samples."""

    def __init__(self, source: str, counters: Sequence[Counter]) -> None:
        self.source = source
        self._counters = list(counters)
        self._last: list[float] | None = None
        self._joules = 0.0
        self._has_failed = False

    def sample(self) -> None:
        read = [counter.read() for counter in self._counters]
        known = [value for value in read if value is not None]
        if len(known) < len(read):
            self._has_failed = True
            return
        for counter, before, now in zip(self._counters, self._last or known, known, strict=True):
            grown = now - before
            if grown < 0.0:
                if counter.wraps_at_j is None:
                    self._has_failed = True
                    return
                grown += counter.wraps_at_j
            self._joules += grown
        self._last = known

    def joules(self) -> float | None:
        return None if self._has_failed or self._last is None else self._joules


class PowerMeter:
    """Power integrated over time by the trapezoidal rule."""

    def __init__(
        self, source: str, read_watts: Callable[[], float | None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.source = source
        self._read, self._clock = read_watts, clock
        self._last: tuple[float, float] | None = None
        self._joules = 0.0
        self._has_failed = False

    def sample(self) -> None:
        watts, at = self._read(), self._clock()
        if watts is None:
            self._has_failed = True
            return
        if self._last is not None:
            before, since = self._last
            self._joules += 0.5 * (before + watts) * (at - since)
        self._last = (watts, at)

    def joules(self) -> float | None:
        return None if self._has_failed or self._last is None else self._joules


class NoMeter:
    """Nothing measures."""

    def __init__(self, why: str) -> None:
        self.source = why

    def sample(self) -> None:
        pass

    def joules(self) -> float | None:
        return None


def rapl_meter(powercap: Path = POWERCAP) -> EnergyMeter:
    """Energy of the processors' packages as their own counters (RAPL) say it, where the kernel shows them.

    Memory, disks and fans are not in it, and all that the machine does is. Most systems let only root read it.

    Args:
        powercap: The kernel's folder of power domains.
    """
    if not powercap.is_dir():
        return NoMeter(f"not measured: no RAPL here (no {powercap})")
    packages = [
        folder for folder in sorted(powercap.glob("intel-rapl:*")) if _text(folder / "name").startswith("package")
    ]
    if not packages:
        return NoMeter(f"not measured: no RAPL package in {powercap}")
    counters = []
    for folder in packages:
        file = folder / "energy_uj"
        if _microjoules(file) is None:
            return NoMeter(f"not measured: RAPL may not be read ({file})")
        counters.append(_counter(file, _microjoules(folder / "max_energy_range_uj")))
    return CounterMeter(f"RAPL, {len(counters)} processor package(s)", counters)


def _counter(file: Path, wraps_at_uj: float | None) -> Counter:
    def joules() -> float | None:
        microjoules = _microjoules(file)
        return None if microjoules is None else microjoules * 1e-6

    return Counter(read=joules, wraps_at_j=None if wraps_at_uj is None else wraps_at_uj * 1e-6)


def _microjoules(file: Path) -> float | None:
    text = _text(file).strip()
    return float(text) if text.isdecimal() else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""

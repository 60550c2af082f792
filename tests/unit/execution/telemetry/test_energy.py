"""Energy: counters that wrap around, power over time, and in words why nothing is measured."""

from __future__ import annotations

import os

import pytest

from tunescope.execution.telemetry.energy import Counter, CounterMeter, PowerMeter, rapl_meter


def _counting(*values, wraps_at_j=None):
    remaining = iter(values)
    return Counter(read=lambda: next(remaining), wraps_at_j=wraps_at_j)


def _sampled(meter, times):
    for _ in range(times):
        meter.sample()
    return meter.joules()


def test_what_counters_counted_between_the_first_and_the_last_sample():
    meter = CounterMeter("x", [_counting(100.0, 103.0, 110.0), _counting(5.0, 5.0, 6.5)])
    assert _sampled(meter, 3) == pytest.approx(11.5)


def test_a_counter_that_wraps_around():
    meter = CounterMeter("x", [_counting(90.0, 5.0, 60.0, 2.0, wraps_at_j=100.0)])
    assert _sampled(meter, 4) == pytest.approx(15.0 + 55.0 + 42.0)


@pytest.mark.parametrize("values", [(90.0, 5.0), (90.0, None), (None, 90.0)])
def test_a_counter_that_starts_anew_or_fails_measures_nothing(values):
    assert _sampled(CounterMeter("x", [_counting(*values)]), 2) is None


def test_no_sample_is_no_energy():
    assert CounterMeter("x", [_counting(1.0)]).joules() is None
    assert PowerMeter("x", lambda: 1.0).joules() is None


def test_power_by_the_trapezoidal_rule():
    watts, times = iter([100.0, 200.0, 200.0]), iter([0.0, 2.0, 5.0])
    assert _sampled(PowerMeter("x", lambda: next(watts), lambda: next(times)), 3) == pytest.approx(300.0 + 600.0)


def test_power_that_fails_once_measures_nothing():
    watts, times = iter([100.0, None, 200.0]), iter([0.0, 2.0, 5.0])
    assert _sampled(PowerMeter("x", lambda: next(watts), lambda: next(times)), 3) is None


@pytest.fixture
def powercap(tmp_path):
    for name, kind, microjoules in (
        ("intel-rapl:0", "package-0", 999_000_000),
        ("intel-rapl:0:0", "core", 7),
        ("intel-rapl:1", "package-1", 5_000_000),
        ("intel-rapl:2", "psys", 7),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(kind + "\n")
        (tmp_path / name / "energy_uj").write_text(f"{microjoules}\n")
        (tmp_path / name / "max_energy_range_uj").write_text("1000000000\n")
    return tmp_path


def test_packages_alone_are_counted_and_wrap_around(powercap):
    meter = rapl_meter(powercap)
    assert meter.source == "RAPL, 2 processor package(s)"
    meter.sample()
    (powercap / "intel-rapl:0" / "energy_uj").write_text("3000000\n")
    (powercap / "intel-rapl:1" / "energy_uj").write_text("9000000\n")
    meter.sample()
    assert meter.joules() == pytest.approx(4.0 + 4.0)


def test_why_there_is_none(tmp_path, powercap):
    assert rapl_meter(tmp_path / "absent").source.startswith("not measured: no RAPL here")
    (tmp_path / "empty").mkdir()
    assert rapl_meter(tmp_path / "empty").source.startswith("not measured: no RAPL package")
    (powercap / "intel-rapl:1" / "energy_uj").unlink()
    os.mkdir(powercap / "intel-rapl:1" / "energy_uj")  # as unreadable as one of root
    meter = rapl_meter(powercap)
    assert meter.source.startswith("not measured: RAPL may not be read")
    meter.sample()
    assert meter.joules() is None

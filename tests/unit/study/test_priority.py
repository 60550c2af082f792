"""Several workers take what most work waits for first."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from fake_steps import fake_job
from tunescope.study.job import Job, Resources
from tunescope.study.priority import by_priority


def _timed(name: str, seconds: float | None, *inputs: Job) -> Job:
    return replace(fake_job(name, *inputs), resources=Resources(predicted_s=seconds))


def _labels(jobs: tuple[Job, ...]) -> list[str]:
    return [job.label for job in jobs]


def test_the_longest_chain_begins_first():
    short = _timed("short", 5.0)
    first = _timed("first", 1.0)
    long = _timed("long", 20.0, first)
    alone = _timed("alone", 10.0)
    assert _labels(by_priority([short, first, long, alone])) == ["first", "long", "alone", "short"]


def test_nothing_known_keeps_the_order():
    jobs = [_timed(name, None) for name in "cab"]
    assert by_priority(jobs) == tuple(jobs)
    assert by_priority([]) == ()


def test_one_unknown_counts_as_the_mean():
    jobs = [_timed("one", 1.0), _timed("unknown", None), _timed("nine", 9.0)]
    assert _labels(by_priority(jobs)) == ["nine", "unknown", "one"]


def test_equals_and_jobs_of_no_time_keep_the_order():
    a = _timed("a", 0.0)
    b = _timed("b", 0.0, a)
    c = _timed("c", 0.0)
    assert _labels(by_priority([a, b, c])) == ["a", "b", "c"]


def test_inputs_that_are_not_asked_for_are_left_out():
    there = _timed("there", 100.0)
    jobs = [_timed("a", 1.0, there), _timed("b", 2.0)]
    assert _labels(by_priority(jobs)) == ["b", "a"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_inputs_stand_before_what_needs_them(data):
    jobs: list[Job] = []
    for number in range(data.draw(st.integers(1, 10))):
        inputs = data.draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        seconds = data.draw(st.none() | st.floats(0.0, 100.0))
        jobs.append(_timed(f"job{number}", seconds, *(jobs[place] for place in sorted(inputs))))
    ordered = by_priority(jobs)
    assert sorted(map(id, ordered)) == sorted(map(id, jobs))
    place = {job.id: number for number, job in enumerate(ordered)}
    for job in jobs:
        assert all(place[needed.id] < place[job.id] for needed in job.inputs.values())

"""When a run is expected to be done: by predictions, corrected by what was measured; nothing where a prediction is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fake_steps import ChoiceLike, fake_job
from tunescope.execution.live.time_left import Measured, UnderWay, time_left
from tunescope.study.job import Resources


def _timed(job, seconds):
    return replace(job, resources=Resources(predicted_s=seconds))


def _jobs(*seconds):
    return [_timed(fake_job(f"job{number}"), one) for number, one in enumerate(seconds)]


def test_the_sum_over_the_workers():
    left = time_left(_jobs(10.0, 20.0, 30.0), {}, Measured(), 2)
    assert left.seconds == 30.0
    assert "no job is done to correct it by" in left.why


def test_no_shorter_than_the_longest_chain():
    first = _timed(fake_job("first"), 40.0)
    second = _timed(fake_job("second", first), 40.0)
    other = _timed(fake_job("other"), 1.0)
    assert time_left([first, second, other], {}, Measured(), 8).seconds == 80.0


def test_an_input_that_is_done_is_not_waited_for():
    done = _timed(fake_job("done"), 1000.0)
    assert time_left([_timed(fake_job("next", done), 5.0)], {}, Measured(), 1).seconds == 5.0


def test_corrected_by_what_the_same_kind_took_else_by_all():
    measured = Measured()
    measured.add(_timed(fake_job("a"), 10.0), 30.0)
    measured.add(_timed(fake_job("b"), 10.0), 10.0)
    assert measured.ratio == 2.0
    choice = _timed(fake_job("c", kind=ChoiceLike), 7.0)
    left = time_left([*_jobs(10.0), choice], {}, measured, 1)
    assert left.seconds == 20.0 + 14.0
    assert left.why == "predicted, corrected by 2 done: they took 2 times their prediction"
    measured.add(_timed(fake_job("d", kind=ChoiceLike), 20.0), 20.0)
    assert time_left([choice], {}, measured, 1).seconds == 7.0


def test_jobs_under_way_take_what_they_say_or_the_rest_of_their_prediction():
    jobs = _jobs(10.0, 10.0, 10.0)
    under_way = {
        jobs[0].id: UnderWay(elapsed_s=5.0, remaining_s=100.0),
        jobs[1].id: UnderWay(elapsed_s=4.0, remaining_s=None),
        jobs[2].id: UnderWay(elapsed_s=40.0, remaining_s=None),
    }
    assert time_left(jobs, under_way, Measured(), 1).seconds == 100.0 + 6.0 + 0.0


def test_never_invented():
    left = time_left([*_jobs(10.0), fake_job("unknown")], {}, Measured(), 1)
    assert left.seconds is None
    assert left.why == "1 of 2 jobs left have no predicted time"


def test_a_job_that_says_how_long_needs_no_prediction():
    job = fake_job("unknown")
    under_way = {job.id: UnderWay(elapsed_s=1.0, remaining_s=8.0)}
    assert time_left([job], under_way, Measured(), 3).seconds == 8.0


def test_nothing_left():
    assert time_left([], {}, Measured(), 1).seconds == 0.0


@pytest.mark.parametrize("predicted", [None, 0.0])
def test_a_job_without_a_prediction_corrects_nothing(predicted):
    measured = Measured()
    measured.add(_timed(fake_job("a"), predicted), 30.0)
    assert measured.ratio is None
    assert measured.num_jobs == 0

"""Jobs that are wanted for others alone are left out once nothing that is still to be made needs them."""

from __future__ import annotations

from fake_steps import FakeConfig, TrialLike, WaveLike, fake_job
from tunescope.study.wanted import unwanted


def _sweep():
    trials = [fake_job(f"trial{number}", kind=TrialLike) for number in range(2)]
    wave = fake_job("wave", *trials, kind=WaveLike)
    choice = fake_job("choice", wave, kind=FakeConfig)
    return [*trials, wave, choice]


def _left_out(jobs, *whole):
    return [job.name for job in (one.config for one in unwanted(jobs, {job.id for job in jobs if job.label in whole}))]


def test_what_something_waits_for_is_wanted():
    assert _left_out(_sweep()) == []
    assert _left_out(_sweep(), "trial0") == []


def test_what_nothing_waits_for_is_not():
    assert _left_out(_sweep(), "choice") == ["wave", "trial1", "trial0"]
    assert _left_out(_sweep(), "wave") == ["trial1", "trial0"]
    assert _left_out(_sweep(), "wave", "trial1", "choice") == ["trial0"]

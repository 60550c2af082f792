"""What another machine wrote is seen a few seconds later, and then at once."""

from __future__ import annotations

import shutil

import pytest

from fake_steps import fake_job, inline
from tunescope.errors import StoreError
from tunescope.execution import run_plan
from tunescope.store import Store
from tunescope.store.appearing import appears, artifact_that_appears


class Delay:
    """A clock that only passes when someone sleeps, and things that happen at their time."""

    def __init__(self):
        self.now, self._later = 0.0, []

    def at(self, seconds, deed):
        self._later.append((seconds, deed))

    def sleep(self, seconds):
        self.now += seconds
        for when, deed in [one for one in self._later if one[0] <= self.now]:
            self._later.remove((when, deed))
            deed()


@pytest.fixture
def made(tmp_path):
    """A store with one artifact, which lies beside it for now, and its job."""
    store, job = Store.open(tmp_path / "store", create=True), fake_job("a")
    assert run_plan([job], store, inline(store, tmp_path / "ran")).exit_code == 0
    hidden = tmp_path / "not seen yet"
    (store.path / "artifacts" / job.kind / job.id).rename(hidden)
    return store, job, hidden


def test_what_is_there_is_seen_without_waiting(tmp_path):
    delay = Delay()
    assert appears(lambda: "it", tmp_path, sleep=delay.sleep) == "it"
    assert delay.now == 0.0


def test_an_artifact_that_comes_late_is_waited_for_and_its_path_returned(made):
    store, job, hidden = made
    delay, target = Delay(), store.path / "artifacts" / job.kind / job.id
    delay.at(3.0, lambda: hidden.rename(target))
    assert artifact_that_appears(store, job.kind, job.id, sleep=delay.sleep) == target
    assert 3.0 <= delay.now < 5.0


def test_an_artifact_that_never_comes_is_absent_after_the_patience_and_not_sooner(made):
    store, job, _ = made
    delay = Delay()
    assert artifact_that_appears(store, job.kind, job.id, patience_s=10.0, sleep=delay.sleep) is None
    assert delay.now == pytest.approx(10.0)


def test_an_artifact_of_which_half_is_seen_is_waited_for(made):
    store, job, hidden = made
    delay, target = Delay(), store.path / "artifacts" / job.kind / job.id
    shutil.copytree(hidden, target)
    (target / "file0.txt").unlink()
    delay.at(2.0, lambda: shutil.copyfile(hidden / "file0.txt", target / "file0.txt"))
    assert artifact_that_appears(store, job.kind, job.id, sleep=delay.sleep) == target
    assert delay.now >= 2.0


def test_an_artifact_that_stays_torn_is_told_as_such(made):
    store, job, hidden = made
    target = store.path / "artifacts" / job.kind / job.id
    shutil.copytree(hidden, target)
    (target / "file0.txt").unlink()
    with pytest.raises(StoreError, match=r"file0\.txt is missing"):
        artifact_that_appears(store, job.kind, job.id, patience_s=5.0, sleep=Delay().sleep)


def test_one_look_is_all_where_there_is_no_patience(tmp_path):
    looks = []
    assert appears(lambda: looks.append(1), tmp_path, patience_s=0.0, sleep=Delay().sleep) is None
    assert looks == [1]

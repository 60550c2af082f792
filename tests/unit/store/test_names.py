"""Names that reach the file system."""

from __future__ import annotations

import pytest

from tunescope.errors import StoreError
from tunescope.store.names import job_name, study_name


def test_good_names_pass():
    assert job_name("train", "0123456789abcdef") == "train-0123456789abcdef"
    assert study_name("phase1.v2_x-y") == "phase1.v2_x-y"


@pytest.mark.parametrize("kind", ["", "..", "a/b", "Train", "a-b", "a" * 33, "train\n"])
def test_bad_kinds_are_refused(kind):
    with pytest.raises(StoreError, match="is not a kind of job"):
        job_name(kind, "0123456789abcdef")


@pytest.mark.parametrize("id", ["", "../../etc", "0123", "0123456789ABCDEF", "0123456789abcdef0", "0123456789abcdef\n"])
def test_bad_ids_are_refused(id):
    with pytest.raises(StoreError, match="is not the id of a job"):
        job_name("train", id)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a..b", ".hidden", "a b", "x" * 65, "a\x00b"])
def test_bad_study_names_are_refused(name):
    with pytest.raises(StoreError, match="cannot be a folder's name"):
        study_name(name)

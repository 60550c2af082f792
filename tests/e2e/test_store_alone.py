"""A store without the study's file, its data or its model: everything that only shows results works from it alone."""

from __future__ import annotations

import shutil

import pytest

from tunescope.api import load_results


@pytest.fixture
def alone(finished, tmp_path):
    """A copy of a finished study's store, far from the files it was made from."""
    store = tmp_path / "elsewhere" / "store"
    shutil.copytree(finished.store, store)
    return store


def test_results_status_and_comparisons_are_those_that_the_study_gives(finished, alone, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for command in ("results", "status", "compare"):
        with_study = finished.tunescope(command, finished.path, "--store", finished.store)
        from_store = finished.tunescope(command, alone)
        assert from_store.code == with_study.code == 0, from_store.err
        assert from_store.out.replace(str(alone), "STORE") == with_study.out.replace(str(finished.store), "STORE")


def test_one_study_of_a_store_is_named_by_its_folder(finished, alone):
    of_study = finished.tunescope("results", alone / "studies" / "small", "--format", "json")
    assert (
        of_study.out == finished.tunescope("results", finished.path, "--store", finished.store, "--format", "json").out
    )


def test_a_notebook_needs_the_store_only(finished, alone):
    frame = load_results(alone)
    assert list(frame["value"].dropna()) == [row["value"] for row in finished.rows() if row["value"] is not None]


def test_a_study_file_beside_a_store_needs_neither_model_nor_data(finished, alone):
    moved = alone.parent / "study.yaml"
    shutil.copy(finished.path, moved)
    told = finished.tunescope("results", moved, "--store", alone)
    assert told.code == 0, told.err
    assert told.out == finished.tunescope("results", finished.path, "--store", finished.store).out


def test_a_store_of_before_plans_were_kept_says_how_to_mend_it(finished, alone):
    (alone / "studies" / "small" / "known.json").unlink()
    told = finished.tunescope("results", alone)
    assert told.code == 2
    assert "was last run by an older tunescope. Run the study once again, or give --mirror." in told.err


def test_a_store_of_two_studies_asks_which(finished, alone):
    other = alone / "studies" / "other"
    shutil.copytree(alone / "studies" / "small", other)
    told = finished.tunescope("results", alone)
    assert told.code == 2
    assert f"{alone}: which study? it holds 2: other, small. Name one, such as {other}" in told.err


def test_a_folder_that_is_no_store_is_refused(finished, tmp_path):
    (tmp_path / "empty").mkdir()
    told = finished.tunescope("results", tmp_path / "empty")
    assert told.code == 2
    assert str(tmp_path / "empty") in told.err
    assert "Traceback" not in told.err


def test_run_wants_the_study_file(finished, alone):
    told = finished.tunescope("run", alone)
    assert told.code == 2
    assert "is a folder; give the study's YAML file" in told.err

"""The command gc: says what it would free and why, and never frees what a study of the store wants."""

from __future__ import annotations


def test_what_an_earlier_form_of_the_study_left_is_shown_then_freed_when_asked(finished, study):
    whole = finished.artifacts()
    finished.write(study | {"training": study["training"] | {"steps": 4}})
    assert finished.run().code == 0
    both = finished.artifacts()
    assert len(both) == len(whole) + 16, "8 trainings and their evaluations"
    said = finished.tunescope("gc", "--store", finished.store)
    assert said.code == 0
    assert "nothing to free" in said.out
    assert "16 artifacts (" in said.out
    assert "that no study of the store wants any more stay: making them took" in said.out
    said = finished.tunescope("gc", "--store", finished.store, "--unwanted")
    told = " ".join(said.out.split())
    assert "artifacts that no study of the store wants any more; made again only by the study as it was" in told
    assert "nothing was deleted: --delete does it" in said.out
    assert finished.artifacts() == both
    said = finished.tunescope("gc", "--store", finished.store, "--unwanted", "--delete")
    assert said.code == 0
    assert " freed in " in said.out
    left = finished.artifacts()
    assert left.items() <= both.items()
    assert len(left) == len(whole)
    assert finished.run().code == 0
    assert finished.artifacts() == left, "all that the study wants was there"
    assert "nothing to free" in finished.tunescope("gc", "--store", finished.store, "--unwanted").out


def test_what_a_crash_left_is_freed_and_the_study_is_as_it_was(finished):
    record = sorted(finished.store.glob("artifacts/train/*/record.json"))[0]
    work = finished.store / "work" / f"train-{record.parent.name}" / "scratch"
    work.mkdir(parents=True)
    (work / "checkpoint.safetensors").write_bytes(b"\0" * 5000)
    (finished.store / ".tmp-live.json-7").write_text("{")
    before, rows = finished.artifacts(), finished.rows()
    said = finished.tunescope("gc", "--store", finished.store, "--delete")
    assert said.code == 0
    told = " ".join(said.out.split())
    assert "work folders of jobs whose artifact is whole" in told
    assert "half-written files that a crash left" in told
    assert not work.parent.exists()
    assert finished.artifacts() == before
    assert finished.rows() == rows


def test_no_store_is_said(desk):
    said = desk.tunescope("gc", "--store", desk.folder / "absent")
    assert said.code == 2
    assert "there is no store at " in said.err

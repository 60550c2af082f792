"""The command merge on stores of a real study: whole, or refused with every reason at once."""

from __future__ import annotations

import shutil

from e2e.conftest import Desk


def _copy(finished: Desk, name: str):
    path = finished.folder / name
    shutil.copytree(finished.store, path)
    return path


def _damage(store, kind):
    """Flips a bit of one artifact of a kind."""
    record = sorted(store.glob(f"artifacts/{kind}/*/record.json"))[0]
    file = max(
        (path for path in record.parent.rglob("*") if path.is_file() and path != record),
        key=lambda path: path.stat().st_size,
    )
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    return record.parent.name


def test_the_halves_of_a_store_are_the_whole_study_again(finished):
    one, two = _copy(finished, "one"), _copy(finished, "two")
    for kind in ("train", "baseline"):
        shutil.rmtree(one / "artifacts" / kind)
    shutil.rmtree(two / "artifacts" / "evaluate")
    before = finished.artifacts()
    finished.store, whole = finished.folder / "merged", finished.store
    said = finished.tunescope("merge", one, two, "--into", finished.store)
    assert said.code == 0, said.err
    assert said.out.startswith(f"{len(before)} artifacts copied and verified (")
    assert "studies: small" in said.out
    assert finished.artifacts() == before
    assert finished.run().code == 0
    assert finished.artifacts() == before, "nothing was left to do"
    merged = finished.rows()
    finished.store = whole
    assert merged == finished.rows()
    said = finished.tunescope("merge", one, two, "--into", finished.folder / "merged")
    assert said.out.startswith(f"0 artifacts copied and verified (0 bytes), {len(before)} were there.")


def test_a_job_done_twice_is_refused_and_a_preferred_stores_is_taken(finished, study):
    elsewhere = finished.folder / "elsewhere"
    said = finished.tunescope("run", finished.path, "--store", elsewhere)
    assert said.code == 0
    into = finished.folder / "merged"
    said = finished.tunescope("merge", finished.store, elsewhere, "--into", into)
    assert said.code == 2
    assert said.out == ""
    lines = said.err.splitlines()
    assert all(line.startswith("tunescope: ") for line in lines)
    assert sum("was made more than once" in line for line in lines) == 8, "each training: its log tells seconds"
    assert "holds other bytes in" in said.err
    assert lines[-1].endswith("Nothing was copied. Or take one store's copy of all that differs: --prefer STORE.")
    assert not into.exists()
    said = finished.tunescope("merge", finished.store, elsewhere, "--into", into, "--prefer", elsewhere)
    assert said.code == 0, said.err
    assert "taken from the preferred store, the others had other files: train/" in said.out
    finished.store = into
    assert finished.run().code == 0


def test_a_flipped_bit_is_found_on_the_way(finished):
    source = _copy(finished, "source")
    id = _damage(source, "train")
    said = finished.tunescope("merge", source, "--into", finished.folder / "merged")
    assert said.code == 2
    assert f"artifact train/{id[:8]} (" in said.err
    assert "holds other bytes than were written" in said.err
    assert "Nothing was copied." in said.err
    assert not list((finished.folder / "merged").glob("artifacts/*/*"))


def test_another_study_of_the_same_name_is_refused(finished, study):
    changed = finished.write(study | {"seeds": [1, 3]}, "changed.yaml")
    other = finished.folder / "other"
    assert finished.tunescope("run", changed, "--store", other).code == 0
    said = finished.tunescope("merge", finished.store, other, "--into", finished.folder / "merged")
    assert said.code == 2
    assert "study small: " in said.err
    assert "differ in the study itself (study.yaml)" in said.err

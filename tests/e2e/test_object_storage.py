"""A store at a URL on the command line: what reads it works as on a folder, what cannot says what to do."""

from __future__ import annotations

import json
import shutil

import pytest

pytest.importorskip("fsspec", reason="needs fsspec: pip install 'tunescope[ray]'")

from tunescope.store import Store
from tunescope.store.remote.storage import RemoteStore, cache_folder


@pytest.fixture
def url(finished, tmp_path, monkeypatch):
    """The finished study's store, at a URL; the machine that reads it has no copy yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    url = f"file://{tmp_path}/bucket/glue"
    store, remote = Store.open(finished.store, create=False), RemoteStore.open(url, create=True)
    assert remote.push_missing(store) == 24
    remote.push_study(store, "small")
    return url


@pytest.mark.parametrize("of", ["file", "store", "study"])
def test_results_are_those_of_the_folder(finished, url, of):
    words = {"file": [finished.path, "--store", url], "store": [url], "study": [f"{url}/studies/small"]}[of]
    of_folder = finished.tunescope("results", finished.path, "--store", finished.store, "--format", "csv")
    said = finished.tunescope("results", *words, "--format", "csv")
    assert (said.code, said.out) == (0, of_folder.out), said.err


def test_status_compare_and_report_read_it_without_the_studys_file(finished, url, tmp_path):
    finished.path.unlink()
    said = finished.tunescope("status", url)
    assert said.code == 0, said.err
    assert "24" in said.out
    assert finished.tunescope("compare", f"{url}/studies/small").code == 0
    page = tmp_path / "page"
    assert finished.tunescope("report", url, "--output", page).code == 0
    assert (page / "index.html").is_file()
    assert finished.tunescope("report", url, finished.store, "--output", tmp_path / "two").code == 0


def test_what_came_later_is_fetched_by_the_next_look(finished, url, tmp_path):
    assert finished.tunescope("status", url).code == 0
    again = cache_folder(url)
    one = next(iter(Store.open(again, create=False).records()))
    shutil.rmtree(again / "artifacts" / one.kind / one.id)
    assert finished.tunescope("results", url).code == 0
    assert (again / "artifacts" / one.kind / one.id / "record.json").is_file()


def test_a_changed_byte_and_a_missing_store_are_told(finished, url, tmp_path):
    files = (tmp_path / "bucket" / "glue" / "artifacts" / "train").rglob("*.safetensors")
    file = min(files)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    said = finished.tunescope("results", url)
    assert said.code == 2
    assert f"{file.name} holds other bytes than were written" in said.err
    said = finished.tunescope("results", f"file://{tmp_path}/nothing")
    assert said.code == 2
    assert f"there is no store at file://{tmp_path}/nothing" in said.err
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    "words, told",
    [
        (["gc", "--store", "URL"], "Delete what is not wanted with the storage's own tools"),
        (["forget", "abcd", "--store", "URL"], "Delete URL/artifacts/KIND/ID"),
        (["merge", "URL", "--into", "all"], "one store already"),
        (["merge", "one", "--into", "URL"], "one store already"),
        (["check", "STUDY", "--store", "URL"], "Leave --store out"),
        (["plan", "STUDY", "--store", "URL"], "Leave --store out"),
        (["run", "STUDY", "--store", "URL", "--dry-run"], "Leave --store out"),
        (["run", "STUDY", "--store", "URL"], "or add --executor ray"),
        (["run", "URL"], "A study's file and its data lie on every machine"),
    ],
)
def test_what_takes_no_url_says_what_to_do(desk, words, told):
    words = [{"URL": "s3://bucket/glue", "STUDY": desk.path}.get(word, word) for word in words]
    said = desk.tunescope(*words)
    assert said.code == 2
    assert told in said.err
    assert "s3://bucket/glue" in said.err
    assert not (desk.folder / "s3:").exists()


def test_exports_are_told_from_the_copy(finished, url):
    pytest.importorskip("tensorboard")
    said = finished.tunescope("export", url, "--to", "tensorboard")
    assert said.code == 0, said.err
    assert "tensorboard: " in said.out
    told = cache_folder(url) / "exports" / "tensorboard"
    assert told.is_dir()
    assert json.loads((cache_folder(url) / "store.json").read_text())


def test_a_store_in_which_no_study_has_begun_says_so(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    RemoteStore.open(f"file://{tmp_path}/bucket/new", create=True)
    said = finished.tunescope("status", f"file://{tmp_path}/bucket/new")
    assert said.code == 2
    assert "which study? No study has run in this store." in said.err

"""`tunescope report` as a user meets it: after a run, from the store alone, half done, of two studies, and refused."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
from html.parser import HTMLParser

import pyarrow.parquet as pq
import pytest


class Page(HTMLParser):
    """What a page says: its ids, its links within itself, and what it would load."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loaded, self.words = set(), set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        told = dict(attributes)
        if "id" in told:
            self.ids.add(told["id"])
        if tag == "a" and told.get("href", "").startswith("#"):
            self.links.add(told["href"][1:])
        self.loaded += [told[name] for name in ("src", "data") if name in told]
        if tag == "link":
            self.loaded.append(told.get("href"))

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def folder(finished):
    return finished.store / "report" / "small"


def test_a_run_ends_with_the_table_and_the_path(finished, folder):
    again = finished.tunescope("run", finished.path, "--store", finished.store)
    assert again.code == 0, again.err
    counts, _, report = again.out.rpartition("Report: ")  # a long path makes the line of the counts wrap
    assert report.strip() == str(folder / "index.html")
    assert "0 jobs done" in counts
    assert "A against B" not in again.out  # comparisons are the report's, and `compare`'s


def test_the_page_holds_the_stores_numbers_and_loads_nothing(finished, folder):
    assert finished.tunescope("report", finished.path, "--store", finished.store).code == 0
    text = (folder / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.links <= page.ids
    assert [what for what in page.loaded if not what.startswith("data:")] == []
    shown = " ".join(page.words)
    for row in finished.rows():
        if row["kind"] == "run" and row["value"] is not None:
            assert f"{100 * row['value']:.1f}" in shown
    kept = pq.read_table(folder / "data" / "results.parquet").to_pylist()
    assert kept == finished.rows()
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert summary["study"] == "small"
    cards = sorted(path.parent.name for path in (folder / "cards").rglob("README.md"))
    assert len(cards) == 8


def test_it_is_made_from_the_store_alone(finished, folder, tmp_path):
    store = tmp_path / "far" / "store"
    shutil.copytree(finished.store, store)
    shutil.rmtree(store / "report", ignore_errors=True)
    said = finished.tunescope("report", store, "--output", tmp_path / "out", "--figures", "svg,png")
    assert said.code == 0, said.err
    assert said.out.strip() == f"Report: {tmp_path / 'out' / 'index.html'}"
    endings = {path.suffix for path in (tmp_path / "out" / "figures").iterdir()}
    assert {".svg", ".png"} < endings  # and the captions


def test_texts_of_the_data_can_be_left_out(finished, tmp_path):
    def examples(*words):
        assert finished.tunescope("report", finished.store, "--output", tmp_path / "out", *words).code == 0
        text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
        packed = re.search(r'id="examples-packed">([^<]*)<', text)
        return gzip.decompress(base64.b64decode(packed[1])).decode() if packed else ""

    animals = ("cat", "dog", "bird")
    assert any(animal in examples() for animal in animals)
    assert not any(animal in examples("--without-texts") for animal in animals)
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "texts are left out of this report" in " ".join(Page(page).words)


def test_a_study_of_which_nothing_has_run_has_a_report_too(finished, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(finished.store, store)
    for kind in ("train", "evaluate", "baseline"):
        shutil.rmtree(store / "artifacts" / kind)
    said = finished.tunescope("report", store)
    assert said.code == 0, said.err
    shown = " ".join(Page((store / "report" / "small" / "index.html").read_text(encoding="utf-8")).words)
    assert "0 of 8 runs done" in shown


def test_two_stores_are_compared(finished, tmp_path):
    store = tmp_path / "newer"
    shutil.copytree(finished.store, store)
    said = finished.tunescope("report", finished.store, store)
    assert said.code == 0, said.err
    shown = " ".join(Page((store / "report" / "small-to-small" / "index.html").read_text(encoding="utf-8")).words)
    assert "the same jobs, with the same scores" in shown


def test_two_stores_refuse_what_one_refuses(finished, tmp_path):
    store = tmp_path / "newer"
    shutil.copytree(finished.store, store)
    said = finished.tunescope("report", finished.store, store, "--figures", "gif")
    assert said.code == 2
    assert "unknown format 'gif'" in said.err


def test_a_study_is_not_compared_with_itself(finished):
    said = finished.tunescope("report", finished.store, finished.store)
    assert said.code == 2
    assert "are the same study in the same store" in said.err


@pytest.mark.parametrize(
    "words, told",
    [
        (("--figures", "gif"), "unknown format 'gif'"),
        (("--output", "{folder}/full"), "full"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_lost(finished, tmp_path, words, told):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine", encoding="utf-8")
    said = finished.tunescope("report", finished.store, *(word.format(folder=tmp_path) for word in words))
    assert said.code == 2
    assert told in said.err
    assert "Traceback" not in said.err
    assert (tmp_path / "full" / "thesis.tex").read_text(encoding="utf-8") == "mine"

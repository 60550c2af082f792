"""Examples that methods answer differently: which, in what order, with which texts."""

from __future__ import annotations

import pytest

from stored_study import TEXT, StoredStudy
from tunescope.analysis.disagreements import MOST_CHARACTERS, MOST_EXAMPLES, collect_disagreements

A, B = "entailment", "not_entailment"


@pytest.fixture
def stored(tmp_path):
    return StoredStudy(tmp_path / "store")


def _found(stored):
    (found,) = collect_disagreements(stored.plan, stored.store)
    return found


def test_the_largest_gap_between_methods_comes_first(stored):
    targets = [A, A, A, A, A]
    stored.run("rte-full-seed1", [A, A, A, B, A], targets)
    stored.run("rte-full-seed2", [A, A, A, A, A], targets)
    stored.run("rte-lora-seed1", [A, B, B, A, A], targets)
    stored.run("rte-lora-seed2", [A, A, B, B, A], targets)
    found = _found(stored)
    assert (found.num_examples, found.num_differing, found.num_runs) == (5, 3, 4)
    assert found.score_name == "share right"
    assert [(one.id, one.gap) for one in found.examples] == [
        ("validation-2", 1.0),
        ("validation-1", 0.5),
        ("validation-3", 0.0),
    ]
    first = found.examples[0]
    assert first.mean_scores == {"full": 1.0, "lora": 0.0}
    assert first.target == A
    assert [(one.method, one.seed, one.answer, one.is_right, one.score) for one in first.answers] == [
        ("full", 1, A, True, 1.0),
        ("full", 2, A, True, 1.0),
        ("lora", 1, B, False, 0.0),
        ("lora", 2, B, False, 0.0),
    ]
    assert first.answers[0].job == stored.jobs["rte-full-seed1-evaluate"].id


def test_texts_come_from_the_store_and_are_cut_for_reading_only(stored):
    stored.run("rte-full-seed1", [A, B], [A, A])
    stored.run("rte-lora-seed1", [B, B], [A, A])
    found = _found(stored)
    assert found.examples[0].texts == ()
    assert found.reason == "their texts are not in the store: not run yet"
    long = "x" * (MOST_CHARACTERS + 1)
    stored.examples("rte-examples", {"sentence1": ["<script>", "no"], "sentence2": [long, "no"]}, [A, A])
    found = _found(stored)
    assert found.examples[0].texts == (("sentence1", "<script>"), ("sentence2", long[:-1]))
    assert found.examples[0].is_cut
    assert (found.reason, found.job) == ("", stored.jobs["rte-examples"].id)


def test_there_are_never_more_than_are_read(stored):
    num = MOST_EXAMPLES + 50
    stored.run("rte-full-seed1", [A] * num, [A] * num)
    stored.run("rte-lora-seed1", [B] * num, [A] * num)
    found = _found(stored)
    assert (len(found.examples), found.num_differing) == (MOST_EXAMPLES, num)
    assert found.examples[0].id == "validation-0", "in the data's order where nothing else orders them"


def test_methods_that_answer_alike_leave_nothing_to_show(stored):
    stored.run("rte-full-seed1", [A, B], [A, A])
    stored.run("rte-lora-seed1", [A, B], [A, A])
    stored.examples("rte-examples", {"sentence1": ["x", "y"]}, [A, A])
    found = _found(stored)
    assert (found.examples, found.num_examples, found.num_differing, found.reason) == ((), 2, 0, "")


def test_one_method_alone_differs_from_none(stored):
    stored.run("rte-full-seed1", [A], [A])
    stored.fail("rte-lora-seed1")
    found = _found(stored)
    assert (found.examples, found.num_runs, found.reason) == ((), 1, "fewer than two methods have a finished run")


def test_runs_on_other_examples_are_not_set_side_by_side(stored):
    stored.run("rte-full-seed1", [A, A], [A, A])
    stored.run("rte-lora-seed1", [B], [A])
    assert _found(stored).reason == "the runs were scored on different examples"


def test_questions_are_scored_by_shared_words_and_exact_match(tmp_path):
    stored = StoredStudy(tmp_path / "store", TEXT.replace("[rte]", "[demo_qa]"))
    targets = [["the red box", "box"], [], ["a tree"]]
    stored.run("demo_qa-full-seed1", ["red box", "", "tree"], targets)
    stored.run("demo_qa-lora-seed1", ["red", "a box", "tree"], targets)
    found = _found(stored)
    assert found.score_name == "token F1"
    assert [one.id for one in found.examples] == ["validation-1", "validation-0"]
    none, some = found.examples
    assert (none.target, none.mean_scores) == ("", {"full": 1.0, "lora": 0.0})
    assert some.target == "the red box | box"
    assert [(one.is_right, one.score) for one in some.answers] == [(True, 1.0), (False, pytest.approx(2 / 3))]


def test_numbers_are_right_by_degrees(tmp_path):
    task = "{name: mine, kind: regression, metrics: [mse], dataset: {hub: a/b}, text: a, score: b}"
    stored = StoredStudy(tmp_path / "store", TEXT.replace("[rte]", f"[{task}]"))
    stored.run("mine-full-seed1", [1.0, 2.0], [1.0, 3.0])
    stored.run("mine-lora-seed1", [1.5, 5.25], [1.0, 3.0])
    found = _found(stored)
    assert found.score_name == "absolute error"
    first = found.examples[0]
    assert (first.id, first.gap, first.target) == ("validation-1", 1.25, "3")
    assert [(one.answer, one.score, one.is_right) for one in first.answers] == [("2", 1.0, None), ("5.25", 2.25, None)]

"""Which rows are held out depends on what they say, not on where they stand."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunescope.errors import DataError
from tunescope.tasks.carve import _quotas, carve_selection, subsample
from tunescope.tasks.examples import Answers, Examples
from tunescope.tasks.spec import Classification, Dataset, QuestionAnswering, Regression

FILES = Dataset(files={"train": "train.csv"})
TASK = Classification(name="c", dataset=FILES, labels=("a", "b", "c"))
QUIZ = QuestionAnswering(name="q", dataset=FILES)


def classified(labels: list[int], texts: list[str] | None = None) -> Examples:
    words = texts or [f"text {place}" for place in range(len(labels))]
    ids = tuple(f"train-{place}" for place in range(len(labels)))
    return Examples(ids=ids, texts={"text": tuple(words)}, targets=np.array(labels, dtype=np.int64))


def questions(num_contexts: int, num_each: int) -> Examples:
    n = num_contexts * num_each
    return Examples(
        ids=tuple(f"q{place}" for place in range(n)),
        texts={
            "question": tuple(f"question {place}" for place in range(n)),
            "context": tuple(f"context {place // num_each}" for place in range(n)),
        },
        targets=tuple(Answers(texts=("context",), starts=(0,)) if place % 3 else Answers() for place in range(n)),
    )


def test_every_row_goes_to_one_side_and_labels_keep_their_shares() -> None:
    examples = classified([0] * 700 + [1] * 200 + [2] * 100)

    train, selection = carve_selection(TASK, examples)

    assert sorted([*train.tolist(), *selection.tolist()]) == list(range(1000))
    assert selection.tolist() == sorted(selection.tolist())
    assert Counter(examples.numbers[selection].tolist()) == {0: 70, 1: 20, 2: 10}


def test_the_size_is_the_share_but_at_most_max_selection() -> None:
    examples = classified([0, 1] * 500)

    assert len(carve_selection(TASK.model_copy(update={"selection_share": 0.25}), examples)[1]) == 250
    assert len(carve_selection(TASK.model_copy(update={"max_selection": 30}), examples)[1]) == 30


def test_a_rare_label_has_one_selection_row_and_a_single_row_stays_in_train() -> None:
    train, selection = carve_selection(TASK, classified([0] * 50 + [1] * 2 + [2]))
    labels = [0] * 50 + [1] * 2 + [2]

    assert Counter(labels[row] for row in selection) == {0: 4, 1: 1}
    assert 52 in train


def test_order_of_rows_does_not_matter() -> None:
    rows = [(f"text {place}", place % 3) for place in range(300)]
    shuffled = random.Random(5).sample(rows, len(rows))
    chosen = []
    for these in (rows, shuffled):
        examples = classified([label for _, label in these], [text for text, _ in these])
        selection = carve_selection(TASK, examples)[1]
        fewer = subsample(TASK, examples, 50)
        chosen.append(({these[row][0] for row in selection}, set(fewer.texts["text"])))

    assert chosen[0] == chosen[1]


def test_rows_with_the_same_text_stay_on_one_side() -> None:
    texts = [f"text {place // 2}" for place in range(400)]
    train, selection = carve_selection(TASK, classified([place // 2 % 2 for place in range(400)], texts))

    assert len(selection) == 40
    assert not {texts[row] for row in train} & {texts[row] for row in selection}


def test_rows_alike_up_to_case_punctuation_and_space_stay_on_one_side() -> None:
    texts = [f"Text {place // 2} ." if place % 2 else f"text  {place // 2}" for place in range(400)]
    train, selection = carve_selection(TASK, classified([place // 2 % 2 for place in range(400)], texts))

    assert len(selection) == 40
    assert not {texts[row].lower().strip(" .").split()[1] for row in train} & {
        texts[row].lower().strip(" .").split()[1] for row in selection
    }


def paired(pairs: list[tuple[str, str]]) -> Examples:
    ids = tuple(f"train-{place}" for place in range(len(pairs)))
    texts = {"one": tuple(one for one, _ in pairs), "two": tuple(two for _, two in pairs)}
    return Examples(ids=ids, texts=texts, targets=np.arange(len(pairs), dtype=np.int64) % 2)


def test_pairs_that_share_a_text_stay_on_one_side_swapped_or_chained() -> None:
    task = TASK.model_copy(update={"text": "one", "text_pair": "two", "labels": ("a", "b")})
    pairs = []
    for place in range(200):
        pairs += [(f"a {place}", f"b {place}"), (f"B {place}!", f"a {place}"), (f"c {place}", f"b {place}")]

    train, selection = carve_selection(task, paired(pairs))

    assert len(selection) == 60
    sides = [{pairs[row][0].split()[1].strip("!") for row in rows} for rows in (train, selection)]
    assert not sides[0] & sides[1]


def test_a_text_that_very_many_pairs_share_does_not_bind_them() -> None:
    task = TASK.model_copy(update={"text": "one", "text_pair": "two", "labels": ("a", "b")})

    train, selection = carve_selection(task, paired([("the one claim", f"text {place}") for place in range(100)]))

    assert (len(train), len(selection)) == (90, 10)


def test_questions_on_one_paragraph_stay_together_and_answerable_ones_keep_their_share() -> None:
    examples = questions(num_contexts=100, num_each=9)

    train, selection = carve_selection(QUIZ, examples)

    contexts = [{examples.texts["context"][row] for row in rows} for rows in (train, selection)]
    assert not contexts[0] & contexts[1]
    assert len(selection) == 90
    assert sum(examples.answers[row].is_answerable for row in selection) == 60


def test_where_no_group_fits_the_smallest_is_taken() -> None:
    _, selection = carve_selection(QUIZ, questions(num_contexts=2, num_each=9))

    assert len(selection) == 9


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(DataError, match="cannot hold out selection rows, because all 9 rows share their context"):
        carve_selection(QUIZ, questions(num_contexts=1, num_each=9))


def test_scores_are_spread_over_their_range() -> None:
    task = Regression(name="r", dataset=FILES)
    scores = np.arange(1000, dtype=np.float64)
    examples = Examples(ids=tuple(map(str, range(1000))), texts={"text": tuple(map(str, range(1000)))}, targets=scores)

    _, selection = carve_selection(task, examples)

    assert np.histogram(scores[selection], bins=10, range=(0, 1000))[0].tolist() == [10] * 10


def test_subsample_keeps_order_shares_and_everything_where_there_is_no_limit() -> None:
    examples = classified([0] * 60 + [1] * 30 + [2] * 10)

    fewer = subsample(TASK, examples, 20)

    assert Counter(fewer.numbers.tolist()) == {0: 12, 1: 6, 2: 2}
    assert list(fewer.ids) == sorted(fewer.ids, key=lambda name: int(name.split("-")[1]))
    assert subsample(TASK, examples, None) is examples
    assert subsample(TASK, examples, 100) is examples


def test_a_larger_subsample_holds_the_smaller_one() -> None:
    examples = classified([0, 1] * 200)

    assert set(subsample(TASK, examples, 20).ids) < set(subsample(TASK, examples, 40).ids)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=6).filter(any), st.integers(1, 120))
def test_quotas_add_up_stay_within_caps_and_miss_no_stratum(counts: list[int], size: int) -> None:
    given_counts = np.array(counts)

    quotas = _quotas(given_counts, size, given_counts)

    assert quotas.sum() == min(size, given_counts.sum())
    assert (quotas >= 0).all()
    assert (quotas <= given_counts).all()
    if size >= (given_counts > 0).sum():
        assert (quotas[given_counts > 0] >= 1).all()

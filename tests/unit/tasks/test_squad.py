"""SQuAD v2 scoring by hand, its laws, thresholds, and what it refuses. Against the official script: tests/reference."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunescope.errors import DataError
from tunescope.tasks import squad

GOLD = {"duke": ["Rollo", "Duke Rollo"], "year": ["1066"], "none": [], "also none": []}
ANSWERS = {"duke": "the Duke", "year": "in 1066", "none": "", "also none": "Rollo"}
DOUBTS = {"duke": 0.1, "year": 0.6, "none": 0.9, "also none": 0.7}

words = st.lists(st.sampled_from(["norman", "duke", "1066", "the", "a", "Rollo!", "of", "?"]), max_size=6)
# id -> (gold answers, answer given, doubt); few distinct doubts, so that ties are common
questions = st.dictionaries(
    st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=3),
    st.tuples(
        st.lists(words.map(" ".join), max_size=2), words.map(" ".join), st.sampled_from([-2.5, -1.0, 0.0, 0.5, 3.0])
    ),
    min_size=1,
    max_size=12,
)


def split(
    drawn: dict[str, tuple[list[str], str, float]],
) -> tuple[dict[str, list[str]], dict[str, str], dict[str, float]]:
    return (
        {key: gold for key, (gold, _, _) in drawn.items()},
        {key: answer for key, (_, answer, _) in drawn.items()},
        {key: doubt for key, (_, _, doubt) in drawn.items()},
    )


@pytest.mark.parametrize(
    "text,expected",
    [
        pytest.param("The Duke", "duke", id="article and case"),
        pytest.param("a an the", "", id="articles only"),
        pytest.param("theatre", "theatre", id="article inside a word stays"),
        pytest.param("U.S.A.", "usa", id="punctuation joins"),
        pytest.param("well-known", "wellknown", id="hyphen joins"),
        pytest.param("a-b", "ab", id="punctuation goes before articles"),
        pytest.param("a—b", "—b", id="a dash beyond ASCII stays and bounds an article"),
        pytest.param(" two\t\nlines ", "two lines", id="white space"),
        pytest.param("«Élan»", "«élan»", id="beyond ASCII stays, lower case"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_normalise_answer(text: str, expected: str) -> None:
    assert squad.normalise_answer(text) == expected


@given(words=words)
def test_normalising_twice_changes_nothing_more(words: list[str]) -> None:
    once = squad.normalise_answer(" ".join(words))

    assert squad.normalise_answer(once) == once


@pytest.mark.parametrize(
    "gold,prediction,exact,f1",
    [
        pytest.param(["the Norman Conquest"], "norman conquest!", 1.0, 1.0, id="same but for form"),
        pytest.param(["the Norman Conquest"], "Conquest", 0.0, 2 * 1.0 * 0.5 / 1.5, id="half"),
        pytest.param(["Rollo", "Duke Rollo"], "Duke Rollo", 1.0, 1.0, id="best of several"),
        pytest.param(["b b c"], "b b b", 0.0, 2 / 3, id="tokens are counted, not just seen"),
        pytest.param(["Rollo"], "William", 0.0, 0.0, id="nothing shared"),
        pytest.param(["Rollo"], "", 0.0, 0.0, id="nothing given"),
        pytest.param([], "", 1.0, 1.0, id="nothing is right"),
        pytest.param([], "Rollo", 0.0, 0.0, id="nothing would be right"),
        pytest.param([], "the", 1.0, 1.0, id="an article is nothing"),
        pytest.param(["the", "Rollo"], "", 0.0, 0.0, id="gold that is nothing does not count"),
        pytest.param(["?"], "", 1.0, 1.0, id="gold that is nothing only"),
    ],
)
def test_one_answer(gold: list[str], prediction: str, exact: float, f1: float) -> None:
    assert squad.exact_match(gold, prediction) == exact
    assert squad.token_f1(gold, prediction) == pytest.approx(f1, abs=1e-12)


@given(gold=words, prediction=words)
def test_token_f1_is_symmetric_and_blind_to_order(gold: list[str], prediction: list[str]) -> None:
    one, other = " ".join(gold), " ".join(prediction)
    value = squad.token_f1([one], other)

    assert 0.0 <= value <= 1.0
    assert squad.token_f1([other], one) == pytest.approx(value, abs=1e-12)
    assert squad.token_f1([" ".join(reversed(gold))], other) == pytest.approx(value, abs=1e-12)
    assert squad.token_f1([one], " ".join(sorted(prediction))) == pytest.approx(value, abs=1e-12)
    assert squad.exact_match([one], other) <= value


def test_scores_overall_and_of_each_part() -> None:
    scores = squad.score_squad(GOLD, ANSWERS)

    assert (scores.exact, scores.num_examples, scores.num_missing) == (0.25, 4, 0)
    assert scores.f1 == pytest.approx((2 / 3 + 2 / 3 + 1 + 0) / 4)
    assert (scores.has_answer_exact, scores.num_has_answer) == (0.0, 2)
    assert scores.has_answer_f1 == pytest.approx(2 / 3)
    assert (scores.no_answer_accuracy, scores.num_no_answer) == (0.5, 2)
    assert scores.exact_by_id == {"duke": 0.0, "year": 0.0, "none": 1.0, "also none": 0.0}
    assert scores.f1_by_id == pytest.approx({"duke": 2 / 3, "year": 2 / 3, "none": 1.0, "also none": 0.0})


def test_a_part_without_questions_has_no_score() -> None:
    scores = squad.score_squad({"none": []}, {"none": "Rollo"})

    assert (scores.has_answer_exact, scores.has_answer_f1, scores.num_has_answer) == (None, None, 0)
    assert squad.score_squad({"duke": ["Rollo"]}, {"duke": "Rollo"}).no_answer_accuracy is None


def test_a_threshold_abstains_above_itself_only() -> None:
    at = squad.score_squad(GOLD, ANSWERS, DOUBTS, 0.6)
    below = squad.score_squad(GOLD, ANSWERS, DOUBTS, 0.59)

    assert at.f1_by_id == pytest.approx({"duke": 2 / 3, "year": 2 / 3, "none": 1.0, "also none": 1.0})
    assert below.f1_by_id == pytest.approx({"duke": 2 / 3, "year": 0.0, "none": 1.0, "also none": 1.0})
    assert squad.apply_threshold(ANSWERS, DOUBTS, 0.6) == {**ANSWERS, "also none": ""}


@given(drawn=questions, threshold=st.sampled_from([-math.inf, -2.5, 0.0, 0.7, math.inf]))
def test_a_threshold_scores_as_emptied_answers_do(
    drawn: dict[str, tuple[list[str], str, float]], threshold: float
) -> None:
    gold, answers, doubts = split(drawn)
    # Answerable by articles only: the one case where the definition tells abstaining (0) from answering nothing (1).
    gold = {key: [text for text in texts if squad.normalise_answer(text)] for key, texts in gold.items()}

    assert squad.score_squad(gold, answers, doubts, threshold) == squad.score_squad(
        gold, squad.apply_threshold(answers, doubts, threshold)
    )


def test_best_thresholds_by_hand() -> None:
    # From 2 (both "none" right): duke +2/3, year +2/3, also none -1, none 0. Exact never gains: threshold 0.
    best = squad.best_threshold(GOLD, ANSWERS, DOUBTS)

    assert (best.exact, best.exact_threshold, best.f1_threshold) == (0.5, 0.0, 0.6)
    assert best.f1 == pytest.approx((2 + 4 / 3) / 4)


def test_best_threshold_takes_equal_doubts_in_their_own_order_and_choose_threshold_together() -> None:
    gold, answers = {"right": ["Rollo"], "wrong": []}, {"right": "Rollo", "wrong": "Rollo"}

    lucky = squad.best_threshold(gold, answers, {"right": 0.5, "wrong": 0.5})
    unlucky = squad.best_threshold(gold, answers, {"wrong": 0.5, "right": 0.5})
    chosen = squad.choose_threshold(gold, answers, {"right": 0.5, "wrong": 0.5})

    assert (lucky.f1, lucky.f1_threshold) == (1.0, 0.5)
    assert (unlucky.f1, unlucky.f1_threshold) == (0.5, 0.0)
    assert chosen.score == 0.5
    assert squad.score_squad(gold, answers, {"right": 0.5, "wrong": 0.5}, chosen.threshold).f1 == 0.5


def test_choose_threshold_can_abstain_everywhere_when_scores_are_negative() -> None:
    gold: dict[str, list[str]] = {"a": [], "b": []}
    answers, doubts = {"a": "x", "b": "y"}, {"a": -3.0, "b": -8.0}

    chosen = squad.choose_threshold(gold, answers, doubts)

    assert chosen.score == 1.0
    assert chosen.threshold < -8.0
    assert squad.score_squad(gold, answers, doubts, chosen.threshold).exact == 1.0
    # The official starting threshold, 0.0, would have answered both.
    assert squad.score_squad(gold, answers, doubts, squad.best_threshold(gold, answers, doubts).f1_threshold).f1 == 0.0


def test_choose_threshold_raises_the_measure_it_is_asked_for() -> None:
    gold = {"half": ["Norman Conquest"], "whole": ["Rollo"], "none": [], "none 2": []}
    answers = {"half": "Conquest", "whole": "Rollo", "none": "x", "none 2": "y"}
    doubts = {"whole": 0.0, "half": 1.0, "none": 2.0, "none 2": 3.0}

    assert squad.choose_threshold(gold, answers, doubts, measure="exact").threshold == 0.0
    assert squad.choose_threshold(gold, answers, doubts, measure="f1").threshold == 1.0


@given(drawn=questions)
@settings(max_examples=60, deadline=None)
def test_no_threshold_does_better_than_the_chosen_one_and_its_score_is_kept(
    drawn: dict[str, tuple[list[str], str, float]],
) -> None:
    gold, answers, doubts = split(drawn)
    chosen = squad.choose_threshold(gold, answers, doubts)

    def f1_at(threshold: float) -> float:
        return squad.score_squad(gold, answers, doubts, threshold).f1

    assert f1_at(chosen.threshold) == pytest.approx(chosen.score, abs=1e-12)
    assert all(f1_at(threshold) <= chosen.score + 1e-12 for threshold in [-math.inf, *doubts.values(), math.inf])


def test_choosing_needs_the_selection_rows_only() -> None:
    chosen = squad.choose_threshold(
        {"duke": GOLD["duke"], "none": []},
        {"duke": ANSWERS["duke"], "none": ""},
        {"duke": DOUBTS["duke"], "none": DOUBTS["none"]},
    )
    elsewhere = squad.score_squad(GOLD, ANSWERS, DOUBTS, chosen.threshold)

    assert chosen.threshold == 0.1
    assert elsewhere.f1 == pytest.approx((2 / 3 + 0 + 1 + 1) / 4)


@pytest.mark.parametrize("call", [squad.score_squad, squad.best_threshold, squad.choose_threshold])
def test_ids_that_do_not_fit_are_refused(call: Callable[[Any, Any, Any], object]) -> None:
    with pytest.raises(DataError, match=r"^squad: at least one question is needed"):
        call({}, {}, {})
    with pytest.raises(DataError, match=r"^squad: 1 of 4 questions have no prediction \(year\)\. Predict them"):
        call(GOLD, {key: text for key, text in ANSWERS.items() if key != "year"}, DOUBTS)
    with pytest.raises(DataError, match=r"^squad: 1 of 5 predictions belong to no question of this split \(x\)\."):
        call(GOLD, {**ANSWERS, "x": ""}, DOUBTS)
    with pytest.raises(
        DataError, match=r"^squad: 4 of 4 answers have no no-answer score \(duke, year, none and 1 more"
    ):
        call(GOLD, ANSWERS, {})
    with pytest.raises(DataError, match=r"^squad: 1 no-answer scores belong to no question \(x\)\.$"):
        call(GOLD, ANSWERS, {**DOUBTS, "x": 0.0})
    with pytest.raises(ValueError, match=r"^squad: the no-answer score of question year must be finite, got nan$"):
        call(GOLD, ANSWERS, {**DOUBTS, "year": math.nan})
    with pytest.raises(ValueError, match=r"^squad: gold answers must be a list of texts, got the one text 'Rollo'$"):
        call({**GOLD, "duke": "Rollo"}, ANSWERS, DOUBTS)


def test_missing_predictions_can_be_left_out_and_are_counted() -> None:
    scores = squad.score_squad(GOLD, {"year": "1066", "none": "x"}, allow_missing=True)

    assert (scores.exact, scores.num_examples, scores.num_missing) == (0.5, 2, 2)
    assert (scores.num_has_answer, scores.num_no_answer) == (1, 1)
    assert list(scores.exact_by_id) == ["year", "none"]
    with pytest.raises(DataError, match=r"^squad: none of the 4 questions has a prediction"):
        squad.score_squad(GOLD, {}, allow_missing=True)


def test_a_threshold_that_could_not_be_applied_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^score_squad: threshold 0.5 needs no_answer_scores to apply to, got None$"):
        squad.score_squad(GOLD, ANSWERS, threshold=0.5)
    with pytest.raises(ValueError, match=r"^score_squad: threshold must be a number, got NaN$"):
        squad.score_squad(GOLD, ANSWERS, DOUBTS, math.nan)
    with pytest.raises(ValueError, match=r"^apply_threshold: threshold must be a number, got NaN$"):
        squad.apply_threshold(ANSWERS, DOUBTS, math.nan)
    with pytest.raises(DataError, match=r"^squad: 1 of 4 answers have no no-answer score \(duke\)"):
        squad.apply_threshold(ANSWERS, {key: doubt for key, doubt in DOUBTS.items() if key != "duke"}, 0.5)

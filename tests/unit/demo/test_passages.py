"""Pairs, opinions and readings mean what their labels say."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

from tunescope.demo.grammar import BAD, COLOURS, GOOD, PEOPLE, PLACES, TIMES, TOPICS
from tunescope.demo.passages import inference, opinion, paraphrase, reading, story


def words_of(text: str) -> set[str]:
    """The words of a text without their punctuation."""
    return {word.strip(".,?") for word in text.split()}


def the_one(text: str, choices: Iterable[str]) -> str:
    """The one word of a text that is among the choices."""
    (found,) = words_of(text) & set(choices)
    return found


def test_a_pair_means_the_same_if_both_praise_or_both_blame_one_thing() -> None:
    rng = random.Random(0)
    for _ in range(300):
        for equivalent in (True, False):
            pair = paraphrase(rng, equivalent)
            assert pair.first != pair.second
            assert the_one(pair.first, TOPICS) == the_one(pair.second, TOPICS)
            praises = [bool(words_of(text) & set(GOOD)) for text in (pair.first, pair.second)]
            blames = [bool(words_of(text) & set(BAD)) for text in (pair.first, pair.second)]
            assert praises == [not blame for blame in blames]
            assert (praises[0] == praises[1]) == equivalent


def test_no_single_word_tells_the_label_of_a_pair() -> None:
    rng = random.Random(0)
    seen = {
        equivalent: Counter(
            word for _ in range(4000) for word in words_of(paraphrase(rng, equivalent).second) & {*GOOD, *BAD}
        )
        for equivalent in (True, False)
    }
    for word in (*GOOD, *BAD):
        assert 0.6 < seen[True][word] / seen[False][word] < 1.7


def test_a_claim_follows_if_it_agrees_with_the_opinion() -> None:
    rng = random.Random(0)
    for _ in range(300):
        for entailed in (True, False):
            pair = inference(rng, entailed)
            praised = bool(words_of(pair.first) & set(GOOD))
            assert praised != bool(words_of(pair.first) & set(BAD))
            assert (praised == ("liked" in words_of(pair.second))) == entailed
            assert the_one(pair.first, PEOPLE) == the_one(pair.second, PEOPLE)


def test_an_opinion_outright_or_turned_round() -> None:
    rng = random.Random(0)
    direct = [opinion(rng, True, direct=True) for _ in range(300)]
    assert not any(" not " in text or "far from" in text or "called" in text for text in direct)
    assert any(" not " in text for text in (opinion(rng, True) for _ in range(300)))


def test_an_answer_stands_where_it_is_said_to() -> None:
    rng = random.Random(0)
    asked_for = {"Who": PEOPLE, "Where": PLACES, "When": TIMES, "Which": COLOURS}
    seen = set()
    for _ in range(300):
        asked = reading(rng, True)
        assert asked.context[asked.answer_start :].startswith(asked.answer)
        assert asked.answer in asked_for[asked.question.split()[0]]
        seen.add(asked.question.split()[0])
    assert seen == set(asked_for)


def test_a_question_without_an_answer_asks_for_what_is_not_told() -> None:
    rng = random.Random(0)
    asked_for = {"Where": PLACES, "When": TIMES, "Which": COLOURS}
    for _ in range(300):
        asked = reading(rng, False)
        assert (asked.answer, asked.answer_start) == ("", -1)
        words = {word.strip(".") for word in asked.context.split()}
        assert not words & set(asked_for[asked.question.split()[0]])


def test_a_story_has_one_hero() -> None:
    rng = random.Random(0)
    assert all(the_one(story(rng), PEOPLE) for _ in range(50))

"""Pairs, opinions and readings mean what their labels say."""

from __future__ import annotations

import random
from collections import Counter

from tunescope.demo.grammar import COLOURS, DEEDS, KINDS, PEOPLE, PLACES, TIMES
from tunescope.demo.passages import inference, opinion, paraphrase, reading, story

_KIND_OF = {thing: kind for kind, things in KINDS.items() for thing in things}
_DEED_OF = {word: deed for deed, other in DEEDS.items() for word in (deed, other)}


def the_one(text: str, *choices: object) -> str:
    """The one word of a text that is among the choices."""
    (found,) = {word.strip(".?") for word in text.split()} & {str(word) for group in choices for word in group}  # type: ignore[attr-defined]
    return found


def test_a_pair_means_the_same_if_its_verbs_do() -> None:
    rng = random.Random(0)
    for _ in range(300):
        for equivalent in (True, False):
            pair = paraphrase(rng, equivalent)
            assert pair.first != pair.second
            one, other = (_DEED_OF[the_one(text, _DEED_OF)] for text in (pair.first, pair.second))
            assert (one == other) == equivalent
            for group in (PEOPLE, COLOURS, _KIND_OF, PLACES):
                assert the_one(pair.first, group) == the_one(pair.second, group)


def test_no_single_verb_tells_the_label_of_a_pair() -> None:
    rng = random.Random(0)
    verbs = {
        equivalent: Counter(the_one(paraphrase(rng, equivalent).second, _DEED_OF) for _ in range(2000))
        for equivalent in (True, False)
    }
    for verb in _DEED_OF:
        assert 0.6 < verbs[True][verb] / verbs[False][verb] < 1.7


def test_a_claim_follows_if_it_names_the_kind() -> None:
    rng = random.Random(0)
    for _ in range(300):
        for entailed in (True, False):
            pair = inference(rng, entailed)
            assert (_KIND_OF[the_one(pair.first, _KIND_OF)] == the_one(pair.second, KINDS)) == entailed


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

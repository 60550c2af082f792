"""The grammar gives the same sentences for the same seed, and no word says two things."""

from __future__ import annotations

import random

from tunescope.demo.grammar import BAD, COLOURS, DEEDS, FORMS, GOOD, KINDS, PEOPLE, PLACES, TIMES, Fact, draw_fact

GIVEN = Fact(person="Anna", deed="found", colour="red", kind="dish", thing="cup", place="barn", time="night")


def test_a_seed_gives_the_same_facts() -> None:
    first, second, other = ([draw_fact(rng) for _ in range(50)] for rng in map(random.Random, (1, 1, 2)))
    assert first == second
    assert first != other


def test_a_fact_is_told_in_three_forms() -> None:
    assert [GIVEN.tell(form) for form in FORMS] == [
        "Anna found the red cup in the barn.",
        "In the barn Anna found the red cup.",
        "The red cup was found by Anna in the barn.",
    ]
    assert GIVEN.tell(FORMS[0], deed=DEEDS["found"]) == "Anna discovered the red cup in the barn."


def test_a_thing_is_of_its_kind() -> None:
    rng = random.Random(0)
    assert all(fact.thing in KINDS[fact.kind] for fact in (draw_fact(rng) for _ in range(200)))


def test_no_word_says_two_things() -> None:
    groups = [PEOPLE, DEEDS, DEEDS.values(), COLOURS, KINDS, *KINDS.values(), PLACES, TIMES, GOOD, BAD]
    assert len({word for group in groups for word in group}) == sum(len(group) for group in groups)

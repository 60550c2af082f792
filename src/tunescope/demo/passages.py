"""What the grammar's sentences are made into: stories, pairs of sentences, opinions, and texts with a question.

Each function draws one passage from a `random.Random`. Labels here are exact; the noise that the demo's data sets carry is
added by `tasks`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from tunescope.demo.grammar import (
    ADVERBS,
    ASPECTS,
    BAD,
    DEEDS,
    FORMS,
    GOOD,
    PEOPLE,
    TOPICS,
    draw_fact,
)

_ASKS = {
    "person": "Who {deed} it?",
    "place": "Where was it {deed}?",
    "time": "When was it {deed}?",
    "colour": "Which colour was it?",
}
"""What a question asks for -> its words."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A context, a question about it, and where the answer stands."""

    title: str
    context: str
    question: str
    answer: str
    """The answer as it stands in the context; empty where there is none."""
    answer_start: int
    """Its first character in `context`; -1 where there is none."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two texts."""

    first: str
    second: str


def story(rng: random.Random) -> str:
    """Four to six sentences about one person, what they did told twice, and of what kind the things were."""
    hero = rng.choice(PEOPLE)
    told = [f"This is a story about {hero}."]
    for _ in range(rng.randint(1, 2)):
        fact = replace(draw_fact(rng), person=hero)
        told.append(fact.tell(rng.choice(FORMS)))
        told.append(fact.tell("That is, {person} {deed} a {kind}.", deed=DEEDS[fact.deed]))
    return " ".join([*told, rng.choice(("That was the end.", f"At last {hero} went home."))])


def paraphrase(rng: random.Random, equivalent: bool) -> Pair:
    """Two opinions of one thing that praise it both or blame it both, or one of each."""
    topic, positive = rng.choice(TOPICS), rng.random() < 0.5
    while True:
        first, second = (rng.choice(_outright(rng, topic, good)) for good in (positive, positive == equivalent))
        if first != second:
            return Pair(first=first, second=second)


def inference(rng: random.Random, entailed: bool) -> Pair:
    """Somebody's opinion of a thing, and a claim that they liked it or did not."""
    fact, topic, positive = draw_fact(rng), rng.choice(TOPICS), rng.random() < 0.5
    told = f"{fact.person} said in the {fact.place}: {rng.choice(_outright(rng, topic, positive))}"
    claims = ("{person} {verb} the {topic}.", "The {topic} was {verb} by {person}.")
    verb = "liked" if positive == entailed else "hated"
    return Pair(first=told, second=rng.choice(claims).format(person=fact.person, verb=verb, topic=topic))


def opinion(rng: random.Random, positive: bool, *, direct: bool = False) -> str:
    """A sentence whose writer liked something, or did not.

    Three in ten say so outright; the others set one side of the thing against the whole or, unless `direct`, negate the
    opposite word or report somebody else's opposite opinion.
    """
    own, opposite = (GOOD, BAD) if positive else (BAD, GOOD)
    topic, word, other = rng.choice(TOPICS), rng.choice(own), rng.choice(opposite)
    aspect, adverb, person = rng.choice(ASPECTS), rng.choice(ADVERBS), rng.choice(PEOPLE)
    plain = _outright(rng, topic, positive)
    contrasted = (
        f"the {aspect} was {other} but the {topic} was {adverb} {word}.",
        f"although the {aspect} was {other}, i found the {topic} {word}.",
        f"the {topic} was {word} even though the {aspect} was {adverb} {other}.",
    )
    turned = (
        f"the {topic} was not {other} at all.",
        f"nobody could call the {topic} {other}.",
        f"the {topic} was far from {other}.",
        f"{person} called the {topic} {other} but i found it {adverb} {word}.",
        f"the {topic} was {word}, whatever {person} says about its {other} {aspect}.",
    )
    styles = (plain, contrasted) if direct else (plain, contrasted, turned)
    return rng.choice(rng.choices(styles, weights=(3, 2, 5)[: len(styles)])[0])


def _outright(rng: random.Random, topic: str, positive: bool) -> tuple[str, ...]:
    """Ways to praise or blame a thing plainly."""
    word, second = rng.sample(GOOD if positive else BAD, 2)
    adverb = rng.choice(ADVERBS)
    return (
        f"the {topic} was {adverb} {word}.",
        f"a {word} and {second} {topic}.",
        f"i thought the {topic} was {adverb} {word} and {second}.",
        f"what a {word} {topic}, {adverb} {second} to the end.",
    )


def reading(rng: random.Random, answerable: bool) -> Reading:
    """One fact in full or in part, and a question about it; without an answer, the part asked for is left out."""
    fact = draw_fact(rng)
    asked = rng.choice([slot for slot in _ASKS if answerable or slot != "person"])
    untold = {slot for slot in ("place", "time", "colour") if slot != asked and rng.random() < 0.3}
    if not answerable:
        untold.add(asked)
    parts = ["{person} {deed} the" + ("" if "colour" in untold else " {colour}") + " {thing}"]
    if "place" not in untold:
        parts.append(" in the {place}")
    if "time" not in untold:
        parts.append(" one {time}")
    context = (
        fact.tell("".join(parts) + ".") + " " + rng.choice(("Nobody saw it.", "Everybody was glad.", "It was late."))
    )
    answer = vars(fact)[asked] if answerable else ""
    return Reading(
        title=fact.person,
        context=context,
        question=fact.tell(_ASKS[asked]),
        answer=answer,
        answer_start=_start_of(answer, context) if answerable else -1,
    )


def _start_of(word: str, text: str) -> int:
    """Where a word begins in a text; every word of a slot stands there once."""
    return f" {text}".index(f" {word}")

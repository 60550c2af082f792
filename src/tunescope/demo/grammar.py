"""A small invented world: who did what with which thing, where and when, and what was thought of a song.

A `Fact` is told in forms that mean the same; each deed has two words; each thing is of a kind. Everything is drawn from a
`random.Random`, so a seed gives the same text everywhere.

What makes the tasks drawn from it learnable by a Llama of a million parameters in seconds, and not all the way:

- Two sentences mean the same if they both praise or both blame the same thing. Every word stands in both labels, so no single
  one tells, only the two sentences together.
- A claim that somebody liked or hated a thing follows if it agrees with the opinion in the premise; both verbs stand in both labels.
- A question asks who, where, when or which colour; where the text does not say, it has no answer.
- Opinions are contrasted, negated ("not dull at all") or somebody else's; negated ones and other people's stand in no labelled
  pretraining text, so fine-tuning has to add them.
- `tasks` turns round a few labels, as annotators do.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass


def words(text: str) -> tuple[str, ...]:
    """The words of a text, in order."""
    return tuple(text.split())


PEOPLE = words(
    "Anna Ben Clara David Emma Felix Grace Henry Iris Jack Kate Leo Mary Nick Olive Paul Rosa Sam Tess Tom "
    "Una Victor Wendy Zoe"
)
DEEDS: Mapping[str, str] = {
    "found": "discovered",
    "kept": "stored",
    "fixed": "repaired",
    "sold": "traded",
    "smashed": "crushed",
    "cleaned": "washed",
    "bought": "purchased",
    "tossed": "hurled",
}
"""Deed -> the other word for it."""
KINDS: Mapping[str, tuple[str, ...]] = {
    "toy": words("ball kite doll drum"),
    "fruit": words("apple pear plum peach"),
    "tool": words("hammer spade saw rope"),
    "garment": words("coat hat scarf shirt"),
    "dish": words("cup bowl plate jug"),
}
"""Kind -> things of that kind."""
COLOURS = words("red blue green yellow white black")
PLACES = words(
    "garden kitchen forest shop park barn mill harbour castle school market library tower village meadow cave"
)
TIMES = words("morning afternoon evening night spring summer autumn winter")
FORMS = (
    "{person} {deed} the {colour} {thing} in the {place}.",
    "In the {place} {person} {deed} the {colour} {thing}.",
    "The {colour} {thing} was {deed} by {person} in the {place}.",
)
"""Sentences that mean the same."""
GOOD = words(
    "good great lovely wonderful charming clever funny delightful splendid brilliant joyful gripping superb graceful"
)
BAD = words("bad dull awful boring dreadful clumsy poor tiresome silly dreary ugly messy weak horrid")
TOPICS = words("film song play story show dance meal trip game speech concert book party walk")
ASPECTS = words("start middle ending music plan idea cook singer weather crowd")
ADVERBS = words("very truly quite really rather so")


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One thing that happened."""

    person: str
    deed: str
    """A key of `DEEDS`."""
    colour: str
    kind: str
    thing: str
    place: str
    time: str

    def tell(self, form: str, **changes: str) -> str:
        """The fact in a form such as those of `FORMS`, some of its words replaced."""
        return form.format(**(vars(self) | changes))


def draw_fact(rng: random.Random) -> Fact:
    """Any fact."""
    kind = rng.choice(list(KINDS))
    return Fact(
        person=rng.choice(PEOPLE),
        deed=rng.choice(list(DEEDS)),
        colour=rng.choice(COLOURS),
        kind=kind,
        thing=rng.choice(KINDS[kind]),
        place=rng.choice(PLACES),
        time=rng.choice(TIMES),
    )

"""Controls of drift as the page calls them."""

from __future__ import annotations

CONTROL_WORDS = {
    "seeds": "seed against seed",
    "random_update": "random update of its length",
    "base_again": "base model, read again",
    "bf16": "base model in bf16",
    "shuffled": "base model, other examples",
    "random_network": "random weights",
}
"""By name, in the order they are shown."""


def control_words(compared: str, method: str | None) -> str:
    """A control in words, with the method it is of."""
    told = CONTROL_WORDS.get(compared, compared.replace("untrained ", "untrained adapter of "))
    return told if method is None else f"{method}: {told}"

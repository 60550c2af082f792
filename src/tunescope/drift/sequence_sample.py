"""Some of many texts with the states of all their tokens, held beside the sums of all: what an interval over texts is made from.

Memory: at most 256 texts, and for each model and state at most 16 MiB of float32, or 8 d^2 bytes where that is more (d > 1,448; the
widest state counts). So twice that for a pair of models and a state, whose sums take 32 d^2. It does not grow with the number of texts.

Texts are put in an order by a hash of their places, and held from its beginning until the next would be one too many. So the
sample follows from the texts and their lengths alone, whatever the batches and their order. The text that no longer fits is likelier
a long one: among m held texts that takes off less than one text's weight.
"""

from __future__ import annotations

import heapq
from hashlib import blake2b

import numpy as np

from tunescope.representations.side_by_side import StateBatch

MOST_SEQUENCES = 256
_MOST_BYTES = 16 * 2**20
_BYTES_PER_VALUE = 4


def token_limit(num_features: int) -> int:
    """Tokens of all held texts together, at most: as many as take 16 MiB, and 2 d where that is more."""
    return max(_MOST_BYTES // (_BYTES_PER_VALUE * num_features), 2 * num_features)


class SequenceSample:
    """States of single tokens of a pseudo-random sample of texts.

    Args:
        most_sequences: Texts at most; None: 256.
        most_tokens: Tokens at most; None: `token_limit` of the widest state.

    Example:
        >>> sample = SequenceSample(most_sequences=3)
        >>> texts = [np.full((2, 4), place, dtype=np.float32) for place in range(10)]
        >>> sample.add(StateBatch(places=np.arange(10), states=({("block_01", "all_tokens"): texts},)))
        >>> len(sample.of(0, "block_01", "all_tokens")), sample.num_bytes
        (3, 96)
    """

    def __init__(self, *, most_sequences: int | None = None, most_tokens: int | None = None) -> None:
        self._most_sequences, self._most_tokens = most_sequences or MOST_SEQUENCES, most_tokens
        self._last_first: list[tuple[int, int]] = []
        """Heap of (-rank, place) of the texts that are held."""
        self._lengths: dict[int, int] = {}
        self._num_tokens = 0
        self._ends_at: int | None = None
        """The lowest rank that was one too many: from there on none is held, though a shorter one would fit."""
        self._states: dict[tuple[int, str, str], dict[int, np.ndarray]] = {}

    @property
    def num_bytes(self) -> int:
        """Of all states that are held."""
        return sum(states.nbytes for by_place in self._states.values() for states in by_place.values())

    def add(self, batch: StateBatch) -> None:
        """Keeps the texts that belong to the sample as far as it was seen, and lets others go; pooled states are not held."""
        tokens = {
            (model, state, read): sequences
            for model, states in enumerate(batch.states)
            for (state, read), sequences in states.items()
            if isinstance(sequences, list)
        }
        if not tokens:
            return
        lengths = [len(states) for states in next(iter(tokens.values()))]
        most_tokens = self._most_tokens or token_limit(max(states[0].shape[1] for states in tokens.values()))
        for row, place in enumerate(batch.places.tolist()):
            if not self._takes(place, lengths[row], most_tokens):
                continue
            for key, sequences in tokens.items():
                # A copy: what comes may be a view of a whole batch, which would be kept with it.
                self._states.setdefault(key, {})[place] = np.array(sequences[row], dtype=np.float32)

    def of(self, model: int, state: str, read: str) -> list[np.ndarray]:
        """(T_i, d) float32 of each held text, in the texts' order; none where no text was short enough."""
        by_place = self._states.get((model, state, read), {})
        return [by_place[place] for place in sorted(by_place)]

    def _takes(self, place: int, length: int, most_tokens: int) -> bool:
        """Counts a text in and others out; whether it stays."""
        rank = _rank(place)
        if self._ends_at is not None and rank >= self._ends_at:
            return False
        heapq.heappush(self._last_first, (-rank, place))
        self._lengths[place] = length
        self._num_tokens += length
        while len(self._last_first) > self._most_sequences or self._num_tokens > most_tokens:
            minus_rank, last = heapq.heappop(self._last_first)
            self._ends_at = -minus_rank
            self._num_tokens -= self._lengths.pop(last)
            for by_place in self._states.values():
                by_place.pop(last, None)
        return place in self._lengths


def _rank(place: int) -> int:
    """Where in the order a text stands, as if drawn at random, the same on every machine."""
    return int.from_bytes(blake2b(place.to_bytes(8, "little"), digest_size=8).digest(), "little")

"""How often the 95% interval of a CKA over tokens holds the population's value: writes token_coverage.json beside it.

    OMP_NUM_THREADS=1 python tests/reference/make_token_coverage.py     # ten minutes of one core

Texts are independent, their tokens are not: a token's latent vector is made of one that all tokens of its text share, and of one
that follows its neighbour's (AR(1)). Y is X, or a ReLU of a linear map of it, and noise that depends on its neighbours in the same way.
The population's linear CKA is ||S_xy||^2 / (||S_xx|| ||S_yy||) of the covariances of a random token of a random text, which each world
has in closed form. Intervals come from the code that a drift job runs (`drift.tokens.interval_of_sample`, `SequenceSample`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunescope.drift.sequence_sample import SequenceSample
from tunescope.drift.tokens import interval_of_sample
from tunescope.representations.side_by_side import StateBatch
from tunescope.similarity.jackknife import Jackknife
from tunescope.similarity.tokens import TokenPairSums

RESULTS = Path(__file__).with_name("token_coverage.json")
NUMS = (250, 750)
"""n, texts."""
SAMPLED = (16, 32, 64, 250)
"""m, texts that are held."""
LONGEST, MEAN_LENGTH = 23, 12
"""Tokens of a text: 1 to 23, each as likely."""
DRAWS, FIRST = 400, 3
"""Of each cell, of which the Monte Carlo error is 1.1%; and how many of them are written down one by one."""


@dataclass(frozen=True, kw_only=True)
class World:
    """Where texts come from."""

    shared: float
    """Share of a latent vector's variance that all tokens of a text have in common."""
    neighbour: float
    """Correlation of the rest with the rest of the token before."""
    noise: float
    """Standard deviation of what Y has besides; X's directions have `scales`."""
    scales: tuple[float, ...] = (1.0,) * 8
    tails: float | None = None
    """Degrees of freedom of Student's t: a whole text is larger or smaller, X and noise alike."""
    relu: bool = False
    unrelated: bool = False
    """Y is noise alone."""
    leans: bool = False
    """Long texts have larger vectors, and the sample is bounded by tokens: m times the mean length."""

    def drawn(self, rng: np.random.Generator, num: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """X and Y of `num` texts."""
        lengths = rng.integers(1, LONGEST + 1, size=num)
        size = self._sizes(lengths)
        if self.tails is not None:
            size = size * np.sqrt(self.tails / rng.chisquare(self.tails, size=num))
        d = len(self.scales)
        X = self._latent(rng, lengths, d) * np.array(self.scales) * np.repeat(size, lengths)[:, None]
        noise = self.noise * self._latent(rng, lengths, d) * np.repeat(size, lengths)[:, None]
        Y = noise if self.unrelated else noise + (np.maximum(X @ self._map(), 0.0) if self.relu else X)
        ends = np.cumsum(lengths)[:-1]
        return np.split(X.astype(np.float32), ends), np.split(Y.astype(np.float32), ends)

    def cka(self) -> float:
        """Of the population."""
        if self.unrelated:
            return 0.0
        size = float((self._sizes(np.arange(1, LONGEST + 1)) ** 2).mean())
        size *= 1.0 if self.tails is None else self.tails / (self.tails - 2.0)
        S_x = size * np.diag(np.square(self.scales))
        S_y = S_xy = S_x
        if self.relu:  # of normal x: Cho and Saul (2009), the arc-cosine kernel of degree 1
            S_a = self._map().T @ S_x @ self._map()
            s = np.sqrt(np.outer(np.diag(S_a), np.diag(S_a)))
            angle = np.arccos(np.clip(S_a / s, -1.0, 1.0))
            S_y = s * (np.sin(angle) + (np.pi - angle) * np.cos(angle) - 1.0) / (2.0 * np.pi)
            S_xy = S_x @ self._map() / 2.0
        S_y = S_y + size * self.noise**2 * np.eye(len(self.scales))
        return float(np.sum(S_xy**2) / np.sqrt(np.sum(S_x**2) * np.sum(S_y**2)))

    def _latent(self, rng: np.random.Generator, lengths: np.ndarray, d: int) -> np.ndarray:
        """(tokens, d) of variance 1."""
        steps = rng.normal(size=(len(lengths), LONGEST, d))
        for t in range(1, LONGEST):
            steps[:, t] = self.neighbour * steps[:, t - 1] + np.sqrt(1.0 - self.neighbour**2) * steps[:, t]
        steps = np.sqrt(1.0 - self.shared) * steps + np.sqrt(self.shared) * rng.normal(size=(len(lengths), 1, d))
        return steps[np.arange(LONGEST) < lengths[:, None]]

    def _map(self) -> np.ndarray:
        d = len(self.scales)
        return np.random.default_rng(0).normal(size=(d, d)) / np.sqrt(d)

    def _sizes(self, lengths: np.ndarray) -> np.ndarray:
        return 0.5 + lengths / LONGEST if self.leans else np.ones(len(lengths))


WORLDS = {
    "neighbours alike": World(shared=0.0, neighbour=0.9, noise=0.7),
    "one vector per text": World(shared=0.7, neighbour=0.0, noise=0.7),
    "small change": World(shared=0.5, neighbour=0.8, noise=0.1),
    "much noise": World(shared=0.5, neighbour=0.8, noise=1.5),
    "few directions": World(shared=0.5, neighbour=0.8, noise=0.3, scales=tuple(k**-1.0 for k in range(1, 33))),
    "relu": World(shared=0.5, neighbour=0.8, noise=0.2, relu=True),
    "heavy tails": World(shared=0.5, neighbour=0.8, noise=0.7, tails=6.0),
    "long texts lean": World(shared=0.5, neighbour=0.8, noise=0.7, leans=True),
    "unrelated": World(shared=0.5, neighbour=0.8, noise=1.0, unrelated=True),
}


def intervals(world: World, seed: int) -> Iterator[tuple[int, int, Jackknife | None]]:
    """n, m and the interval, if there is one, of one draw of texts; m is what is asked for, of `leans` about as many."""
    Xs, Ys = world.drawn(np.random.default_rng(seed), NUMS[-1])
    sums = TokenPairSums(Xs[0].shape[1], Ys[0].shape[1])
    samples = {
        m: SequenceSample(most_tokens=m * MEAN_LENGTH)
        if world.leans
        else SequenceSample(most_sequences=m, most_tokens=m * LONGEST)
        for m in SAMPLED
    }
    for start, n in zip((0, *NUMS), NUMS, strict=False):
        X, Y = Xs[start:n], Ys[start:n]
        sums.update(X, Y)
        states = tuple({("block_01", "all_tokens"): rows} for rows in (X, Y))
        for m, sample in samples.items():
            sample.add(StateBatch(places=np.arange(start, n), states=states))
            sampled = (sample.of(model, "block_01", "all_tokens") for model in (0, 1))
            found, _ = interval_of_sample(sums.debiased_linear_cka(), *sampled, n)
            yield n, m, found


def coverage(name: str, seeds: range) -> list[dict[str, Any]]:
    """A line per n and m of one world."""
    world = WORLDS[name]
    truth = world.cka()
    cells: dict[tuple[int, int], list[Jackknife]] = {}
    for seed in seeds:
        for n, m, found in intervals(world, seed):
            cells.setdefault((n, m), []).extend([] if found is None else [found])
    return [
        {
            "world": name,
            "cka": round(truth, 6),
            "n": n,
            "m": m,
            "draws": len(seeds),
            "intervals": len(found),
            "covered": sum(one.ci_low <= truth <= one.ci_high for one in found),
            "mean_width": round(float(np.mean([_width(one) for one in found])), 6),
            "first_widths": [round(_width(one), 9) for one in found[:FIRST]],
        }
        for (n, m), found in cells.items()
    ]


def _width(found: Jackknife) -> float:
    return found.ci_high - found.ci_low


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--worlds", nargs="*", default=list(WORLDS), choices=list(WORLDS))
    asked = parser.parse_args()
    with ProcessPoolExecutor(asked.workers) as workers:
        cells = [
            cell
            for of_world in workers.map(coverage, asked.worlds, [range(asked.draws)] * len(asked.worlds))
            for cell in of_world
        ]
    RESULTS.write_text("[\n" + ",\n".join(json.dumps(cell) for cell in cells) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""The coverage that is written down is that of the code as it is, and it is near 95%."""

from __future__ import annotations

import json

import pytest

from reference.make_token_coverage import DRAWS, FIRST, NUMS, RESULTS, SAMPLED, WORLDS, intervals

CELLS = json.loads(RESULTS.read_text(encoding="utf-8"))


def test_every_world_has_all_its_cells():
    assert [(cell["world"], cell["n"], cell["m"]) for cell in CELLS] == [
        (world, n, m) for world in WORLDS for n in NUMS for m in SAMPLED
    ]
    assert {cell["draws"] for cell in CELLS} == {DRAWS}


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell['world']}, {cell['m']} of {cell['n']}")
def test_95_percent_intervals_cover_about_as_often(cell):
    """Never much too narrow; too wide where few texts are held, or states are unrelated and the variance falls with 1 / n^2."""
    share = cell["covered"] / cell["intervals"]
    assert share >= 0.92
    if cell["m"] >= 64 and cell["world"] != "unrelated":
        assert share <= 0.99
    if cell["m"] == NUMS[0] == cell["n"] and cell["world"] != "unrelated":
        assert share <= 0.975


@pytest.mark.parametrize("world", ["small change", "long texts lean"])
def test_the_first_draws_are_those_that_were_counted(world):
    """Widths, of the code as it is now: a change of sample, of jackknife or of scale shows."""
    widths: dict[tuple[int, int], list[float]] = {}
    for seed in range(FIRST):
        for n, m, found in intervals(WORLDS[world], seed):
            own = widths.setdefault((n, m), [])
            own.extend([] if found is None else [found.ci_high - found.ci_low])
            assert m < 32 or own, "so many texts always fit"
    for cell in CELLS:
        if cell["world"] == world:
            own = widths[cell["n"], cell["m"]]
            assert own == pytest.approx(cell["first_widths"][: len(own)], rel=1e-4), "run make_token_coverage.py again"

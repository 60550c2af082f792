"""The spread between seeds of finished runs, pooled within methods and never between them."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.analysis.collect import ResultRow
from tunescope.analysis.seed_spread import measured_spread


def _row(method, seed, value, **changes):
    values = dict.fromkeys(ResultRow.__dataclass_fields__)
    values |= {"base_model": "m", "task": "rte", "kind": "run", "metric": "accuracy"}
    return ResultRow(**(values | {"method": method, "seed": seed, "value": value} | changes))


def test_methods_far_apart_do_not_widen_it():
    full, lora = [0.60, 0.62, 0.67], [0.90, 0.91]
    rows = [_row("full", seed, value) for seed, value in enumerate(full)]
    rows += [_row("lora", seed, value) for seed, value in enumerate(lora)]
    rows += [_row("head_only", 1, 0.5), _row("full", 9, None), _row("majority", None, 0.1, kind="baseline")]
    rows += [_row("majority", 1, 0.9, kind="baseline"), _row("full", 1, 0.7, metric="f1")]
    found = measured_spread(rows)
    assert list(found) == [("rte", "accuracy")]
    spread = found["rte", "accuracy"]
    assert spread.sd == pytest.approx(np.sqrt((2 * np.var(full, ddof=1) + np.var(lora, ddof=1)) / 3))
    assert (spread.num_runs, spread.df) == (5, 3)


def test_nothing_is_measured_before_two_seeds_of_one_method():
    assert measured_spread([]) == {}
    assert measured_spread([_row("full", 1, 0.5), _row("lora", 2, 0.9)]) == {}

"""The mixed model and the ranks across tasks see the runs that are there, the right way round."""

from __future__ import annotations

import pytest

from tunescope.analysis.collect import ResultRow
from tunescope.analysis.second_opinion import second_opinions
from tunescope.study.load import parse_study
from tunescope.study.plan import make_plan

_TEXT = """
name: t
base_model: org/decoder
tasks: [rte, mrpc, sst2]
methods: {full: {}, lora: {}}
seeds: [1, 2, 3, 4]
"""


def _rows(**scores):
    """Rows of accuracy around a mean per method and task: `lora_rte=0.8`."""
    rows = []
    for name, mean in scores.items():
        method, task = name.split("_", 1)
        for seed in (1, 2, 3, 4):
            values = dict.fromkeys(ResultRow.__dataclass_fields__)
            wobble = 0.004 * ((seed * 7 + len(task) * 3 + len(method)) % 5 - 2)
            values |= {"study": "t", "base_model": "org/decoder", "task": task, "kind": "run", "method": method}
            values |= {
                "seed": seed,
                "metric": "accuracy",
                "value": mean and mean + wobble,
                "flags": "",
                "state": "done",
            }
            rows.append(ResultRow(**values))
    return rows


def _opinions(rows):
    return second_opinions(make_plan(parse_study(_TEXT, "t"), {"org/decoder": True}), rows)


_ALL = {"full_rte": 0.70, "lora_rte": 0.75, "full_mrpc": 0.80, "lora_mrpc": 0.85, "full_sst2": 0.90, "lora_sst2": 0.95}


def test_the_contrast_and_the_ranks_favour_the_better_method():
    (found,) = _opinions(_rows(**_ALL))
    assert found.tasks == ("rte", "mrpc", "sst2")
    (contrast,) = found.mixed.contrasts
    sign = 1.0 if (contrast.a, contrast.b) == ("lora", "full") else -1.0
    assert sign * contrast.difference.value == pytest.approx(0.05, abs=0.005)
    ranks = dict(zip(found.ranking.methods, found.ranking.average_ranks, strict=True))
    assert ranks == {"lora": 1.0, "full": 2.0}
    shown = " ".join(found.lines)
    assert f"{contrast.a} - {contrast.b} {100 * contrast.difference.value:+.1f} points" in shown
    assert "average rank over 3 tasks (decoder)" in shown


def test_a_task_that_lacks_a_run_takes_no_part():
    rows = [row for row in _rows(**_ALL) if (row.task, row.method, row.seed) != ("rte", "lora", 2)]
    lost = next(row for row in _rows(**_ALL) if (row.task, row.method, row.seed) == ("rte", "lora", 2))
    values = {name: getattr(lost, name) for name in ResultRow.__dataclass_fields__}
    (found,) = _opinions([*rows, ResultRow(**(values | {"value": None, "state": "failed"}))])
    assert found.tasks == ("mrpc", "sst2")


def test_one_task_gives_no_second_opinion():
    assert _opinions(_rows(full_rte=0.7, lora_rte=0.75)) == []

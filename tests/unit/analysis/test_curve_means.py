"""Mean curves: at the steps that every seed has, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from made_findings import made_findings, plan_of
from tunescope.analysis.curve_means import curve_means


def test_only_common_steps_are_averaged():
    curves = [curve for curve in made_findings(plan_of()).curves if (curve.task, curve.method) == ("mrpc", "full")]
    short = replace(curves[2], loss=curves[2].loss[:2])
    (mean,) = curve_means([*curves[:2], short])
    assert mean.loss == ((1.0, pytest.approx(3.0)), (2.0, pytest.approx(2.5)))
    assert mean.selection == ((3, pytest.approx(0.7)),)
    assert mean.num_seeds == 3


def test_methods_and_tasks_are_kept_apart():
    means = curve_means(made_findings(plan_of()).curves)
    assert [(one.task, one.method) for one in means] == [
        ("mrpc", "full"),
        ("mrpc", "lora"),
        ("rte", "full"),
        ("rte", "lora"),
    ]

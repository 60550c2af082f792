"""The study that `tunescope init` writes is one that loads, and every line a user may uncomment is too."""

from __future__ import annotations

import re

from tunescope.report.starter import STARTER
from tunescope.study.load import parse_study

_TEXT = STARTER.format(path="study.yaml", name="study")


def test_it_loads_as_it_is():
    study = parse_study(_TEXT, "study.yaml")
    assert [entry.name for entry in study.methods] == ["full", "lora", "head_only"]
    assert len(study.seeds) == 3


def test_it_loads_with_everything_uncommented():
    study = parse_study(re.sub(r"^(  +)# ", r"\1", _TEXT, flags=re.MULTILINE), "study.yaml")
    assert [task.name for task in study.tasks] == ["demo_sentiment", "mrpc", "mine"]
    assert "ia3" in [entry.name for entry in study.methods]
    assert study.base_models[0].revision == "4f1c2a9"
    assert study.training.precision == "bf16"

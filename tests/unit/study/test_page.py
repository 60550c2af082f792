"""docs/study.md describes every key that a study may hold."""

from __future__ import annotations

import re

import pytest

from tunescope.methods import METHODS
from tunescope.models.base import BaseModelSpec
from tunescope.study import spec as study
from tunescope.study import trackers
from tunescope.study.hypothesis import Hypothesis
from tunescope.study.settings import TrainingSettings
from tunescope.tasks import spec as tasks

_WRITTEN = [
    *(study.StudySpec, study.Override, study.Compute, study.Pin, study.ExpectedRange),
    *(trackers.WandbTracker, trackers.MlflowTracker, trackers.TensorboardTracker, trackers.TrackioTracker),
    *(trackers.Trackers, BaseModelSpec, TrainingSettings, Hypothesis),
    *(tasks.Dataset, tasks.Reference, tasks.Expected, tasks.Classification, tasks.Regression, tasks.QuestionAnswering),
    *METHODS.values(),
]


@pytest.mark.parametrize("kind", _WRITTEN, ids=lambda kind: kind.__name__)
def test_every_key_is_described(kind, repository):
    page = (repository / "docs" / "study.md").read_text(encoding="utf-8")
    inside = " ".join(re.findall(r"`[^`]+`|```.*?```", page, re.DOTALL))
    missing = [name for name in kind.model_fields if not re.search(rf"\b{name}\b", inside)]
    assert not missing, f"docs/study.md does not describe {', '.join(missing)} of {kind.__name__}"

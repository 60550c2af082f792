"""Shares of text that does not fit, under the tokenizer that will cut it."""

from __future__ import annotations

import numpy as np
import pytest

from tiny import tiny_bert, tiny_llama
from tunescope.hub.source import Source
from tunescope.models.base import BaseModelSpec
from tunescope.preflight.data import Sample
from tunescope.preflight.truncation import check_truncation
from tunescope.tasks.data import Examples
from tunescope.tasks.spec import Classification

SHORT, LONG = "the cat sat", "the cat sat on the mat under the tree . " * 3


def _task(max_length):
    return Classification.model_validate(
        {"name": "small", "dataset": {"hub": "a/b"}, "labels": ["bad", "good"], "max_length": max_length}
    )


def _sample(num_long):
    texts = tuple([LONG] * num_long + [SHORT] * (20 - num_long))
    rows = Examples(ids=tuple(map(str, range(20))), texts={"text": texts}, targets=np.arange(20) % 2)
    return Sample(train=rows, selection=rows, report=rows)


@pytest.mark.parametrize("make", [tiny_llama, tiny_bert])
@pytest.mark.parametrize("num_long,max_length,status", [(0, 16, "ok"), (1, 16, "ok"), (2, 16, "note"), (2, 64, "ok")])
def test_the_share_of_cut_rows_is_told(tmp_path, make, num_long, max_length, status):
    make(tmp_path / "model")
    model, source = BaseModelSpec(name="./model"), Source(study_folder=tmp_path)
    (finding,) = check_truncation(_task(max_length), _sample(num_long), model, source)
    share = num_long / 20 if max_length == 16 else 0.0
    assert finding.status == status
    assert f"at max_length {max_length}, {share:.1%} of 20 train rows lose text" in finding.message
    assert ("Raise max_length" in finding.message) == (status == "note")
    assert finding.subject == "small under model"

"""A job of retention: both language models' losses on plain text, and the divergence between them."""

from __future__ import annotations

import json
import math

import pytest

from tunescope.drift import kept
from tunescope.errors import DataError, ModelError
from tunescope.methods import Full, HeadOnly, Lora
from tunescope.models.base import BaseModelSpec
from tunescope.steps import retention
from tunescope.study.configs import RetentionConfig
from tunescope.tasks.texts import TextSource

TEXT = "the cat sat on the mat .\n\nwhere is the dog ?\n\nthe bird flew under the tree . who ran ?\n"


def _run(desk, run, *, text=TEXT, window=16, max_tokens=1000):
    (desk.folder / "plain.txt").write_text(text, encoding="utf-8")
    config = RetentionConfig(
        base_model=BaseModelSpec(name="./base"),
        task=desk.task,
        texts=(TextSource(name="plain", file="plain.txt"),),
        window=window,
        max_tokens=max_tokens,
    )
    facts, out = desk.does(retention.run, config, run=run)
    return facts, json.loads((out / kept.RETENTION_NAME).read_text())


@pytest.mark.parametrize("method", [Full(), Lora(rank=2)], ids=("full", "lora"))
def test_a_moved_backbone_says_other_words(bench, method):
    desk = bench("llama")
    facts, kept = _run(desk, desk.tuned(method))
    found = kept["plain"]
    assert found["kl"] > 1e-6
    assert found["tuned_loss"] != found["base_loss"]
    assert found["base_perplexity"] == pytest.approx(math.exp(found["base_loss"]))
    assert found["num_texts"] == 3
    assert found["num_tokens"] == sum(found["tokens_by_text"])
    assert found["base_loss"] == pytest.approx(sum(found["base_nats_by_text"]) / found["num_tokens"])
    assert facts["retention"]["plain"] == {key: value for key, value in found.items() if not isinstance(value, list)}
    assert len(facts["text_fingerprints"]["plain"]) == 64


def test_a_head_alone_forgets_nothing(bench):
    desk = bench("llama")
    found = _run(desk, desk.tuned(HeadOnly()))[1]["plain"]
    assert found["tuned_loss"] == pytest.approx(found["base_loss"], abs=1e-9)
    assert found["kl"] == pytest.approx(0.0, abs=1e-9)


def test_windows_that_follow_enough_tokens_are_left_out(bench):
    desk = bench("llama")
    run = desk.tuned()
    assert _run(desk, run, max_tokens=8)[1]["plain"]["num_texts"] < 3
    whole = _run(desk, run)[1]["plain"]["num_tokens"]
    assert _run(desk, run, window=8)[1]["plain"]["num_tokens"] == whole, "each token is scored once"


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_text_file_without_a_word_is_told(bench, text):
    desk = bench("llama")
    with pytest.raises(DataError, match=r"plain\.txt is empty"):
        _run(desk, desk.tuned(), text=text)


def test_an_encoder_has_no_next_word(bench):
    desk = bench("bert")
    with pytest.raises(ModelError, match="retention"):
        _run(desk, desk.tuned())

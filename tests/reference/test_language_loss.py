"""The loss of a real language model on real text: Hugging Face's own, and the published table of the mirror's README.

The table's numbers were made with Hugging Face's loss (`labels=input_ids`) on texts cut at 512 tokens, when the model
was converted; its paragraphs are WikiText-2's test lines of more than 200 characters, stripped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tunescope.hub.source import Source
from tunescope.inference.language import LanguageScore, Window, compare_language, language_scores, text_windows
from tunescope.methods import Lora
from tunescope.models.base import BaseModelSpec
from tunescope.models.language_model import load_language_model, tuned_language_model
from tunescope.models.network import load_network
from tunescope.models.tokenizer import load_tokenizer
from tunescope.tasks.texts import TextSource, read_texts

pytestmark = pytest.mark.mirror

_STORIES = TextSource(name="stories", hub="roneneldan/TinyStories", split="train")
_WIKITEXT = TextSource(name="wikitext", hub="Salesforce/wikitext", config="wikitext-2-raw-v1")
_SPEC = BaseModelSpec(name="karpathy/stories260K")
_FP32 = {"precision": "fp32", "batch_tokens": 8192}


@pytest.fixture(scope="module")
def source(mirror: Path) -> Source:
    return Source(mirror=mirror)


@pytest.fixture(scope="module")
def folder(source: Source) -> Path:
    return source.model_folder(_SPEC.name)


@pytest.fixture(scope="module")
def tokenizer(folder: Path):
    return load_tokenizer(_SPEC, folder)


@pytest.fixture(scope="module")
def model(folder: Path):
    return load_language_model(_SPEC, folder, purpose="retention")


@pytest.fixture(scope="module")
def texts(source: Source) -> dict[str, list[str]]:
    stories = read_texts(_STORIES, source)
    assert len(stories) == 2316
    paragraphs = [text.strip() for text in read_texts(_WIKITEXT, source) if len(text.strip()) > 200]
    return {"400 stories": stories[:400], "100 stories": stories[:100], "100 paragraphs": paragraphs[:100]}


@pytest.fixture(scope="module")
def score_of(tokenizer, model, texts) -> Callable[[str], LanguageScore]:
    @cache
    def score(which: str) -> LanguageScore:
        return language_scores(model, _cut(text_windows(tokenizer, texts[which], window=512)), **_FP32)

    return score


@pytest.mark.parametrize(
    "which, num_tokens, loss, perplexity, bits_per_character",
    [
        pytest.param("400 stories", 161_208, "1.5130", "4.540", "1.106", marks=pytest.mark.slow),
        ("100 stories", 37_072, "1.4076", "4.086", "1.004"),
        ("100 paragraphs", 40_567, "4.9521", "141.5", "4.475"),
    ],
)
def test_the_mirrors_table(score_of, which, num_tokens, loss, perplexity, bits_per_character) -> None:
    found = score_of(which)
    assert found.num_tokens == num_tokens
    assert f"{found.loss:.4f}" == loss
    assert f"{found.perplexity:.{len(perplexity.partition('.')[2])}f}" == perplexity
    assert f"{found.bits_per_character:.3f}" == bits_per_character


def test_hugging_faces_own_loss_text_by_text(folder: Path, tokenizer, texts, score_of) -> None:
    """To 1e-6: Hugging Face takes means in float32, ours are sums in float64 over batches of other shapes."""
    stories = score_of("100 stories")
    plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    ours, theirs, count = 0.0, 0.0, 0
    for text, written in enumerate(texts["100 stories"][:24]):
        ids = torch.tensor([tokenizer(written)["input_ids"][:512]])
        with torch.no_grad():
            loss = float(plain(ids, labels=ids).loss)
        assert stories.nats[text] / stories.tokens[text] == pytest.approx(loss, abs=1e-6)
        ours, theirs, count = ours + stories.nats[text], theirs + loss * (ids.shape[1] - 1), count + ids.shape[1] - 1
    assert ours / count == pytest.approx(theirs / count, abs=1e-6)


def test_every_token_is_counted_once_where_texts_are_longer_than_the_window(tokenizer, model, texts) -> None:
    some = texts["100 stories"][:10]
    assert max(len(tokenizer(text)["input_ids"]) for text in some) > 256
    whole = sum(len(tokenizer(text)["input_ids"]) - 1 for text in some)
    found = {w: language_scores(model, text_windows(tokenizer, some, window=w), **_FP32) for w in (64, 128, 256)}
    assert {score.num_tokens for score in found.values()} == {whole}
    assert found[64].loss > found[128].loss > found[256].loss  # more context, better guesses
    assert found[256].characters.tolist() == [len(text) for text in some]


def test_an_untrained_adapter_forgets_nothing_and_a_trained_one_something(
    folder: Path, tokenizer, model, texts
) -> None:
    network = load_network(_SPEC, folder, task_kind="classification", num_labels=2, seed=0)
    adapted = Lora(rank=8).apply(network.model, "classification", seed=0)
    windows = text_windows(tokenizer, texts["100 stories"][:20], window=512)
    tuned = tuned_language_model(adapted, network, model)
    untrained = compare_language(model, tuned, windows, **_FP32)
    assert untrained.kl == 0.0
    assert untrained.tuned.loss == untrained.base.loss
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.02)
    moved = compare_language(model, tuned, windows, **_FP32)
    assert moved.base.loss == untrained.base.loss
    assert moved.kl > 0.01
    assert moved.tuned.loss > moved.base.loss
    assert math.isfinite(moved.tuned.perplexity)


def _cut(windows: tuple[Window, ...]) -> tuple[Window, ...]:
    """The first window of each text: the text cut at the window's tokens."""
    return tuple(window for window in windows if window.num_read_before == 1)

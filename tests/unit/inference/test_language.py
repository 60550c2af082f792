"""Loss and KL on plain text, against plain torch on one text at a time; windows by counting tokens."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from tiny import TEXTS, TINY
from tunescope.errors import DataError, ModelError, RunError
from tunescope.inference import language
from tunescope.inference.language import compare_language, language_scores, text_windows
from tunescope.models.base import BaseModelSpec
from tunescope.models.language_model import load_language_model
from tunescope.models.tokenizer import load_tokenizer

_LONG = " ".join(["the cat sat on the mat . a dog ran under the good tree ?"] * 5)
_FP32 = {"precision": "fp32", "batch_tokens": 64}


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def folder(request, tmp_path_factory):
    return TINY[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def tokenizer(folder):
    return load_tokenizer(BaseModelSpec(name=str(folder)), folder)


@pytest.fixture
def model(folder):
    return load_language_model(BaseModelSpec(name=str(folder)), folder)


@pytest.mark.parametrize("window", [2, 3, 8, 11, 64, 1000])
def test_windows_score_every_token_but_the_first_once_with_half_a_window_before_it(tokenizer, window):
    texts = [*TEXTS, "", "cat", _LONG]
    windows = text_windows(tokenizer, texts, window=window)
    for text, written in enumerate(texts):
        ids = tokenizer(written)["input_ids"]
        scored, place = [], 0
        for one in (one for one in windows if one.text == text):
            assert len(one.input_ids) <= window
            own = one.input_ids[one.num_read_before :]
            place = 1 + len(scored)
            before = ids[place - one.num_read_before : place]
            assert list(one.input_ids) == [*before, *own]
            assert one.num_read_before == (1 if place == 1 else window // 2)
            assert len(own) >= 1
            scored += own
        assert scored == ids[1:]
        unscored = 0 if tokenizer.bos_token_id is not None and ids[:1] == [1] else len(written.split(" ")[0])
        characters = sum(one.num_characters for one in windows if one.text == text)
        assert characters == len(written) - unscored or len(ids) < 2


def test_special_tokens_stand_for_no_character(tmp_path):
    tokenizer = load_tokenizer(BaseModelSpec(name="b"), TINY["bert"](tmp_path))
    (window,) = text_windows(tokenizer, ["the cat sat"], window=8)
    assert window.input_ids[0] == tokenizer.cls_token_id
    assert window.input_ids[-1] == tokenizer.sep_token_id
    assert window.num_characters == len("the cat sat")


def test_loss_is_that_of_hugging_face_for_each_text_whatever_the_batch(folder, tokenizer, model):
    texts = [*TEXTS, "cat ?", _LONG]
    plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    nats, tokens = [], []
    for text in texts:
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        tokens.append(ids.shape[1] - 1)
        with torch.no_grad():
            nats.append(float(plain(ids, labels=ids).loss) * tokens[-1])
    windows = text_windows(tokenizer, texts, window=128)
    shuffled = [windows[place] for place in (3, 0, 4, 2, 1)]
    for found in (
        language_scores(model, windows, **_FP32),
        language_scores(model, windows, precision="fp32", batch_tokens=1),
        language_scores(model, shuffled, precision="fp32", batch_tokens=100_000),
    ):
        np.testing.assert_allclose(found.nats, nats, rtol=2e-6)
        assert found.tokens.tolist() == tokens
        assert found.num_tokens == sum(tokens)
        assert found.loss == pytest.approx(sum(nats) / sum(tokens), rel=1e-6)
        assert found.perplexity == pytest.approx(math.exp(found.loss))
        assert found.bits_per_character == pytest.approx(found.nats.sum() / math.log(2) / found.characters.sum())


def test_long_texts_have_the_loss_of_hugging_faces_strided_windows(folder, tokenizer, model):
    """The loop of huggingface.co/docs/transformers/perplexity, with its labels of -100."""
    ids = torch.tensor([tokenizer(_LONG)["input_ids"]])
    window, stride, read, nats, count = 16, 8, 0, 0.0, 0
    for begin in range(0, ids.shape[1], stride):
        end = min(begin + window, ids.shape[1])
        own = ids[:, begin:end]
        targets = own.clone()
        targets[:, : -(end - read)] = -100
        with torch.no_grad():
            loss = model(own, labels=targets).loss
        scored = int((targets[:, 1:] != -100).sum())
        nats, count, read = nats + float(loss) * scored, count + scored, end
        if end == ids.shape[1]:
            break
    found = language_scores(model, text_windows(tokenizer, [_LONG], window=window), **_FP32)
    assert found.num_tokens == count == ids.shape[1] - 1
    assert found.loss == pytest.approx(nats / count, rel=1e-6)


def test_kl_is_the_sum_over_all_words_at_every_scored_token(folder, tokenizer, model, monkeypatch):
    other = _moved(folder, by=0.05)
    windows = text_windows(tokenizer, [*TEXTS, _LONG], window=32)
    expected = np.zeros(4)
    for one in windows:
        ids, scored = torch.tensor([one.input_ids]), slice(one.num_read_before - 1, len(one.input_ids) - 1)
        with torch.no_grad():
            base, tuned = (m(ids).logits[0, scored].double().softmax(dim=-1) for m in (model, other))
        expected[one.text] += float((base * (base / tuned).log()).sum())
    found = compare_language(model, other, windows, **_FP32)
    np.testing.assert_allclose(found.kl_nats, expected, rtol=1e-4)
    assert found.kl == pytest.approx(expected.sum() / found.base.num_tokens, rel=1e-4)
    assert (expected > 1e-4).all()
    for ours, alone in ((found.base, model), (found.tuned, other)):
        np.testing.assert_allclose(ours.nats, language_scores(alone, windows, **_FP32).nats, rtol=1e-12)
    monkeypatch.setattr(language, "_PROBABILITIES_AT_ONCE", 40)  # a token or two at once
    np.testing.assert_allclose(compare_language(model, other, windows, **_FP32).kl_nats, found.kl_nats, rtol=1e-12)


def test_a_model_is_no_distance_from_itself_and_a_small_step_is_a_small_one(folder, tokenizer, model):
    windows = text_windows(tokenizer, [*TEXTS, _LONG], window=32)
    same = compare_language(model, load_language_model(BaseModelSpec(name="x"), folder), windows, **_FP32)
    assert same.kl == 0.0
    assert same.base.loss == same.tuned.loss
    near, far = (compare_language(model, _moved(folder, by=by), windows, **_FP32).kl for by in (1e-4, 1e-3))
    assert far / near == pytest.approx(100.0, rel=0.1)  # KL is of second order in a small step


def test_a_word_that_cannot_come_adds_nothing_and_one_that_only_the_tuned_model_excludes_is_told(tokenizer, model):
    windows = text_windows(tokenizer, TEXTS, window=32)
    excludes = _Excludes(model, word=tokenizer.convert_tokens_to_ids("bad"))
    assert compare_language(excludes, excludes, windows, **_FP32).kl == 0.0
    assert compare_language(excludes, model, windows, **_FP32).kl > 0.0
    with pytest.raises(RunError, match=r"the KL from base to tuned language model on text 1 is not finite"):
        compare_language(model, excludes, windows, **_FP32)


def test_bf16_is_near_fp32_and_the_mode_is_left_as_it_was(tokenizer, model):
    windows = text_windows(tokenizer, [*TEXTS, _LONG], window=64)
    model.train()
    fine, coarse = (language_scores(model, windows, precision=p, batch_tokens=64) for p in ("fp32", "bf16"))
    assert model.training
    assert fine.loss != coarse.loss
    assert coarse.loss == pytest.approx(fine.loss, abs=0.05)


def test_what_cannot_be_scored_is_told(folder, tokenizer, model):
    with pytest.raises(DataError, match=r"none of the 1 texts has two tokens under this tokenizer"):
        text_windows(tokenizer, [""], window=8)
    for texts, window in (([], 8), (["the cat"], 1)):
        with pytest.raises(ValueError, match="needs one text or more and a window of 2 or more"):
            text_windows(tokenizer, texts, window=window)
    with pytest.raises(
        ModelError, match=r"a window of 200 tokens does not fit into the model's 128 positions. Lower `wi"
    ):
        language_scores(model, text_windows(tokenizer, [" ".join([_LONG] * 4)], window=200), **_FP32)
    windows = text_windows(tokenizer, TEXTS, window=8)
    broken = _moved(folder, by=0.1)
    with torch.no_grad():
        broken.lm_head.weight.fill_(torch.nan)
    with pytest.raises(RunError, match=r"the language model's loss on text 1 is not finite; its weights are broken"):
        language_scores(broken, windows, **_FP32)
    with pytest.raises(RunError, match=r"the tuned language model's loss on text 1 is not finite"):
        compare_language(model, broken, windows, **_FP32)


def test_models_of_other_vocabularies_are_refused(tmp_path, tokenizer, model):
    larger = TINY["gpt2"](tmp_path, vocab_size=50)
    other = load_language_model(BaseModelSpec(name="x"), larger)
    with pytest.raises(ModelError, match=r"the language models have \d\d and 50 words to choose from"):
        compare_language(model, other, text_windows(tokenizer, TEXTS, window=8), **_FP32)


class _Excludes(torch.nn.Module):
    """A language model that never says one word."""

    def __init__(self, model, word: int) -> None:
        super().__init__()
        self.model, self.config, self.word = model, model.config, word

    def forward(self, **inputs):
        output = self.model(**inputs)
        output.logits = output.logits.index_fill(-1, torch.tensor([self.word]), -torch.inf)
        return output


def _moved(folder, *, by: float):
    """The folder's language model, every weight moved in one fixed direction."""
    model = load_language_model(BaseModelSpec(name=str(folder)), folder)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        for weight in model.parameters():
            weight.add_(by * torch.randn_like(weight))
    return model

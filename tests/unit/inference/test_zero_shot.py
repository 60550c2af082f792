"""Label words' log-likelihoods, against a computation token by token without batches, padding or our prompts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BertConfig, BertForMaskedLM

from tiny import TINY
from tunescope.errors import DataError, ModelError, RunError
from tunescope.inference.zero_shot import label_word_ids, zero_shot
from tunescope.models.base import BaseModelSpec
from tunescope.models.language_model import load_language_model
from tunescope.models.tokenizer import load_tokenizer
from tunescope.tasks.encode import encode
from tunescope.tasks.examples import Examples
from tunescope.tasks.spec import Classification, Dataset

_TEXTS = ("the cat sat", "a dog ran under the good tree .", "bird", "who flew on the mat ?")
_DATASET = Dataset(files={"train": "t.csv", "validation": "v.csv"})
_EXAMPLES = Examples(ids=("a", "b", "c", "d"), texts={"text": _TEXTS}, targets=np.array([0, 1, 0, 1]))


def _task(words=(" bad", " good", " not good"), labels=("x", "y", "z"), prompt="{text} was ?"):
    return Classification(name="t", dataset=_DATASET, labels=labels, label_words=words, prompt=prompt, max_length=32)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_each_word_is_scored_as_a_language_model_would_token_by_token(tmp_path, name):
    folder = TINY[name](tmp_path)
    spec = BaseModelSpec(name=str(folder))
    task = _task()
    tokenizer = load_tokenizer(spec, folder)
    encoded = encode(task, _EXAMPLES, tokenizer, is_decoder=True)
    model = load_language_model(spec, folder)
    found = [
        zero_shot(model, tokenizer, task, _EXAMPLES, encoded, precision="fp32", batch_tokens=tokens).logits
        for tokens in (1, 40, 10_000)
    ]
    plain, plain_tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    expected = np.zeros((4, 3))
    for row, text in enumerate(_TEXTS):
        for label, word in enumerate(["bad", "good", "not good"]):
            ids = plain_tokenizer(f"{text} was ?")["input_ids"]
            for token in plain_tokenizer(word, add_special_tokens=False)["input_ids"]:
                with torch.no_grad():
                    logits = plain(torch.tensor([ids])).logits[0, -1].double()
                expected[row, label] += float(logits[token] - torch.logsumexp(logits, dim=0))
                ids = [*ids, token]
    for logits in found:
        np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert (expected[:, 2] < 0.0).all()


def test_a_word_must_have_tokens_of_its_own_after_the_prompt(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(TINY["llama"](tmp_path))
    assert label_word_ids(_task(), tokenizer) == [
        tokenizer(word, add_special_tokens=False)["input_ids"] for word in ("bad", "good", "not good")
    ]
    melted = _task(words=("bad", "good"), labels=("x", "y"), prompt="{text} was")
    with pytest.raises(DataError, match="task t: label word 'bad' melts into the prompt's last word 'was'"):
        label_word_ids(melted, tokenizer)
    with pytest.raises(DataError, match="two label words have the same tokens under this tokenizer"):
        label_word_ids(_task(words=(" maybe", " perhaps"), labels=("x", "y")), tokenizer)
    with pytest.raises(DataError, match="task t: zero_shot needs label_words, one word per label"):
        label_word_ids(_task(words=None), tokenizer)


def test_a_word_that_does_not_fit_behind_the_prompt_is_told(tmp_path):
    folder = TINY["gpt2"](tmp_path, n_positions=9)
    spec, task = BaseModelSpec(name=str(folder)), _task()
    tokenizer, model = load_tokenizer(spec, folder), load_language_model(spec, folder)
    encoded = encode(task, _EXAMPLES, tokenizer, is_decoder=True)
    with pytest.raises(DataError, match=r"a prompt of 10 tokens and a label word of 2 do not .* Lower max_length to 7"):
        zero_shot(model, tokenizer, task, _EXAMPLES, encoded, precision="fp32", batch_tokens=99)


def test_broken_weights_give_no_label(tmp_path):
    folder = TINY["gpt2"](tmp_path)
    spec, task = BaseModelSpec(name=str(folder)), _task()
    tokenizer, model = load_tokenizer(spec, folder), load_language_model(spec, folder)
    encoded = encode(task, _EXAMPLES, tokenizer, is_decoder=True)
    with torch.no_grad():
        model.lm_head.weight.fill_(torch.nan)
    with pytest.raises(RunError, match="output for example a is not finite; its weights are broken"):
        zero_shot(model, tokenizer, task, _EXAMPLES, encoded, precision="fp32", batch_tokens=99)


def test_a_masked_language_model_is_no_language_model(tmp_path):
    folder = TINY["bert"](tmp_path)
    model = BertForMaskedLM(BertConfig.from_pretrained(folder))
    model.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"is an encoder \(BertLMHeadModel\).*Take zero_shot out of `baselines`"):
        load_language_model(BaseModelSpec(name="org/bert"), folder)

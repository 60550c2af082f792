"""The state that heads read: behind the final norm where there is one, else the last block's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tiny import TINY, WORDS, tiny_network
from tunescope.errors import RunError
from tunescope.representations.last_state import last_state
from tunescope.tasks.encode import encode
from tunescope.tasks.examples import Examples
from tunescope.tasks.spec import Classification, Dataset

_TASK = Classification(
    name="t", dataset=Dataset(files={"train": "t.csv", "validation": "v.csv"}), labels=("a", "b"), max_length=40
)


def _encoded(network, size=7):
    texts = tuple(" ".join(WORDS[row : 3 * row + 1]) for row in range(size))
    examples = Examples(ids=tuple("abcdefg"), texts={"text": texts}, targets=np.arange(size) % 2)
    return encode(_TASK, examples, network.tokenizer, is_decoder=network.is_decoder)


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("how, place", [("last_token", -1), ("first_token", 0)])
def test_it_is_what_the_backbone_gives_its_head(tmp_path, name, how, place):
    network = tiny_network(TINY[name](tmp_path))
    encoded = _encoded(network)
    state, kept = last_state(network.model, network, encoded, how=how, batch_tokens=50)
    assert state == ("final_norm" if network.is_decoder else "block_02")
    assert (kept.shape, kept.dtype) == ((7, 32), np.float32)
    for row, ids in enumerate(encoded.input_ids):
        types = {} if encoded.token_types is None else {"token_type_ids": torch.tensor([encoded.token_types[row]])}
        with torch.no_grad():
            plain = network.model(input_ids=torch.tensor([ids]), **types, output_hidden_states=True).hidden_states
        np.testing.assert_allclose(kept[row], plain[-1][0, place].numpy(), atol=1e-5, rtol=0)


def test_of_a_decoder_the_last_token_is_what_its_classifier_reads(tmp_path):
    network = tiny_network(TINY["llama"](tmp_path))
    encoded = _encoded(network)
    _, kept = last_state(network.model, network, encoded, how="last_token", batch_tokens=9999)
    head = network.model.score.weight.detach().numpy()
    for row, ids in enumerate(encoded.input_ids):
        with torch.no_grad():
            logits = network.model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids))).logits[0]
        np.testing.assert_allclose(head @ kept[row], logits.numpy(), atol=1e-5, rtol=0)


def test_a_broken_state_names_the_example(tmp_path):
    network = tiny_network(TINY["llama"](tmp_path))
    with torch.no_grad():
        network.model.model.norm.weight.fill_(torch.nan)
    with pytest.raises(RunError, match=r"hidden state final_norm \(mean\) of the model is not finite for example g"):
        last_state(network.model, network, _encoded(network), how="mean", batch_tokens=9999, ids=tuple("abcdefg"))

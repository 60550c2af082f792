"""Kept states: every state by every pooling, rows in the examples' order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tiny import TINY, WORDS, tiny_network
from tunescope.errors import RunError
from tunescope.representations.extract import extract
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
def test_every_state_and_pooling_is_kept_in_the_examples_order(tmp_path, name):
    network = tiny_network(TINY[name](tmp_path))
    encoded = _encoded(network)
    kept = extract(network.model, network, encoded, how=("last_token", "mean"), batch_tokens=50)
    states = ["embeddings", "block_01", "block_02", *(["final_norm"] if network.is_decoder else [])]
    assert list(kept) == [f"{state}/{how}" for state in states for how in ("last_token", "mean")]
    assert all(rows.shape == (7, 32) and rows.dtype == np.float32 for rows in kept.values())
    for place, ids in enumerate(encoded.input_ids):
        types = {} if encoded.token_types is None else {"token_type_ids": torch.tensor([encoded.token_types[place]])}
        with torch.no_grad():
            plain = network.model(input_ids=torch.tensor([ids]), **types, output_hidden_states=True).hidden_states
        first = plain[1][0].numpy()
        np.testing.assert_allclose(kept["block_01/last_token"][place], first[-1], atol=1e-5, rtol=0)
        np.testing.assert_allclose(kept["block_01/mean"][place], first.mean(axis=0), atol=1e-5, rtol=0)
        np.testing.assert_allclose(kept[f"{states[-1]}/last_token"][place], plain[-1][0, -1].numpy(), atol=1e-5, rtol=0)


def test_a_broken_state_names_the_example(tmp_path):
    network = tiny_network(TINY["llama"](tmp_path))
    with torch.no_grad():
        network.model.model.layers[0].mlp.down_proj.weight.fill_(torch.inf)
    with pytest.raises(RunError, match=r"hidden state block_01 \(mean\) of the model is not finite for example g"):
        extract(network.model, network, _encoded(network), how=("mean",), batch_tokens=9999, ids=tuple("abcdefg"))

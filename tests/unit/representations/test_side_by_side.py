"""Models are read over the same batches; batch size, order and company change nothing; broken states name their example."""

from __future__ import annotations

import dataclasses

import numpy as np
import peft
import pytest
import torch

from tiny import TINY, WORDS, tiny_llama, tiny_network
from tunescope.errors import DataError, RunError
from tunescope.representations.side_by_side import paired_states, require_same_examples
from tunescope.representations.states import find_states
from tunescope.tasks.encode import encode
from tunescope.tasks.examples import Answers, Examples
from tunescope.tasks.spec import Classification, Dataset, QuestionAnswering

_DATASET = Dataset(files={"train": "t.csv", "validation": "v.csv"})
_TASK = Classification(name="t", dataset=_DATASET, labels=("a", "b"), max_length=40)
_QA = QuestionAnswering(name="q", dataset=_DATASET, max_length=28, max_question_tokens=4, stride=4, max_answer_tokens=3)
_READS = ("last_token", "mean", "first_token", "all_tokens")
_SIZE = 11


def _examples(size=_SIZE):
    draw = np.random.default_rng(0)
    texts = tuple(" ".join(draw.choice(WORDS[:12], size=2 + 7 * (row % 5))) for row in range(size))
    return Examples(ids=tuple(f"v-{row}" for row in range(size)), texts={"text": texts}, targets=np.arange(size) % 2)


def _encoded(network, examples):
    return encode(_TASK, examples, network.tokenizer, is_decoder=network.is_decoder)


def _tuned(folder, seed=3):
    network = tiny_network(folder)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = peft.LoraConfig(task_type="SEQ_CLS", r=2, init_lora_weights=False)
        return peft.get_peft_model(network.model, config)


def _gathered(batches, size=_SIZE):
    """Per model: (state, read) -> one vector or list of token vectors per example; each example seen once."""
    found, seen = None, []
    for batch in batches:
        seen += batch.places.tolist()
        found = found or [{key: [None] * size for key in states} for states in batch.states]
        for own, states in zip(found, batch.states, strict=True):
            for key, values in states.items():
                assert len(values) == len(batch.places)
                for place, value in zip(batch.places.tolist(), values, strict=True):
                    own[key][place] = value
    assert sorted(seen) == list(range(size))
    return found


def _same(one, other, order=None):
    order = range(_SIZE) if order is None else order
    for key, values in one.items():
        for place, value in zip(order, other[key], strict=True):
            np.testing.assert_allclose(value, values[place], atol=1e-5, rtol=0, err_msg=str(key))


@pytest.mark.parametrize("name", TINY)
def test_batch_size_and_order_change_nothing(tmp_path, name):
    network = tiny_network(TINY[name](tmp_path))
    models = (network.model, _tuned(tmp_path))
    examples = _examples()
    encoded = _encoded(network, examples)

    def read(rows, batch_tokens):
        return _gathered(paired_states(models, network, rows, reads=_READS, batch_tokens=batch_tokens))

    one_by_one = read(encoded, 1)
    names = find_states(network.model)
    assert list(one_by_one[0]) == [(state, how) for state in names for how in _READS]
    for batch_tokens in (70, 100_000):
        for own, other in zip(one_by_one, read(encoded, batch_tokens), strict=True):
            _same(own, other)
    order = np.random.default_rng(1).permutation(_SIZE)
    for own, turned in zip(one_by_one, read(_encoded(network, examples.take(order)), 70), strict=True):
        _same(own, turned, order)


def test_values_are_those_of_a_plain_forward_pass(tmp_path):
    """Each text alone, unpadded, through Hugging Face's own `hidden_states`."""
    network = tiny_network(tiny_llama(tmp_path))
    tuned = _tuned(tmp_path).eval()
    encoded = _encoded(network, _examples())
    base_states, tuned_states = _gathered(
        paired_states((network.model, tuned), network, encoded, reads=_READS, batch_tokens=200)
    )
    for model, own in ((network.model, base_states), (tuned, tuned_states)):
        for place, ids in enumerate(encoded.input_ids):
            with torch.no_grad():
                plain = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
            expected = dict(zip(("embeddings", "block_01", "final_norm"), plain, strict=True))
            for state, hidden in expected.items():
                tokens = hidden[0].numpy()
                assert own[state, "all_tokens"][place].shape == (len(ids), 32)
                np.testing.assert_allclose(own[state, "all_tokens"][place], tokens, atol=1e-5, rtol=0)
                np.testing.assert_allclose(own[state, "last_token"][place], tokens[-1], atol=1e-5, rtol=0)
                np.testing.assert_allclose(own[state, "first_token"][place], tokens[0], atol=1e-5, rtol=0)
                np.testing.assert_allclose(own[state, "mean"][place], tokens.mean(axis=0), atol=1e-5, rtol=0)
    drift = np.abs(np.array(base_states["block_02", "mean"]) - np.array(tuned_states["block_02", "mean"]))
    assert drift.max() > 1e-2
    assert own["final_norm", "mean"][0].dtype == np.float32


def test_a_model_beside_itself_and_an_untrained_adapter_have_not_moved(tmp_path):
    network = tiny_network(tiny_llama(tmp_path))
    untrained = peft.get_peft_model(tiny_network(tmp_path).model, peft.LoraConfig(task_type="SEQ_CLS", r=2))
    models = (network.model, network.model, untrained)
    base, again, with_adapter = _gathered(
        paired_states(models, network, _encoded(network, _examples()), reads=("mean",), batch_tokens=70)
    )
    for key, values in base.items():
        assert np.array_equal(values, again[key])
        assert np.array_equal(values, with_adapter[key])


def test_models_of_another_depth_and_width_are_read_beside_it(tmp_path):
    network = tiny_network(tiny_llama(tmp_path / "a"))
    deeper = tiny_network(tiny_llama(tmp_path / "b", num_hidden_layers=3, hidden_size=16))
    encoded = _encoded(network, _examples())
    (batch,) = paired_states((network.model, deeper.model), network, encoded, reads=("mean",), batch_tokens=100_000)
    assert [len(states) for states in batch.states] == [4, 5]
    assert batch.states[1]["block_03", "mean"].shape == (_SIZE, 16)


def test_a_question_is_its_first_window(tmp_path):
    network = tiny_network(tiny_llama(tmp_path), task_kind="question_answering", num_labels=1)
    contexts = tuple(" ".join(["cat dog bird"] * length) for length in (2, 12, 3))
    examples = Examples(
        ids=("a", "b", "c"),
        texts={"question": ("who sat ?",) * 3, "context": contexts},
        targets=(Answers(texts=("cat",), starts=(0,)),) * 3,
    )
    encoded = encode(_QA, examples, network.tokenizer, is_decoder=network.is_decoder)
    assert len(encoded) > 3
    (states,) = _gathered(
        paired_states((network.model,), network, encoded, reads=("all_tokens",), batch_tokens=60), size=3
    )
    first = [list(encoded.example_index).index(example) for example in range(3)]
    assert [len(tokens) for tokens in states["block_01", "all_tokens"]] == [
        len(encoded.input_ids[row]) for row in first
    ]


def test_bf16_computes_in_bf16_and_gives_fp32(tmp_path):
    network = tiny_network(tiny_llama(tmp_path))
    encoded = _encoded(network, _examples())
    exact, rounded = (
        next(paired_states((network.model,), network, encoded, reads=("mean",), batch_tokens=9999, precision=precision))
        for precision in ("fp32", "bf16")
    )
    difference = np.abs(exact.states[0]["block_02", "mean"] - rounded.states[0]["block_02", "mean"]).max()
    assert rounded.states[0]["block_02", "mean"].dtype == np.float32
    assert 1e-6 < difference < 0.2


def test_models_are_left_as_they_were(tmp_path):
    network = tiny_network(tiny_llama(tmp_path))
    tuned = _tuned(tmp_path).train()
    batches = paired_states(
        (network.model, tuned), network, _encoded(network, _examples()), reads=("mean",), batch_tokens=70
    )
    next(batches)
    assert not tuned.training
    batches.close()
    assert tuned.training
    assert not network.model.training


@pytest.mark.parametrize("how", _READS)
@pytest.mark.parametrize("ids,named", [(None, "example 6"), (tuple(f"v-{row}" for row in range(_SIZE)), "example v-6")])
def test_a_broken_state_names_model_layer_and_example(tmp_path, how, ids, named):
    """Example 6 is one token that no other has, and the second model's block 2 gives infinities for it."""
    network, broken = tiny_network(tiny_llama(tmp_path)), tiny_network(tmp_path)
    examples = _examples()
    texts = [text.replace("tree", "cat") for text in examples.texts["text"]]
    texts[6] = "tree"
    encoded = _encoded(network, dataclasses.replace(examples, texts={"text": tuple(texts)}))
    bad = network.tokenizer.convert_tokens_to_ids("tree")
    rows = [[token for token in row if place != 6 or token == bad] for place, row in enumerate(encoded.input_ids)]
    encoded = dataclasses.replace(encoded, input_ids=rows)
    seen = {}
    decoder = broken.model.model
    decoder.embed_tokens.register_forward_hook(lambda _, args, __: seen.update(ids=args[0]))
    decoder.layers[1].register_forward_hook(
        lambda _, __, hidden: hidden.masked_fill((seen["ids"] == bad)[:, :, None], torch.inf)
    )
    with pytest.raises(RunError) as caught:
        list(
            paired_states((network.model, broken.model), network, encoded, reads=(how,), batch_tokens=100_000, ids=ids)
        )
    assert str(caught.value).startswith(f"hidden state block_02 ({how}) of model 2 of 2 is not finite for {named};")


def test_a_base_that_an_adapter_was_put_in_is_no_base(tmp_path):
    network = tiny_network(tiny_llama(tmp_path))
    encoded = _encoded(network, _examples())
    tuned = peft.get_peft_model(network.model, peft.LoraConfig(task_type="SEQ_CLS", r=2))
    with pytest.raises(ValueError, match="two models share one backbone"):
        paired_states((network.model, tuned), network, encoded, reads=("mean",), batch_tokens=70)


@pytest.mark.parametrize(
    "changed,told", [({"reads": ()}, "one read or more"), ({"ids": ("a",)}, "got 1 ids for 11 examples")]
)
def test_impossible_arguments_are_refused_at_once(tmp_path, changed, told):
    network = tiny_network(tiny_llama(tmp_path))
    arguments = {"reads": ("mean",), "batch_tokens": 70} | changed
    with pytest.raises(ValueError, match=told):
        paired_states((network.model,), network, _encoded(network, _examples()), **arguments)
    with pytest.raises(ValueError, match="one model"):
        paired_states((), network, _encoded(network, _examples()), reads=("mean",), batch_tokens=70)


def test_other_examples_or_tokens_are_no_pairs(tmp_path):
    network = tiny_network(tiny_llama(tmp_path))
    examples = _examples()
    encoded = _encoded(network, examples)

    def check(other, other_encoded):
        require_same_examples(encoded, other_encoded, base_ids=examples.ids, tuned_ids=other.ids, where="drift")

    check(examples, encoded)
    fewer = examples.take(np.arange(_SIZE - 1))
    with pytest.raises(DataError, match="same examples in the same order, got 11 and 10 examples"):
        check(fewer, _encoded(network, fewer))
    turned = examples.take(np.arange(_SIZE)[::-1])
    with pytest.raises(DataError, match="got 'v-0' and 'v-10'"):
        check(turned, _encoded(network, turned))
    ids = [list(row) for row in encoded.input_ids]
    ids[4][-1] += 1
    with pytest.raises(DataError, match="drift: example v-4 is other tokens to the tuned model"):
        check(examples, dataclasses.replace(encoded, input_ids=ids))
    with pytest.raises(DataError, match="11 rows of tokens to the base model and 12 to the tuned one"):
        check(examples, dataclasses.replace(encoded, input_ids=[*encoded.input_ids, [1]]))

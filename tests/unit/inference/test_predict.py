"""One prediction per example in the examples' order, whatever the batches; nothing is left changed in the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tiny import TINY, tiny_network
from tunescope.errors import NotFiniteError, StopRequested
from tunescope.inference.batches import evaluation_batches
from tunescope.inference.out_of_memory import TokensAtOnce
from tunescope.inference.predict import predict
from tunescope.tasks.encode import encode
from tunescope.tasks.examples import Answers, Examples
from tunescope.tasks.spec import Classification, Dataset, QuestionAnswering, Regression

_DATASET = Dataset(files={"train": "t.csv", "validation": "v.csv"})
_TASKS = {
    "classification": Classification(name="t", dataset=_DATASET, labels=("a", "b", "c"), max_length=16),
    "regression": Regression(name="t", dataset=_DATASET, max_length=16),
    "question_answering": QuestionAnswering(
        name="t", dataset=_DATASET, max_length=28, max_question_tokens=4, stride=4, max_answer_tokens=3
    ),
}
_WORDS = ["the", "a", "cat", "dog", "bird", "sat", "ran", "flew", "on", "under", "mat", "tree"]


def _examples(kind, size=9):
    draw = np.random.default_rng(0)
    texts = tuple(" ".join(draw.choice(_WORDS, size=2 + 5 * (row % 4))) for row in range(size))
    ids = tuple(f"v-{row}" for row in range(size))
    if kind == "question_answering":
        longer = tuple(f"{text} {text} {text}" for text in texts)  # some need several windows
        answers = tuple(Answers(texts=(text.split()[0],), starts=(0,)) for text in longer)
        return Examples(ids=ids, texts={"question": ("who sat ?",) * size, "context": longer}, targets=answers)
    numbers = np.arange(size) % 3
    return Examples(ids=ids, texts={"text": texts}, targets=numbers if kind == "classification" else numbers * 0.5)


def _predict(network, kind, examples, batch_tokens, precision="fp32", **more):
    encoded = encode(_TASKS[kind], examples, network.tokenizer, is_decoder=network.is_decoder)
    assert kind != "question_answering" or len(encoded) > len(examples)
    return predict(
        network.model, network, _TASKS[kind], examples, encoded, precision=precision, batch_tokens=batch_tokens, **more
    )


def _values(predictions):
    if predictions.spans is not None:
        return np.array(
            [[span.start_char, span.end_char, span.span_score, span.null_score] for span in predictions.spans]
        )
    return predictions.logits if predictions.logits is not None else predictions.numbers


@pytest.mark.parametrize("kind", _TASKS)
@pytest.mark.parametrize("name", ["llama", "bert"])
def test_predictions_do_not_depend_on_batch_size_or_order(tmp_path, name, kind):
    """fp32: padding and batch shape change the order of sums, so logits of size 1 agree to 1e-5."""
    network = tiny_network(TINY[name](tmp_path), task_kind=kind, num_labels=3 if kind == "classification" else 1)
    examples = _examples(kind)
    one_by_one = _predict(network, kind, examples, batch_tokens=1)
    assert one_by_one.ids == examples.ids
    for batch_tokens in (40, 10_000):
        np.testing.assert_allclose(
            _values(_predict(network, kind, examples, batch_tokens)), _values(one_by_one), atol=1e-5
        )
    order = np.random.default_rng(1).permutation(len(examples))
    turned = _predict(network, kind, examples.take(order), batch_tokens=40)
    assert turned.ids == tuple(examples.ids[place] for place in order)
    np.testing.assert_allclose(_values(turned), _values(one_by_one)[order], atol=1e-5)


def test_bf16_computes_in_bf16_and_returns_fp32(tmp_path):
    network = tiny_network(TINY["llama"](tmp_path), num_labels=3)
    examples = _examples("classification")
    exact = _predict(network, "classification", examples, 100).logits
    rounded = _predict(network, "classification", examples, 100, precision="bf16").logits
    assert rounded.dtype == np.float32
    difference = np.abs(exact - rounded).max()
    assert 0.0 < difference < 0.1


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_in_the_mode_it_was_in(tmp_path, training):
    network = tiny_network(TINY["llama"](tmp_path), num_labels=3)
    network.model.train(training)
    _predict(network, "classification", _examples("classification"), 100)
    assert network.model.training is training
    assert all(parameter.grad is None for parameter in network.model.parameters())


def test_broken_weights_name_the_example(tmp_path):
    network = tiny_network(TINY["llama"](tmp_path), num_labels=3)
    with torch.no_grad():
        network.model.score.weight[0, 0] = float("nan")
    with pytest.raises(
        NotFiniteError, match=r"the network's output for example v-\d is not finite; its weights are broken"
    ):
        _predict(network, "classification", _examples("classification"), 100)


def test_batches_hold_every_row_once_within_the_limit():
    lengths = np.array([3, 50, 7, 7, 1, 20])
    batches = list(evaluation_batches(lengths, 21))
    assert sorted(np.concatenate(batches).tolist()) == list(range(6))
    assert batches[0].tolist() == [1]  # longer than the limit: alone
    assert all(len(rows) * lengths[rows].max() <= 21 for rows in batches[1:])


def test_out_of_memory_is_gone_around(tmp_path):
    network = tiny_network(TINY["llama"](tmp_path), num_labels=3)
    examples = _examples("classification")

    def tight(module, args, kwargs):
        if kwargs["input_ids"].numel() > 40:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    straight = _values(_predict(network, "classification", examples, 40))
    at_once = TokensAtOnce(1000)
    hook = network.model.register_forward_pre_hook(tight, with_kwargs=True)
    found = _values(_predict(network, "classification", examples, at_once))
    hook.remove()
    np.testing.assert_allclose(found, straight, atol=1e-5)
    assert (at_once.asked, at_once.used) == (1000, 31)


def test_a_stop_between_batches_leaves_the_model_as_it_was(tmp_path):
    network = tiny_network(TINY["llama"](tmp_path), num_labels=3)
    network.model.train()
    asked = iter([False, False, True])
    with pytest.raises(StopRequested):
        _predict(network, "classification", _examples("classification"), 40, should_stop=lambda: next(asked))
    assert network.model.training
    assert next(asked, None) is None

"""Two steps: exactly what trains has changed, and an adapter that learns nothing is seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tiny import TINY
from tunescope.errors import ModelError, RunError
from tunescope.hub.source import Source
from tunescope.methods import AnyPeft, Full, HeadOnly, Lora
from tunescope.models.base import BaseModelSpec
from tunescope.preflight.trial import Trial, longest_rows, take_steps, trial_settings
from tunescope.study.configs import TrainConfig
from tunescope.study.settings import TrainingSettings
from tunescope.study.spec import Compute
from tunescope.tasks.data import Answers, Examples
from tunescope.tasks.spec import Classification, QuestionAnswering

METHODS = {
    "full": Full(),
    "lora": Lora(rank=2),
    "dora": Lora(rank=2, use_dora=True),
    "head_only": HeadOnly(),
    "ia3": AnyPeft(config_class="IA3Config"),
    "vera": AnyPeft(config_class="VeraConfig", config={"r": 4}),
}
TEXTS = tuple(f"the {one} sat on the {other} ." for one in ("cat", "dog", "bird") for other in ("mat", "tree", "cat"))
PAIRS = Classification.model_validate(
    {"name": "pairs", "dataset": {"hub": "a/b"}, "labels": ["bad", "good"], "max_length": 32}
)
WHERE = QuestionAnswering.model_validate(
    {"name": "where", "dataset": {"hub": "a/b"}, "max_length": 48, "stride": 8, "max_question_tokens": 8}
)
IDS = tuple(map(str, range(len(TEXTS))))
CLASSIFIED = Examples(ids=IDS, texts={"text": TEXTS}, targets=np.arange(len(TEXTS)) % 2)
ASKED = Examples(
    ids=IDS,
    texts={"question": ("who sat ?",) * len(TEXTS), "context": TEXTS},
    targets=tuple(Answers(texts=("the",), starts=(0,)) if row % 2 else Answers() for row in range(len(TEXTS))),
)


def _trial(folder, method, task=PAIRS, **compute):
    rows = ASKED if task is WHERE else CLASSIFIED
    config = TrainConfig(
        base_model=BaseModelSpec(name="./model"),
        task=task,
        method_kind=method.kind,
        method=method,
        training=TrainingSettings(learning_rate=1e-3, batch_size=4),
        seed=3,
    )
    return Trial(
        config=config,
        compute=Compute(device="cpu", num_threads=1, **compute),
        source=Source(study_folder=folder),
        device="cpu",
        num_threads=1,
        train=rows,
        selection=rows,
    )


@pytest.mark.parametrize("task", [PAIRS, WHERE], ids=["pairs", "where"])
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("name", TINY)
def test_exactly_what_trains_has_changed(tmp_path, name, method, task):
    TINY[name](tmp_path / "model")
    result = take_steps(_trial(tmp_path, method, task))
    assert result.unmoved == ()
    assert result.moved_though_frozen == ()
    assert set(result.head) <= set(result.trained)
    assert (len(result.trained) == len(result.head)) == (method.kind == "head_only")
    assert (result.num_frozen == 0) == (method.kind == "full")
    assert len(result.losses) == 2
    assert result.parameters.trainable > 0
    assert result.device_peak_gib is None


def test_the_longest_rows_are_taken_and_no_more_than_two_portions(tmp_path):
    TINY["llama"](tmp_path / "model")
    longest = max(len(text.split()) for text in TEXTS) + 1
    result = take_steps(_trial(tmp_path, Full(), micro_batch_tokens=longest, evaluation_batch_tokens=3 * longest))
    assert (result.train.num, result.train.longest) == (2, longest)
    assert result.evaluation.num == 3


def test_gradient_checkpointing_leaves_no_tensor_behind(tmp_path):
    TINY["llama"](tmp_path / "model")
    result = take_steps(_trial(tmp_path, Lora(rank=2), gradient_checkpointing=True))
    assert result.unmoved == ()


class _DeafLora(Lora):
    """An adapter whose second layer is cut out of the graph."""

    def apply(self, model, task_kind, seed):
        adapted = super().apply(model, task_kind, seed)
        for name, module in adapted.named_modules():
            if name.endswith("layers.1.self_attn.q_proj"):
                module.scaling["default"] = 0.0
        return adapted


class _DeadLora(Lora):
    """An adapter that no gradient reaches at all."""

    def apply(self, model, task_kind, seed):
        adapted = super().apply(model, task_kind, seed)
        for module in adapted.modules():
            if hasattr(module, "lora_A"):
                module.scaling["default"] = 0.0
        return adapted


class _LeakyHead(HeadOnly):
    """Says that it trains the head alone, and moves an embedding."""

    def apply(self, model, task_kind, seed):
        model = super().apply(model, task_kind, seed)

        def nudge(module, inputs):
            if module.training:
                with torch.no_grad():
                    module.get_input_embeddings().weight[0, 0] += 1.0

        model.register_forward_pre_hook(nudge)
        return model


def test_a_part_of_an_adapter_that_does_not_learn_is_named(tmp_path):
    TINY["llama"](tmp_path / "model")
    result = take_steps(_trial(tmp_path, _DeafLora(rank=2)))
    assert len(result.unmoved) == 2
    assert all("layers.1.self_attn.q_proj.lora_" in name for name in result.unmoved)
    assert set(result.unmoved) <= set(result.without_gradient)


def test_an_adapter_without_any_gradient_is_an_error(tmp_path):
    TINY["llama"](tmp_path / "model")
    with pytest.raises(RunError, match="the graph is cut"):
        take_steps(_trial(tmp_path, _DeadLora(rank=2)))


def test_a_frozen_tensor_that_moves_is_named(tmp_path):
    TINY["llama"](tmp_path / "model")
    assert take_steps(_trial(tmp_path, _LeakyHead())).moved_though_frozen == ("model.embed_tokens.weight",)


def test_a_method_that_does_not_fit_is_an_error(tmp_path):
    TINY["bert"](tmp_path / "model")
    with pytest.raises(ModelError, match="q_proj"):
        take_steps(_trial(tmp_path, Lora(target_modules=("q_proj",))))


def test_settings_move_a_tensor_only_by_its_gradient():
    settings = trial_settings(
        TrainingSettings(learning_rate=3e-4, epochs=2, weight_decay=0.1, warmup_share=0.5, schedule="cosine"),
        num_steps=2,
        batch_size=7,
    )
    assert (settings.learning_rate, settings.steps, settings.epochs, settings.batch_size) == (3e-4, 2, None, 7)
    assert (settings.weight_decay, settings.warmup_share, settings.schedule) == (0.0, 0.0, "constant")


def test_longest_rows_fill_the_tokens_allowed():
    lengths = np.array([3, 9, 5, 9, 1])
    assert longest_rows(lengths, 27, most=10).tolist() == [3, 1, 2]
    assert longest_rows(lengths, 27, most=2).tolist() == [3, 1]
    assert longest_rows(lengths, 4, most=2).tolist() == [3]

"""Any peft config class by name; what it does not know is said in our words."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from transformers import AutoConfig

from tiny import tiny_bert, tiny_llama, tiny_network
from tunescope.errors import ModelError, StudyError
from tunescope.methods import AnyPeft
from tunescope.methods.any_peft import FIELDS_THAT_NEED_MORE, NEEDS_MORE, peft_config_classes


def test_fields_reach_peft() -> None:
    config = AnyPeft(config_class="LoHaConfig", config={"r": 3, "alpha": 6, "target_modules": ["q_proj"]}).peft_config()
    assert (type(config).__name__, config.r, config.alpha, config.target_modules) == ("LoHaConfig", 3, 6, {"q_proj"})


def test_an_unknown_class() -> None:
    with pytest.raises(
        StudyError, match=r"peft has no config class 'IA3'. Did you mean 'IA3Config'\? Known: AdaLoraConfig, "
    ):
        AnyPeft(config_class="IA3").peft_config()
    assert "PeftConfig" not in peft_config_classes()


def test_unknown_fields_all_at_once() -> None:
    method = AnyPeft(config_class="IA3Config", config={"target_module": ["key"], "task_type": "SEQ_CLS", "rank": 8})
    with pytest.raises(StudyError) as caught:
        method.peft_config()
    first, second, third = caught.value.problems
    assert first.startswith("config.target_module is not a field of IA3Config. Did you mean 'target_modules'?")
    assert second == "config.task_type is set by tunescope; leave it out"
    assert third.startswith("config.rank is not a field of IA3Config.")


def test_a_value_peft_refuses() -> None:
    with pytest.raises(StudyError, match=r"IA3Config refuses .*feedforward_modules"):
        AnyPeft(
            config_class="IA3Config", config={"target_modules": ["key"], "feedforward_modules": ["dense"]}
        ).peft_config()


@pytest.mark.parametrize("name", sorted(NEEDS_MORE))
def test_what_a_plain_loop_cannot_train(name: str) -> None:
    assert name in peft_config_classes()
    with pytest.raises(StudyError, match=f"{name} is not supported: "):
        AnyPeft(config_class=name).peft_config()


@pytest.mark.parametrize("name, field", sorted(FIELDS_THAT_NEED_MORE))
def test_a_field_that_a_plain_loop_cannot_train(name: str, field: str) -> None:
    value = {"velora_config": {"num_groups": 4}, "alora_invocation_tokens": [3]}[field]
    assert AnyPeft(config_class=name, config={field: None}).peft_config()
    with pytest.raises(StudyError, match=f"config.{field} of {name} is not supported: .* Leave it out"):
        AnyPeft(config_class=name, config={field: value}).peft_config()


@pytest.mark.parametrize("name", ["TrainableTokensConfig", "AdaptionPromptConfig"])
def test_a_class_that_cannot_train_the_head(name: str, tmp_path: Path) -> None:
    network = tiny_network(tiny_llama(tmp_path))
    with pytest.raises(ModelError, match=f"{name} has no modules_to_save, so it cannot train the task's head"):
        AnyPeft(config_class=name).apply(network.model, "classification", seed=0)


def test_virtual_tokens_and_answer_positions_do_not_go_together(tmp_path: Path) -> None:
    network = tiny_network(tiny_llama(tmp_path), task_kind="question_answering")
    method = AnyPeft(config_class="PromptTuningConfig", config={"num_virtual_tokens": 2})
    with pytest.raises(ModelError, match="answer positions no longer fit"):
        method.apply(network.model, "question_answering", seed=0)


@pytest.mark.parametrize("initialisation", ["pissa", "olora"])
def test_an_initialisation_that_rewrites_the_base(initialisation: str, tmp_path: Path) -> None:
    network = tiny_network(tiny_llama(tmp_path))
    method = AnyPeft(config_class="LoraConfig", config={"init_lora_weights": initialisation})
    with pytest.raises(ModelError, match=r"rewrites 4 of the base weights when it starts"):
        method.apply(network.model, "classification", seed=0)


def test_an_adapter_that_adds_nothing(tmp_path: Path) -> None:
    network = tiny_network(tiny_llama(tmp_path))
    method = AnyPeft(config_class="LoraConfig", config={"target_modules": ["q_proj"], "layers_to_transform": [7]})
    with pytest.raises(ModelError, match=r"LoraConfig (does not fit this model|trains nothing but the head)"):
        method.apply(network.model, "classification", seed=0)


def test_what_else_the_study_wants_saved_is_kept(tmp_path: Path) -> None:
    for kind, head in (("classification", "score"), ("question_answering", "qa_outputs")):
        network = tiny_network(tiny_llama(tmp_path / kind), task_kind=kind)
        method = AnyPeft(config_class="LoraConfig", config={"modules_to_save": ["embed_tokens"]})
        model = method.apply(network.model, kind, seed=0)
        trained = {
            name.split(".")[-4] for name, w in model.named_parameters() if w.requires_grad and "modules_to_save" in name
        }
        assert trained == {head, "embed_tokens"}
        names = model.peft_config["default"].modules_to_save
        assert len(names) == len(set(names)), "nothing is registered twice"


def test_missing_targets_of_lists_and_patterns(tmp_path: Path) -> None:
    config = AutoConfig.from_pretrained(tiny_bert(tmp_path))

    def missing(targets: object) -> tuple[str, ...]:
        return AnyPeft(config_class="LoraConfig", config={"target_modules": targets}).missing_targets(config)

    assert missing(["query", "q_proj"]) == ("q_proj",)
    assert missing(r".*\.(query|value)") == ()
    assert missing(r".*\.q_proj") == (r".*\.q_proj",)
    assert missing("all-linear") == ()
    assert AnyPeft(config_class="IA3Config").missing_targets(config) == ()


def test_what_peft_mends_by_itself_is_not_warned_of(tmp_path: Path) -> None:
    from tiny import tiny_gpt2

    network = tiny_network(tiny_gpt2(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AnyPeft(config_class="LoraConfig").apply(network.model, "classification", seed=0)

"""Predicted parameter counts and linear shapes, against the modules transformers builds (meta device: no memory)."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
import transformers
from torch import nn
from transformers.pytorch_utils import Conv1D

from tunescope.cost.architecture import KNOWN, read_architecture
from tunescope.cost.trainable import what_trains
from tunescope.methods import Lora

CONFIGS = {
    "llama": transformers.LlamaConfig(
        hidden_size=64,
        intermediate_size=176,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=101,
    ),
    "llama-biased": transformers.LlamaConfig(
        hidden_size=64,
        intermediate_size=176,
        num_hidden_layers=2,
        num_attention_heads=4,
        head_dim=32,
        vocab_size=101,
        attention_bias=True,
        mlp_bias=True,
    ),
    "mistral": transformers.MistralConfig(
        hidden_size=64,
        intermediate_size=176,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=101,
    ),
    "qwen2": transformers.Qwen2Config(
        hidden_size=64,
        intermediate_size=176,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=101,
    ),
    "gemma": transformers.GemmaConfig(
        hidden_size=64,
        intermediate_size=176,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=24,
        vocab_size=101,
    ),
    "bert": transformers.BertConfig(),
    "roberta": transformers.RobertaConfig(max_position_embeddings=514, type_vocab_size=1),
    "distilbert": transformers.DistilBertConfig(),
    "gpt2": transformers.GPT2Config(),
    "gpt2-narrow": transformers.GPT2Config(n_embd=64, n_inner=100, n_layer=2, n_head=4, vocab_size=101),
}


def _config(name: str) -> dict[str, object]:
    """The config as it would stand in a file."""
    return json.loads(CONFIGS[name].to_json_string())


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_and_linear_modules_are_those_transformers_builds(name: str) -> None:
    arch = read_architecture(_config(name))
    assert arch is not None
    with torch.device("meta"):
        model = transformers.AutoModel.from_config(CONFIGS[name])
    assert arch.backbone_parameters == sum(p.numel() for p in model.parameters())
    built: Counter[tuple[str, int, int]] = Counter()
    for path, module in model.named_modules():
        if isinstance(module, nn.Linear | Conv1D) and "pooler" not in path:
            ending = next(
                ending
                for ending in arch.linear_shapes()
                if path.endswith(f".{ending}") and _is_longest(path, ending, arch)
            )
            shape = module.weight.shape if isinstance(module, Conv1D) else module.weight.shape[::-1]
            built[ending, int(shape[0]), int(shape[1])] += 1
    assert built == {
        (ending, linear.inputs, linear.outputs): arch.layers for ending, linear in arch.linear_shapes().items()
    }


def _is_longest(path: str, ending: str, arch: object) -> bool:
    """`attention.output.dense` ends in `output.dense` too: the longest ending is the module's name."""
    endings = [e for e in arch.linear_shapes() if path.endswith(f".{e}")]  # type: ignore[attr-defined]
    return ending == max(endings, key=len)


@pytest.mark.parametrize("name", ["llama", "bert", "roberta", "distilbert", "gpt2"])
@pytest.mark.parametrize("targets", ["all-linear", None])
@pytest.mark.parametrize("use_dora", [False, True])
def test_what_lora_trains_is_what_peft_makes_trainable(name: str, targets: str | None, use_dora: bool) -> None:
    from peft import LoraConfig, get_peft_model

    arch = read_architecture(_config(name))
    assert arch is not None
    method = Lora(rank=4, alpha=8, target_modules=targets, use_dora=use_dora)
    with torch.device("meta"):
        model = transformers.AutoModel.from_config(CONFIGS[name])
        model.pooler = None  # a classifier's pooler is no part of the layers
    chosen = list(targets_of(model)) if targets == "all-linear" else None
    trains = what_trains(method, arch, "classification", 2)
    if name == "distilbert" and targets is None:
        assert trains is None, "peft has no default for it"
        return
    tuned = get_peft_model(model, LoraConfig(r=4, target_modules=chosen, use_dora=use_dora), low_cpu_mem_usage=True)
    assert trains is not None
    assert trains.adapter_parameters == sum(p.numel() for p in tuned.parameters() if p.requires_grad)


def targets_of(model: nn.Module) -> set[str]:
    return {path for path, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)}


@pytest.mark.parametrize(
    "name, parameters",
    [
        ("TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T", 1_034_512_384),
        ("meta-llama/Llama-3.2-1B", 1_235_814_400),
        ("Qwen/Qwen2.5-0.5B", 494_032_768),
        ("bert-base-uncased", 109_482_240),
        ("roberta-base", 124_645_632),
    ],
)
def test_known_models_have_their_published_sizes(name: str, parameters: int) -> None:
    assert KNOWN[name].backbone_parameters == parameters


def test_tinyllama_lora_of_the_reference_study() -> None:
    arch = KNOWN["TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T"]
    trains = what_trains(Lora(rank=8, alpha=16, target_modules=("q_proj", "v_proj")), arch, "classification", 2)
    assert trains is not None
    assert (trains.adapter_parameters, trains.head_parameters, trains.num_modules) == (1_126_400, 4_096, 44)


@pytest.mark.mirror
@pytest.mark.parametrize("name", ["karpathy/stories260K", "sentence-transformers/all-MiniLM-L6-v2"])
def test_config_files_as_they_lie_in_a_mirror(mirror: Path, name: str) -> None:
    folder = mirror / "models" / name
    arch = read_architecture(json.loads((folder / "config.json").read_text()))
    assert arch is not None
    with torch.device("meta"):
        model = transformers.AutoModel.from_config(transformers.AutoConfig.from_pretrained(folder))
    assert arch.backbone_parameters == sum(p.numel() for p in model.parameters())

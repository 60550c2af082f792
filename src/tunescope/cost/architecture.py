"""The shape of a transformer, read from its `config.json`: enough to count parameters and multiplications."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

HeadKind = Literal["classification", "regression", "question_answering"]
Reads = Literal["attention_input", "attended", "mlp_input", "product"]
"""What a linear module multiplies: the (normed) layer input, the mixed values, the MLP's input, its inner activations."""


@dataclass(frozen=True, kw_only=True)
class Linear:
    """A linear module that each layer has once."""

    inputs: int
    outputs: int
    bias: bool
    reads: Reads

    @property
    def num_parameters(self) -> int:
        return self.inputs * self.outputs + (self.outputs if self.bias else 0)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A transformer of identical layers. Widths are in values per token, counts in numbers of things."""

    model_type: str
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    positions: int
    """Longest row the model was made for (RoBERTa's two reserved rows included)."""
    activation: str
    is_decoder: bool
    """Causal attention."""
    tied_embeddings: bool
    """A language-model head would reuse the input embeddings; no part of the backbone either way."""
    learned_positions: bool
    gated_mlp: bool = False
    rms_norm: bool = False
    qkv_bias: bool = True
    output_bias: bool = True
    mlp_bias: bool = True
    token_types: int = 0
    pooler: bool = False
    """A dense layer over the first token, as `AutoModel` builds it."""
    hidden_dropouts: int = 0
    """Dropouts of `hidden`-wide values in a layer."""
    hidden_dropout: float = 0.0
    attention_dropout: float = 0.0

    @property
    def query_width(self) -> int:
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        return self.kv_heads * self.head_dim

    @property
    def has_joint_qkv(self) -> bool:
        """One linear module makes queries, keys and values."""
        return self.model_type == "gpt2"

    @property
    def embedding_parameters(self) -> int:
        """Token, position and type embeddings, without their norm."""
        return (self.vocab + self.token_types + (self.positions if self.learned_positions else 0)) * self.hidden

    @cached_property
    def backbone_parameters(self) -> int:
        """Parameters of the model as `AutoModel` builds it: no language-model head, no task head."""
        norm = self.hidden if self.rms_norm else 2 * self.hidden
        per_layer = sum(linear.num_parameters for linear in self.linear_shapes().values()) + 2 * norm
        pooler = self.hidden * self.hidden + self.hidden if self.pooler else 0
        return self.embedding_parameters + self.layers * per_layer + norm + pooler

    @cached_property
    def linear_weights(self) -> int:
        """Weights that every token is multiplied by, all layers together."""
        return self.layers * sum(linear.inputs * linear.outputs for linear in self.linear_shapes().values())

    def linear_shapes(self) -> Mapping[str, Linear]:
        """Linear modules of one layer, by their Hugging Face name within it; each occurs once per layer."""
        return _linear_shapes(self)

    def targeted(self, targets: tuple[str, ...] | str) -> tuple[tuple[Linear, int], ...]:
        """The layers' linear modules that peft would adapt, each with the number of layers in which it would.

        Args:
            targets: Name endings, or one regular expression over whole names, or "all-linear", as in peft's
                `target_modules`. The pooler and the head are not looked at.
        """
        return _targeted(self, targets)

    def head_parameters(self, kind: HeadKind, num_outputs: int) -> int:
        """Parameters of the task's new head.

        Args:
            kind: Kind of task.
            num_outputs: Labels; 1 for regression, 2 for question answering (start and end).
        """
        if kind == "question_answering":
            return self.hidden * num_outputs + num_outputs
        if self.is_decoder:
            return self.hidden * num_outputs
        dense = self.hidden * self.hidden + self.hidden if self.model_type in ("roberta", "distilbert") else 0
        return dense + self.hidden * num_outputs + num_outputs


_NAMES: dict[str, tuple[str, dict[str, str]]] = {
    "llama": (
        "model.layers",
        {
            "query": "self_attn.q_proj",
            "key": "self_attn.k_proj",
            "value": "self_attn.v_proj",
            "output": "self_attn.o_proj",
            "gate": "mlp.gate_proj",
            "up": "mlp.up_proj",
            "down": "mlp.down_proj",
        },
    ),
    "bert": (
        "bert.encoder.layer",
        {
            "query": "attention.self.query",
            "key": "attention.self.key",
            "value": "attention.self.value",
            "output": "attention.output.dense",
            "up": "intermediate.dense",
            "down": "output.dense",
        },
    ),
    "distilbert": (
        "distilbert.transformer.layer",
        {
            "query": "attention.q_lin",
            "key": "attention.k_lin",
            "value": "attention.v_lin",
            "output": "attention.out_lin",
            "up": "ffn.lin1",
            "down": "ffn.lin2",
        },
    ),
    "gpt2": (
        "transformer.h",
        {"query_key_value": "attn.c_attn", "output": "attn.c_proj", "up": "mlp.c_fc", "down": "mlp.c_proj"},
    ),
}
_NAMES["mistral"] = _NAMES["qwen2"] = _NAMES["gemma"] = _NAMES["llama"]
_NAMES["roberta"] = ("roberta.encoder.layer", _NAMES["bert"][1])


@lru_cache(maxsize=256)
def _linear_shapes(arch: Architecture) -> Mapping[str, Linear]:
    hidden, query, kv = arch.hidden, arch.query_width, arch.kv_width
    roles: dict[str, tuple[int, int, bool, Reads]] = {
        "query": (hidden, query, arch.qkv_bias, "attention_input"),
        "key": (hidden, kv, arch.qkv_bias, "attention_input"),
        "value": (hidden, kv, arch.qkv_bias, "attention_input"),
        "query_key_value": (hidden, query + 2 * kv, arch.qkv_bias, "attention_input"),
        "output": (query, hidden, arch.output_bias, "attended"),
        "gate": (hidden, arch.intermediate, arch.mlp_bias, "mlp_input"),
        "up": (hidden, arch.intermediate, arch.mlp_bias, "mlp_input"),
        "down": (arch.intermediate, hidden, arch.mlp_bias, "product"),
    }
    shapes = {}
    for role, name in _NAMES[arch.model_type][1].items():
        inputs, outputs, bias, reads = roles[role]
        shapes[name] = Linear(inputs=inputs, outputs=outputs, bias=bias, reads=reads)
    return shapes


@lru_cache(maxsize=1024)
def _targeted(arch: Architecture, targets: tuple[str, ...] | str) -> tuple[tuple[Linear, int], ...]:
    found = []
    for name, linear in arch.linear_shapes().items():
        whole = [f"{_NAMES[arch.model_type][0]}.{number}.{name}" for number in range(arch.layers)]
        if targets == "all-linear":
            count = arch.layers
        elif isinstance(targets, str):
            count = sum(re.fullmatch(targets, path) is not None for path in whole)
        else:
            count = sum(any(path == target or path.endswith(f".{target}") for target in targets) for path in whole)
        if count:
            found.append((linear, count))
    return tuple(found)


def is_decoder_config(config: Mapping[str, Any]) -> bool:
    """Whether a Hugging Face config describes a causal model.

    Args:
        config: The content of a `config.json` of any model type.
    """
    if config.get("is_encoder_decoder"):
        return False
    if config.get("is_decoder"):
        return True
    if config.get("model_type") in ("bert", "roberta", "distilbert"):
        return False
    if config.get("model_type") in _NAMES:
        return True
    return any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in config.get("architectures") or ())


def read_architecture(config: Mapping[str, Any]) -> Architecture | None:
    """The architecture that a Hugging Face config describes; fields it leaves out have transformers' defaults.

    Args:
        config: The content of a `config.json`.

    Returns:
        None for a model type other than llama, mistral, qwen2, gemma, bert, roberta, distilbert and gpt2, for one of
        these with parts that are not modelled here (cross-attention), or where the config leaves a size out.
    """
    readers = {"distilbert": _read_distilbert, "gpt2": _read_gpt2, "bert": _read_bert, "roberta": _read_bert}
    model_type = config.get("model_type")
    if model_type not in _NAMES or config.get("add_cross_attention"):
        return None
    try:
        return readers.get(model_type, _read_llama)(config)
    except KeyError:  # a size is not there
        return None


def _read_llama(config: Mapping[str, Any]) -> Architecture:
    kind, heads = config["model_type"], config["num_attention_heads"]
    default_kv_heads = {"mistral": 8, "qwen2": 32, "gemma": 16}.get(kind, heads)
    kv_heads = config.get("num_key_value_heads", default_kv_heads)
    attention_bias = bool(config.get("attention_bias")) if kind in ("llama", "gemma") else False
    return Architecture(
        model_type=kind,
        hidden=config["hidden_size"],
        intermediate=config["intermediate_size"],
        layers=config["num_hidden_layers"],
        heads=heads,
        kv_heads=heads if kv_heads is None else kv_heads,
        head_dim=config.get("head_dim") or (256 if kind == "gemma" else config["hidden_size"] // heads),
        vocab=config["vocab_size"],
        positions=config["max_position_embeddings"],
        activation=config.get("hidden_act") or "silu",
        is_decoder=True,
        tied_embeddings=bool(config.get("tie_word_embeddings", kind == "gemma")),
        learned_positions=False,
        gated_mlp=True,
        rms_norm=True,
        qkv_bias=attention_bias or kind == "qwen2",
        output_bias=attention_bias,
        mlp_bias=bool(config.get("mlp_bias")) if kind == "llama" else False,
        attention_dropout=float(config.get("attention_dropout") or 0.0),
    )


def _read_bert(config: Mapping[str, Any]) -> Architecture:
    heads = config["num_attention_heads"]
    return Architecture(
        model_type=config["model_type"],
        hidden=config["hidden_size"],
        intermediate=config["intermediate_size"],
        layers=config["num_hidden_layers"],
        heads=heads,
        kv_heads=heads,
        head_dim=config["hidden_size"] // heads,
        vocab=config["vocab_size"],
        positions=config["max_position_embeddings"],
        activation=config.get("hidden_act", "gelu"),
        is_decoder=bool(config.get("is_decoder", False)),
        tied_embeddings=True,
        learned_positions=True,
        token_types=config.get("type_vocab_size", 2),
        pooler=True,
        hidden_dropouts=2,
        hidden_dropout=float(config.get("hidden_dropout_prob", 0.1)),
        attention_dropout=float(config.get("attention_probs_dropout_prob", 0.1)),
    )


def _read_distilbert(config: Mapping[str, Any]) -> Architecture:
    return Architecture(
        model_type="distilbert",
        hidden=config["dim"],
        intermediate=config["hidden_dim"],
        layers=config["n_layers"],
        heads=config["n_heads"],
        kv_heads=config["n_heads"],
        head_dim=config["dim"] // config["n_heads"],
        vocab=config["vocab_size"],
        positions=config["max_position_embeddings"],
        activation=config.get("activation", "gelu"),
        is_decoder=False,
        tied_embeddings=True,
        learned_positions=True,
        hidden_dropouts=1,
        hidden_dropout=float(config.get("dropout", 0.1)),
        attention_dropout=float(config.get("attention_dropout", 0.1)),
    )


def _read_gpt2(config: Mapping[str, Any]) -> Architecture:
    return Architecture(
        model_type="gpt2",
        hidden=config["n_embd"],
        intermediate=config.get("n_inner") or 4 * config["n_embd"],
        layers=config["n_layer"],
        heads=config["n_head"],
        kv_heads=config["n_head"],
        head_dim=config["n_embd"] // config["n_head"],
        vocab=config["vocab_size"],
        positions=config["n_positions"],
        activation=config.get("activation_function", "gelu_new"),
        is_decoder=True,
        tied_embeddings=True,
        learned_positions=True,
        hidden_dropouts=2,
        hidden_dropout=float(config.get("resid_pdrop", 0.1)),
        attention_dropout=float(config.get("attn_pdrop", 0.1)),
    )


def _llama(
    hidden: int, intermediate: int, layers: int, heads: int, kv_heads: int, vocab: int, **more: Any
) -> Architecture:
    config = {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocab,
    }
    return _read_llama(config | more)


_BERT_BASE = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
_TINYLLAMA = _llama(2048, 5632, 22, 32, 4, 32000, max_position_embeddings=2048)

KNOWN: dict[str, Architecture] = {
    "TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T": _TINYLLAMA,
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": _TINYLLAMA,
    "meta-llama/Llama-3.2-1B": _llama(
        2048, 8192, 16, 32, 8, 128256, max_position_embeddings=131072, tie_word_embeddings=True
    ),
    "Qwen/Qwen2.5-0.5B": _llama(
        896, 4864, 24, 14, 2, 151936, max_position_embeddings=32768, tie_word_embeddings=True, model_type="qwen2"
    ),
    "google-bert/bert-base-uncased": _read_bert(
        _BERT_BASE | {"model_type": "bert", "vocab_size": 30522, "max_position_embeddings": 512}
    ),
    "FacebookAI/roberta-base": _read_bert(
        _BERT_BASE
        | {"model_type": "roberta", "vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1}
    ),
}
"""Architectures of well-known models, for planning without their files."""
KNOWN["bert-base-uncased"] = KNOWN["google-bert/bert-base-uncased"]
KNOWN["roberta-base"] = KNOWN["FacebookAI/roberta-base"]

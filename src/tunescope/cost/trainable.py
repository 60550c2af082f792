"""What a method trains in an architecture, counted without building it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from tunescope.cost.architecture import Architecture, HeadKind, Linear
from tunescope.methods import AnyPeft, Full, HeadOnly, Lora, Method

# What peft adapts where a study leaves target_modules to it (peft.utils.constants, 0.21); reference tests hold us to it.
_LLAMA_LIKE = ("llama", "mistral", "qwen2", "gemma")
_LORA_TARGETS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_LLAMA_LIKE, ("q_proj", "v_proj")),
    "bert": ("query", "value"),
    "roberta": ("query", "value"),
    "gpt2": ("c_attn",),
}
_IA3_TARGETS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "llama": (("k_proj", "v_proj", "down_proj"), ("down_proj",)),
    "mistral": (("k_proj", "v_proj", "down_proj"), ("down_proj",)),
    "qwen2": (("q_proj", "v_proj", "down_proj"), ("down_proj",)),
    "gemma": (("q_proj", "v_proj", "down_proj"), ("down_proj",)),
    "bert": (("key", "value", "output.dense"), ("output.dense",)),
    "roberta": (("key", "value", "output.dense"), ("output.dense",)),
    "gpt2": (("c_attn", "mlp.c_proj"), ("mlp.c_proj",)),
}
_LORA_FIELDS = {
    "r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "use_dora",
    "use_rslora",
    "bias",
    "init_lora_weights",
}
_IA3_FIELDS = {"target_modules", "feedforward_modules", "init_ia3_weights"}


@dataclass(frozen=True, kw_only=True)
class Trains:
    """What is trained: everything, or adapters beside some linear modules, or nothing below the head."""

    backbone_parameters: int = 0
    """Of the pretrained model, in full fine-tuning or as biases."""
    adapter_parameters: int = 0
    head_parameters: int
    adapted: tuple[tuple[Linear, int], ...] = ()
    """Adapted linear modules of a layer, each with the number of layers."""
    rank: int = 0
    dropout: float = 0.0
    use_dora: bool = False
    is_full: bool = False

    @property
    def num_parameters(self) -> int:
        return self.backbone_parameters + self.adapter_parameters + self.head_parameters

    @property
    def num_modules(self) -> int:
        return sum(count for _, count in self.adapted)

    @property
    def is_head_only(self) -> bool:
        """No gradient reaches the backbone."""
        return not self.is_full and not self.adapted and self.backbone_parameters == 0


def what_trains(method: Method, architecture: Architecture, head: HeadKind, num_outputs: int) -> Trains | None:
    """What a method trains.

    Args:
        method: Any method of a study.
        architecture: The base model.
        head: Kind of task.
        num_outputs: Labels; 1 for regression, 2 for question answering.

    Returns:
        None where it cannot be told without building the model: a peft method other than LoRA and IA3, one with fields
        that change what is adapted, or target modules that the architecture lacks.
    """
    num_head = architecture.head_parameters(head, num_outputs)
    if isinstance(method, Full):
        return Trains(backbone_parameters=architecture.backbone_parameters, head_parameters=num_head, is_full=True)
    if isinstance(method, HeadOnly):
        return Trains(head_parameters=num_head)
    if isinstance(method, Lora):
        return _lora(
            architecture,
            num_head,
            method.rank,
            method.target_modules,
            method.dropout,
            method.use_dora,
            method.bias,
        )
    if isinstance(method, AnyPeft):
        return _any_peft(method, architecture, num_head)
    return None


@lru_cache(maxsize=1024)
def _lora(
    arch: Architecture,
    num_head: int,
    rank: int,
    targets: tuple[str, ...] | str | None,
    dropout: float,
    use_dora: bool,
    bias: str,
) -> Trains | None:
    if targets is None:
        targets = _LORA_TARGETS.get(arch.model_type)
    adapted = arch.targeted(targets) if targets is not None else ()
    if not adapted:
        return None
    num_adapter = sum(
        count * (rank * (linear.inputs + linear.outputs) + (linear.outputs if use_dora else 0))
        for linear, count in adapted
    )
    if bias == "lora_only":
        num_bias = sum(count * linear.outputs for linear, count in adapted if linear.bias)
    elif bias == "all":
        num_bias = arch.layers * sum(linear.outputs for linear in arch.linear_shapes().values() if linear.bias)
        num_bias += 0 if arch.rms_norm else (2 * arch.layers + 1) * arch.hidden
    else:
        num_bias = 0
    return Trains(
        backbone_parameters=num_bias,
        adapter_parameters=num_adapter,
        head_parameters=num_head,
        adapted=adapted,
        rank=rank,
        dropout=dropout,
        use_dora=use_dora,
    )


def _any_peft(method: AnyPeft, arch: Architecture, num_head: int) -> Trains | None:
    fields = method.config
    if method.config_class == "LoraConfig" and fields.keys() <= _LORA_FIELDS:
        return _lora(
            arch,
            num_head,
            fields.get("r", 8),
            _as_targets(fields.get("target_modules")),
            fields.get("lora_dropout", 0.0),
            fields.get("use_dora", False),
            fields.get("bias", "none"),
        )
    if method.config_class == "IA3Config" and fields.keys() <= _IA3_FIELDS:
        targets, feedforward = _IA3_TARGETS.get(arch.model_type, ((), ()))
        adapted = arch.targeted(_as_targets(fields.get("target_modules")) or targets)
        scaled_inputs = arch.targeted(_as_targets(fields.get("feedforward_modules")) or feedforward)
        if not adapted:
            return None
        sizes = [
            count * (linear.inputs if (linear, count) in scaled_inputs else linear.outputs) for linear, count in adapted
        ]
        return Trains(adapter_parameters=sum(sizes), head_parameters=num_head, adapted=adapted)
    return None


def _as_targets(targets: object) -> tuple[str, ...] | str | None:
    """What YAML gives, as a hashable value."""
    if isinstance(targets, list | tuple | set):
        return tuple(sorted(str(target) for target in targets))
    return None if targets is None else str(targets)

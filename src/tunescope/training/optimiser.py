"""AdamW over the trainable tensors, and what of it is in force."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from tunescope.study.settings import TrainingSettings

_DOES_NOT_DECAY = re.compile(r"bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)")


def decaying_names(model: nn.Module) -> set[str]:
    """Names of the parameters that weight decay applies to.

    The rule of Hugging Face's `Trainer.get_decay_parameter_names`: all but the parameters of `nn.LayerNorm` and those with
    `bias`, `layernorm`, `rmsnorm` or a part `norm` or `..._norm` in their name. So what LoRA, DoRA (its magnitudes) and IA3
    (its scales, which start at 1) train decays, as it does in PEFT's own examples.
    """
    in_norms = {
        f"{place}.{name}" if place else name
        for place, module in model.named_modules()
        if isinstance(module, nn.LayerNorm)
        for name, _ in module.named_parameters()
    }
    return {
        name
        for name, _ in model.named_parameters()
        if name not in in_norms and not _DOES_NOT_DECAY.search(name.lower())
    }


def make_optimiser(model: nn.Module, settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter, 2019, arXiv:1711.05101) over the model's trainable tensors, in two groups."""
    trainable = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    decaying = decaying_names(model)
    groups = [
        {"params": [p for name, p in trainable if name in decaying], "weight_decay": settings.weight_decay},
        {"params": [p for name, p in trainable if name not in decaying], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.learning_rate,
        betas=(settings.adam_beta1, settings.adam_beta2),
        eps=settings.adam_epsilon,
        fused=True,
    )


def dropouts_in_force(model: nn.Module) -> list[float]:
    """Every dropout probability that is not 0, ascending: of dropout layers, and those that attention keeps as a number."""
    found: set[float] = set()
    for module in model.modules():
        if isinstance(module, _DropoutNd):
            found.add(float(module.p))
        found.update(
            float(value)
            for name, value in vars(module).items()
            if isinstance(value, float) and ("dropout" in name or name.endswith(("pdrop", "drop")))
        )
    return sorted(found - {0.0})


def settings_in_force(model: nn.Module, optimiser: torch.optim.AdamW) -> dict[str, Any]:
    """What the optimiser and the model in fact do, read back from them."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    return {
        "optimiser": type(optimiser).__name__,
        "groups": [
            {
                "num_tensors": len(group["params"]),
                "num_parameters": sum(p.numel() for p in group["params"]),
                "weight_decay": group["weight_decay"],
                "betas": list(group["betas"]),
                "eps": group["eps"],
            }
            for group in optimiser.param_groups
        ],
        "dropout": dropouts_in_force(model),
        "dtypes": sorted({str(p.dtype).removeprefix("torch.") for p in trainable}),
        "device": str(trainable[0].device),
    }

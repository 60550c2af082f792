"""AdamW over the trainable tensors, and what of it is in force."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tunescope.study.settings import TrainingSettings


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay applies: not to biases, nor to the vectors that scale and shift (all normalisation weights)."""
    return parameter.ndim >= 2 and not name.endswith("bias")


def make_optimiser(model: nn.Module, settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter, 2019, arXiv:1711.05101) over the model's trainable tensors, in two groups."""
    trainable = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for name, p in trainable if decays(name, p)], "weight_decay": settings.weight_decay},
        {"params": [p for name, p in trainable if not decays(name, p)], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.learning_rate,
        betas=(settings.adam_beta1, settings.adam_beta2),
        eps=settings.adam_epsilon,
        fused=True,
    )


def settings_in_force(model: nn.Module, optimiser: torch.optim.AdamW, peak_learning_rate: float) -> dict[str, Any]:
    """What the optimiser and the model will in fact do, read back from them."""
    dropouts = {module.p for module in model.modules() if isinstance(module, nn.Dropout)}
    trainable = [p for p in model.parameters() if p.requires_grad]
    return {
        "optimiser": type(optimiser).__name__,
        "peak_learning_rate": peak_learning_rate,
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
        "dropout": sorted(dropouts),
        "dtypes": sorted({str(p.dtype).removeprefix("torch.") for p in trainable}),
        "device": str(trainable[0].device),
    }

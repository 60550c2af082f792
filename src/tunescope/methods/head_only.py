"""Head only: the backbone stays as it was pretrained, a probe of what it already knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tunescope.methods.head import head_parameters
from tunescope.methods.method import Method, TaskKind

if TYPE_CHECKING:
    from torch import nn


class HeadOnly(Method):
    """Trains the head and nothing else."""

    kind: ClassVar[str] = "head_only"

    def apply(self, model: nn.Module, task_kind: TaskKind, seed: int) -> nn.Module:
        model.requires_grad_(False)
        for name in head_parameters(model):
            model.get_parameter(name).requires_grad_(True)
        return model

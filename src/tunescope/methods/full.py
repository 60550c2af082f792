"""Full fine-tuning: every weight is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tunescope.methods.method import Method, TaskKind

if TYPE_CHECKING:
    from torch import nn


class Full(Method):
    """Trains backbone and head."""

    kind: ClassVar[str] = "full"

    def apply(self, model: nn.Module, task_kind: TaskKind, seed: int) -> nn.Module:
        return model.requires_grad_(True)

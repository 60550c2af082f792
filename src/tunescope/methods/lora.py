"""LoRA: low-rank updates beside frozen weights (Hu et al., 2021, arXiv:2106.09685), DoRA and rsLoRA among its options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from tunescope.fields import Count
from tunescope.methods.adapter import adapt, missing_from_architecture
from tunescope.methods.method import Method, TaskKind

if TYPE_CHECKING:
    from torch import nn


class Lora(Method):
    """Trains the head and, beside each target module W, matrices A and B of low rank: W x + (alpha / rank) B A x."""

    kind: ClassVar[str] = "lora"

    rank: Count = 8
    """Inner width of A and B."""
    alpha: Annotated[float, Field(gt=0.0)] = 16.0
    """Scale of the update, divided by rank (by its square root with `use_rslora`)."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of A's inputs dropped in training."""
    target_modules: Annotated[tuple[str, ...], Field(min_length=1)] | Literal["all-linear"] | None = None
    """Names of the modules to adapt, `all-linear` for every linear layer of the backbone, null for what peft takes
    for the architecture (q_proj and v_proj for Llama)."""
    use_rslora: bool = False
    """Divide alpha by the root of rank (Kalajdzievski, 2023, arXiv:2312.03732)."""
    use_dora: bool = False
    """Train magnitudes apart from directions (Liu et al., 2024, arXiv:2402.09353)."""
    bias: Literal["none", "all", "lora_only"] = "none"
    """Which of the base model's biases are trained too."""

    def apply(self, model: nn.Module, task_kind: TaskKind, seed: int) -> nn.Module:
        return adapt(model, self.peft_config(), kind=self.kind, task_kind=task_kind, seed=seed)

    def peft_config(self) -> Any:
        """These settings as a fresh `peft.LoraConfig`."""
        from peft import LoraConfig

        targets = list(self.target_modules) if isinstance(self.target_modules, tuple) else self.target_modules
        return LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=targets,
            use_rslora=self.use_rslora,
            use_dora=self.use_dora,
            bias=self.bias,
        )

    def missing_targets(self, config: Any) -> tuple[str, ...]:
        return missing_from_architecture(self.target_modules, config)

"""What every fine-tuning method is: settings from the study, and one way to apply them to a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tunescope.fields import Frozen

if TYPE_CHECKING:
    from torch import nn

TaskKind = Literal["classification", "regression", "question_answering"]
"""The kinds of `tunescope.tasks.spec`, which this layer does not import."""


class Method(Frozen, ABC):
    """A way to fine-tune. The task's head is trained by every method; a method says what else is."""

    kind: ClassVar[str]
    """Its name in a study and in `METHODS`."""

    @abstractmethod
    def apply(self, model: nn.Module, task_kind: TaskKind, seed: int) -> nn.Module:
        """Makes the model trainable the method's way; which tensors train is then told by `requires_grad`.

        Args:
            model: A Hugging Face model with a head, as `load_network` gives it; changed in place.
            task_kind: What the head is for.
            seed: Draws the method's own new weights; the global generators are left as they were.

        Returns:
            The model to train: the same one, or peft's wrapper around it.

        Raises:
            ModelError: If the method does not fit this model.
        """

    def missing_targets(self, config: Any) -> tuple[str, ...]:
        """Target modules the method names and the architecture lacks; the weights are not needed to know.

        Args:
            config: The base model's Hugging Face config.
        """
        return ()

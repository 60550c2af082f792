"""Any method that peft has a config class for, by the class's name and its own fields."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from tunescope.errors import StudyError, did_you_mean
from tunescope.methods.adapter import adapt, missing_from_architecture
from tunescope.methods.method import Method, TaskKind

if TYPE_CHECKING:
    from torch import nn

_OURS = {
    "task_type",
    "peft_type",
    "inference_mode",
    "base_model_name_or_path",
    "revision",
    "auto_mapping",
    "peft_version",
}

NEEDS_MORE: dict[str, str] = {
    "AdaLoraConfig": "its ranks are re-allocated by calls from inside the training loop, which a plain loop does not make",
    "LilyConfig": "its router averages over all tokens of a batch, padding too, so an example's logits depend on the others",
    "MultitaskPromptTuningConfig": "every batch would have to say which task each example belongs to",
    "PolyConfig": "every batch would have to say which task each example belongs to",
}
"""Config classes that are refused although they load: each needs something of training that no other method gets."""


_AVERAGES = (
    "it projects gradients on an average over all tokens of a batch, padding too, so they depend on how a step is cut"
)
_CAUSAL_ONLY = (
    "peft finds where it begins in causal language models alone, so under a task's head nothing of it would learn"
)
FIELDS_THAT_NEED_MORE: dict[tuple[str, str], str] = {
    ("LoraConfig", "velora_config"): _AVERAGES,
    ("LoraConfig", "alora_invocation_tokens"): _CAUSAL_ONLY,
}
"""Fields of config classes that are refused for the same reason."""


class AnyPeft(Method):
    """Trains the head and whatever the named peft config adds."""

    kind: ClassVar[str] = "peft"

    config_class: Annotated[str, Field(min_length=1)]
    """Name of a class in `peft`, such as `IA3Config`."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Its fields, as peft names them."""

    def apply(self, model: nn.Module, task_kind: TaskKind, seed: int) -> nn.Module:
        where = f"{self.kind} ({self.config_class})"
        return adapt(model, self.peft_config(), kind=where, task_kind=task_kind, seed=seed)

    def peft_config(self) -> Any:
        """These settings as a fresh instance of the named class.

        Raises:
            StudyError: If peft has no such class, the class no such field, or it refuses a value.
        """
        known = peft_config_classes()
        if self.config_class not in known:
            raise StudyError(
                [f"peft has no config class '{self.config_class}'. {did_you_mean(self.config_class, known)}"]
            )
        if self.config_class in NEEDS_MORE:
            raise StudyError(
                [f"{self.config_class} is not supported: {NEEDS_MORE[self.config_class]}. Choose another."]
            )
        for name in self.config:
            if self.config.get(name) is not None and (self.config_class, name) in FIELDS_THAT_NEED_MORE:
                reason = FIELDS_THAT_NEED_MORE[self.config_class, name]
                raise StudyError([f"config.{name} of {self.config_class} is not supported: {reason}. Leave it out."])
        chosen = known[self.config_class]
        fields = {field.name for field in dataclasses.fields(chosen) if field.init} - _OURS
        problems = [
            f"config.{name} is set by tunescope; leave it out"
            if name in _OURS
            else f"config.{name} is not a field of {self.config_class}. {did_you_mean(name, fields)}"
            for name in self.config
            if name not in fields
        ]
        if problems:
            raise StudyError(problems)
        try:
            return chosen(**self.config)
        except (TypeError, ValueError, AttributeError) as error:
            raise StudyError([f"{self.config_class} refuses {self.config}: {error}"]) from error

    def missing_targets(self, config: Any) -> tuple[str, ...]:
        return missing_from_architecture(self.config.get("target_modules"), config)


def peft_config_classes() -> dict[str, Any]:
    """Every class of `peft` that describes a method, by name; abstract parents left out."""
    import peft

    return {
        name: found
        for name, found in vars(peft).items()
        if inspect.isclass(found)
        and issubclass(found, peft.PeftConfig)
        and found not in (peft.PeftConfig, peft.PromptLearningConfig)
    }

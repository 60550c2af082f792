"""Which pretrained weights a study starts from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tunescope.fields import Frozen


class BaseModelSpec(Frozen):
    """A base model as a study names it; weights are read from safetensors and kept in fp32."""

    name: Annotated[str, Field(min_length=1)]
    """Hub id such as `TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T`, or a local folder."""
    revision: str | None = None
    """Commit of the hub repository; pin it, or the same study may read other weights next month."""
    trust_remote_code: bool = False
    """Run Python code that the model's repository brings along; only for repositories you have read."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None
    """Sets every dropout field of the model's config; null leaves each as the config has it."""
    discard_head: bool = False
    """The task's head is new in every study. If the weights bring a trained one, say here that it may be thrown away."""

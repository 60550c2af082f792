"""Ways to fine-tune, a file each. What a study may name stands in `METHODS`."""

from __future__ import annotations

from tunescope.methods.any_peft import AnyPeft
from tunescope.methods.full import Full
from tunescope.methods.head_only import HeadOnly
from tunescope.methods.lora import Lora
from tunescope.methods.method import Method

METHODS: dict[str, type[Method]] = {"full": Full, "lora": Lora, "head_only": HeadOnly, "peft": AnyPeft}

__all__ = ["METHODS", "AnyPeft", "Full", "HeadOnly", "Lora", "Method"]

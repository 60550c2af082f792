"""The head is what the backbone is not."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    LlamaConfig,
    LlamaForQuestionAnswering,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from tunescope.methods.head import head_modules, head_parameters


@pytest.mark.parametrize(
    "model_class, config, modules, num_parameters",
    [
        (LlamaForQuestionAnswering, LlamaConfig(), ("qa_outputs",), 2),
        (DistilBertForSequenceClassification, DistilBertConfig(), ("pre_classifier", "classifier"), 4),
        (RobertaForSequenceClassification, RobertaConfig(), ("classifier",), 4),
    ],
)
def test_heads(model_class, config, modules: tuple[str, ...], num_parameters: int) -> None:
    with torch.device("meta"):
        model = model_class(config)
    assert head_modules(model) == modules
    assert len(head_parameters(model)) == num_parameters

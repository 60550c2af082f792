"""What a run forgot: the loss of its backbone on plain text under the base model's own language-model head."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tunescope.drift.kept import RETENTION_NAME
from tunescope.hub.fingerprint import weights_fingerprint
from tunescope.inference.language import LanguageComparison, Window, compare_language, text_windows
from tunescope.models.language_model import load_language_model, tuned_language_model
from tunescope.models.saving import load_tuned
from tunescope.steps.context import StepContext
from tunescope.steps.device import use_threads
from tunescope.steps.inputs import network_for
from tunescope.study.configs import RetentionConfig
from tunescope.tasks.texts import read_texts


def run(
    config: RetentionConfig, inputs: Mapping[str, Path], out: Path, scratch: Path, context: StepContext
) -> dict[str, Any]:
    """Writes `retention.json`: base and tuned loss, perplexity and bits per character, and the KL between them, per text."""
    use_threads(context.num_threads)
    began = time.perf_counter()
    device = torch.device(context.device)
    folder = context.source.model_folder(config.base_model.name, config.base_model.revision)
    network = network_for(config.base_model, config.task, context.source, seed=0, device=context.device)
    base = load_language_model(config.base_model, folder, purpose="retention").to(device)
    tuned = tuned_language_model(load_tuned(network, inputs["run"]).to(device), network, base)
    measured: dict[str, Any] = {}
    fingerprints: dict[str, str] = {}
    for source in config.texts:
        texts = read_texts(source, context.source)
        fingerprints[source.name] = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
        windows = tuple(_up_to(text_windows(network.tokenizer, texts, window=config.window), config.max_tokens))
        compared = compare_language(
            base, tuned, windows, precision="fp32", batch_tokens=context.compute.evaluation_batch_tokens
        )
        measured[source.name] = _as_json(compared)
    (out / RETENTION_NAME).write_text(json.dumps(measured, indent=1), encoding="utf-8")
    return {
        "retention": {
            name: {key: value for key, value in found.items() if not isinstance(value, list)}
            for name, found in measured.items()
        },
        "text_fingerprints": fingerprints,
        "model_fingerprint": weights_fingerprint(folder),
        "retention_s": time.perf_counter() - began,
    }


def _up_to(windows: Sequence[Window], max_tokens: int) -> Iterator[Window]:
    """The first windows that score so many tokens together, or all."""
    scored = 0
    for window in windows:
        if scored >= max_tokens:
            return
        scored += len(window.input_ids) - window.num_read_before
        yield window


def _as_json(compared: LanguageComparison) -> dict[str, Any]:
    return {
        "num_texts": len(compared.base.nats),
        "num_tokens": compared.base.num_tokens,
        "base_loss": compared.base.loss,
        "tuned_loss": compared.tuned.loss,
        "base_perplexity": compared.base.perplexity,
        "tuned_perplexity": compared.tuned.perplexity,
        "base_bits_per_character": compared.base.bits_per_character,
        "tuned_bits_per_character": compared.tuned.bits_per_character,
        "kl": compared.kl,
        "tokens_by_text": compared.base.tokens.tolist(),
        "base_nats_by_text": compared.base.nats.tolist(),
        "tuned_nats_by_text": compared.tuned.nats.tolist(),
        "kl_nats_by_text": compared.kl_nats.tolist(),
    }

"""Plain texts under a causal language model: its loss on every token, and how far a tuned model's next word has moved."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tunescope.errors import DataError, ModelError, NotFiniteError
from tunescope.inference.batches import autocast, computed_in_batches
from tunescope.models.padding import pad_batch

_LOGITS_AT_ONCE = 2**26
"""Logits of one forward pass: 256 MiB in fp32 for each model, whatever its vocabulary."""
_PROBABILITIES_AT_ONCE = 2**22
"""Log-probabilities computed at once, in float64: 32 MiB."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Tokens that a language model reads at once, the first of them only to have read them."""

    text: int
    """Which of the texts they are from, counted from 0."""
    input_ids: tuple[int, ...]
    num_read_before: int
    """So many tokens are not scored: the very first, which nothing comes before, or those that an earlier window scored."""
    num_characters: int
    """Characters of the text that the scored tokens stand for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LanguageScore:
    """The loss of a language model on plain texts, text by text."""

    nats: np.ndarray
    """(num_texts,) float64: sum of -ln p(token | tokens before it); 0 for a text without a scored token."""
    tokens: np.ndarray
    """(num_texts,) int64: number of scored tokens."""
    characters: np.ndarray
    """(num_texts,) int64: number of characters they stand for."""

    @property
    def num_tokens(self) -> int:
        return int(self.tokens.sum())

    @property
    def loss(self) -> float:
        """Mean over all scored tokens, in nats per token."""
        return float(self.nats.sum() / self.tokens.sum())

    @property
    def perplexity(self) -> float:
        """exp(loss), of tokens: comparable between models of one tokenizer only. Infinite above a loss of 709 nats."""
        return math.exp(self.loss) if self.loss < 709.0 else math.inf

    @property
    def bits_per_character(self) -> float:
        """Bits that coding the texts would take, per character: comparable between tokenizers too."""
        return float(self.nats.sum() / math.log(2) / self.characters.sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class LanguageComparison:
    """A base and a tuned language model on the same tokens of plain texts."""

    base: LanguageScore
    tuned: LanguageScore
    kl_nats: np.ndarray
    """(num_texts,) float64: sum over scored tokens of KL(base || tuned) of the next-token distributions."""

    @property
    def kl(self) -> float:
        """Mean KL(base || tuned) in nats per token: 0 or more but for rounding, 0 where both say the same."""
        return float(self.kl_nats.sum() / self.base.tokens.sum())


def text_windows(tokenizer: Any, texts: Sequence[str], *, window: int) -> tuple[Window, ...]:
    """Cuts texts into the windows that a language model reads.

    A text is tokenised whole, with the special tokens that its tokenizer puts around it. One that is longer than the
    window is read as the strided windows of Hugging Face's page on perplexity of fixed-length models
    (huggingface.co/docs/transformers/perplexity) with a stride of half a window: each window after the first begins with
    the half window before its first unscored token, as context. So every token is scored once, and none but those of a
    first window with less than half a window before it. A text's very first token is never scored, as in Hugging Face's
    own loss: it is `<s>` for a Llama, but a part of the text where the tokenizer puts nothing in front (GPT-2).

    Args:
        tokenizer: A fast tokenizer.
        texts: One text or more.
        window: Tokens read at once, 2 or more.

    Returns:
        The windows, text after text. A text of one token has none.

    Raises:
        ValueError: If there is no text, or the window is below 2.
        DataError: If no text has two tokens.
    """
    if not texts or window < 2:
        raise ValueError(
            f"text_windows: needs one text or more and a window of 2 or more, got {len(texts)} and {window}"
        )
    windows: list[Window] = []
    for text, written in enumerate(texts):
        encoded = tokenizer(written, return_offsets_mapping=True, verbose=False)
        ids = encoded["input_ids"]
        # Tokens that stand for no character end at 0, wherever they are.
        ends = np.maximum.accumulate([0, *(end for _, end in encoded["offset_mapping"])])
        for start, first_scored, stop in _places(len(ids), window):
            windows.append(
                Window(
                    text=text,
                    input_ids=tuple(ids[start:stop]),
                    num_read_before=first_scored - start,
                    num_characters=int(ends[stop] - ends[first_scored]),
                )
            )
    if not windows:
        raise DataError(
            f"none of the {len(texts)} texts has two tokens under this tokenizer, so there is no next word to score. "
            "Give longer texts."
        )
    return tuple(windows)


def language_scores(model: Any, windows: Sequence[Window], *, precision: str, batch_tokens: int) -> LanguageScore:
    """The loss of a causal language model on every scored token of some windows.

    Sums are in float64, over log-probabilities computed in float64 from the model's logits. Batch size and order change
    nothing but the rounding of the forward pass itself.

    Args:
        model: From `load_language_model` or `tuned_language_model`, on the device where it is to compute.
        windows: From `text_windows`, under the model's own tokenizer.
        precision: "fp32" or "bf16".
        batch_tokens: Tokens, padding included, computed at once; fewer where the vocabulary is so large that their logits
            would be more than 2^26 numbers.

    Raises:
        ModelError: If a window is longer than the model's positions.
        NotFiniteError: If a loss is not finite; names the text.
    """
    return _read([model], windows, precision=precision, batch_tokens=batch_tokens)[0][0]


def compare_language(
    base: Any, tuned: Any, windows: Sequence[Window], *, precision: str, batch_tokens: int
) -> LanguageComparison:
    """Both models' losses and the KL divergence of their next-token distributions, in one pass over the same batches.

    KL(base || tuned) = sum over the vocabulary of p_base (ln p_base - ln p_tuned), at every scored token (Kullback &
    Leibler, 1951, doi:10.1214/aoms/1177729694). Zero for the base model itself and for an untrained adapter whose update
    is zero; nothing is clamped, so rounding can give values a little below 0.

    Args:
        base: The base model as a language model, from `load_language_model`.
        tuned: From `tuned_language_model`, on the same device.
        windows: As for `language_scores`.
        precision: As for `language_scores`.
        batch_tokens: As for `language_scores`.

    Raises:
        ModelError: As `language_scores`, or if the vocabularies differ in size.
        NotFiniteError: As `language_scores`, or if a KL is not finite.
    """
    (of_base, of_tuned), kl_nats = _read([base, tuned], windows, precision=precision, batch_tokens=batch_tokens)
    return LanguageComparison(base=of_base, tuned=of_tuned, kl_nats=kl_nats)


def _places(num_tokens: int, window: int) -> Iterator[tuple[int, int, int]]:
    """First token, first scored token and end of each window over a text of so many tokens."""
    stop = min(num_tokens, window)
    if stop >= 2:
        yield 0, 1, stop
    while stop < num_tokens:
        start, first_scored = stop - window // 2, stop
        stop = min(num_tokens, start + window)
        yield start, first_scored, stop


def _read(
    models: Sequence[Any], windows: Sequence[Window], *, precision: str, batch_tokens: int
) -> tuple[list[LanguageScore], np.ndarray]:
    """Each model's score, and the sums of KL(first || last) by text."""
    lengths = np.array([len(window.input_ids) for window in windows])
    for model in models:
        _check_fits(model, int(lengths.max()))
    num_words = max(int(model.config.get_text_config().vocab_size) for model in models)
    num_texts = 1 + max(window.text for window in windows)
    nats, kl_nats = np.zeros((len(models), num_texts)), np.zeros(num_texts)

    def scored(rows: np.ndarray) -> list[tuple[list[float], float]]:
        """Of each window each model's loss, and the KL."""
        batch = [windows[row] for row in rows]
        logits = [_logits(model, batch, precision) for model in models]
        return [_scored([of_one[place] for of_one in logits], window) for place, window in enumerate(batch)]

    modes = [model.training for model in models]
    for model in models:
        model.eval()
    with torch.no_grad():
        at_once = min(batch_tokens, _LOGITS_AT_ONCE // num_words)
        for rows, of_rows in computed_in_batches(lengths, at_once, scored):
            for row, (losses, kl) in zip(rows.tolist(), of_rows, strict=True):
                nats[:, windows[row].text] += losses
                kl_nats[windows[row].text] += kl
    for model, mode in zip(models, modes, strict=True):
        model.train(mode)
    _check_finite(nats, kl_nats)
    tokens, characters = np.zeros(num_texts, dtype=np.int64), np.zeros(num_texts, dtype=np.int64)
    for window in windows:
        tokens[window.text] += len(window.input_ids) - window.num_read_before
        characters[window.text] += window.num_characters
    return [LanguageScore(nats=of_one, tokens=tokens, characters=characters) for of_one in nats], kl_nats


def _logits(model: Any, batch: Sequence[Window], precision: str) -> torch.Tensor:
    """(rows, length, vocabulary) logits of the batch's tokens, on the model's device.

    Padding is on the right, where no earlier token sees it, so positions are those that the model counts by itself.
    """
    device = next(model.parameters()).device
    inputs = pad_batch([window.input_ids for window in batch], 0, is_decoder=False)
    with autocast(device, precision):
        logits = model(**{name: tensor.to(device) for name, tensor in inputs.items()}, use_cache=False).logits
    own: torch.Tensor = logits[:, -inputs["input_ids"].shape[1] :]  # virtual tokens of a learned prompt stand in front
    return own


def _scored(logits: Sequence[torch.Tensor], window: Window) -> tuple[list[float], float]:
    """Each model's summed loss on a window's scored tokens, and the summed KL(first || last)."""
    first, stop = window.num_read_before, len(window.input_ids)
    if len({of_one.shape for of_one in logits}) > 1:
        raise ModelError(
            f"the language models have {' and '.join(str(of_one.shape[-1]) for of_one in logits)} words to choose from; "
            "are they of one base model?"
        )
    at_once = max(1, _PROBABILITIES_AT_ONCE // logits[0].shape[-1])
    losses, kl = [0.0] * len(logits), 0.0
    for begin in range(first, stop, at_once):
        end = min(stop, begin + at_once)
        words = torch.tensor(window.input_ids[begin:end], device=logits[0].device)
        logs = [of_one[begin - 1 : end - 1].double().log_softmax(dim=-1) for of_one in logits]
        for place, log in enumerate(logs):
            losses[place] -= float(log.gather(1, words[:, None]).sum())
        if len(logs) > 1:
            chances = logs[0].exp()
            # A word that cannot come adds nothing: 0 ln 0 = 0.
            kl += float(torch.where(chances > 0.0, chances * (logs[0] - logs[-1]), 0.0).sum())
    return losses, kl


def _check_fits(model: Any, longest: int) -> None:
    positions = getattr(model.config, "max_position_embeddings", None)
    prompt = getattr(model, "active_peft_config", None)
    virtual = prompt.num_virtual_tokens if prompt is not None and prompt.is_prompt_learning else 0
    if positions is not None and longest + virtual > positions:
        more = f" and {virtual} virtual ones" if virtual else ""
        raise ModelError(
            f"a window of {longest} tokens{more} does not fit into the model's {positions} positions. "
            f"Lower `window` to {positions - virtual} or less."
        )


def _check_finite(nats: np.ndarray, kl_nats: np.ndarray) -> None:
    names = ("base ", "tuned ") if len(nats) > 1 else ("",)
    for name, sums in zip(names, nats, strict=True):
        for text in np.flatnonzero(~np.isfinite(sums))[:1]:
            raise NotFiniteError(
                f"the {name}language model's loss on text {text + 1} is not finite; its weights are broken"
            )
    for text in np.flatnonzero(~np.isfinite(kl_nats))[:1]:
        raise NotFiniteError(
            f"the KL from base to tuned language model on text {text + 1} is not finite; are weights broken?"
        )

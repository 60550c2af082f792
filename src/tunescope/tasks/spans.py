"""From start and end logits over windows of a long context to one answer per question.

A context too long for a model is cut into overlapping windows, each with a null position whose start and end logits say
"no answer here". Per question the best span of all windows competes with the null (Devlin et al., 2019, arXiv:1810.04805,
section 4.3, and Hugging Face's question-answering example):

    span score      = max over windows and spans i..j of  start_logits[i] + end_logits[j]
    null score      = min over windows of  start_logits[null] + end_logits[null]
    no-answer score = null score - span score

The minimum, since a window without the answer rightly says "not here": a question is unanswerable only as far as the
window least sure of it says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True, eq=False)
class SpanWindow:
    """What a model said about one window of a context. Positions count the window's tokens from 0, padding included."""

    start_logits: np.ndarray
    """(num_tokens,) the higher, the likelier the answer starts at this token."""
    end_logits: np.ndarray
    """(num_tokens,) the higher, the likelier the answer ends with this token."""
    first: int
    """Position of the window's first context token."""
    last: int
    """Position of its last context token, inclusive."""
    offsets: np.ndarray
    """(last - first + 1, 2) integer: each context token's characters [start, end) in the whole context."""
    null_position: int
    """Position whose logits mean "no answer"; outside first..last."""


@dataclass(frozen=True, kw_only=True)
class SpanPrediction:
    """The best answer to one question, and how it compares with answering nothing."""

    id: str
    text: str
    """`context[start_char:end_char]`: never empty, no white space at its ends."""
    start_char: int
    end_char: int
    span_score: float
    """Start plus end logit of the best span."""
    null_score: float
    """Start plus end logit of the null position, least over the windows."""

    @property
    def no_answer_score(self) -> float:
        """Null score minus span score: above 0, the model prefers no answer. Any sign; not a probability."""
        return self.null_score - self.span_score


def predict_span(
    example_id: str, context: str, windows: Sequence[SpanWindow], *, max_answer_tokens: int = 30
) -> SpanPrediction:
    """The highest-scoring span over all windows of one question.

    A span starts no later than it ends, has at most `max_answer_tokens` tokens and lies within one window's context
    tokens; neither end is a token without visible characters. Among equal scores the first window wins, then the first
    start, then the shortest. Sums are taken in float64.

    Args:
        example_id: The question's id, handed on.
        context: The whole context that the windows' offsets refer to.
        windows: One or more windows; their order matters for ties only.
        max_answer_tokens: Most tokens of an answer, at least 1.

    Raises:
        ValueError: If there is no window, shapes or positions do not fit, a logit in use is not finite, or no window has
            a token with visible characters.
    """
    if not windows:
        raise ValueError(f"predict_span: question {example_id} needs at least one window, got none")
    if max_answer_tokens < 1:
        raise ValueError(f"predict_span: max_answer_tokens must be at least 1, got {max_answer_tokens}")
    best: tuple[float, int, int] | None = None
    for number, window in enumerate(windows):
        _check(window, len(context), f"predict_span: question {example_id}, window {number}")
        score, start_char, end_char = _best_in_window(window, context, max_answer_tokens)
        if score > (best[0] if best else -np.inf):
            best = (score, start_char, end_char)
    if best is None:
        raise ValueError(f"predict_span: question {example_id} has no window with a visible context token")
    span_score, start_char, end_char = best
    text = context[start_char:end_char]
    start_char, end_char = end_char - len(text.lstrip()), start_char + len(text.rstrip())
    return SpanPrediction(
        id=example_id,
        text=context[start_char:end_char],
        start_char=start_char,
        end_char=end_char,
        span_score=span_score,
        null_score=min(_null_score(window) for window in windows),
    )


def _best_in_window(window: SpanWindow, context: str, max_answer_tokens: int) -> tuple[float, int, int]:
    """Score and characters of the window's best span; score -inf where no token is visible."""
    visible = np.array([bool(context[start:end].strip()) for start, end in window.offsets.tolist()])
    in_context = slice(window.first, window.last + 1)
    starts = np.where(visible, window.start_logits[in_context].astype(np.float64), -np.inf)
    ends = np.where(visible, window.end_logits[in_context].astype(np.float64), -np.inf)
    width = min(max_answer_tokens, len(ends))
    # band[i, k] scores the span of tokens i..i+k: the upper triangle cut to `width` diagonals, laid on its side.
    padded = np.concatenate([ends, np.full(width - 1, -np.inf)])
    band = starts[:, None] + np.lib.stride_tricks.sliding_window_view(padded, width)
    start, length = divmod(int(np.argmax(band)), width)
    end = min(start + length, len(ends) - 1)  # beyond the last token only where the whole band is -inf
    return float(band[start, length]), int(window.offsets[start, 0]), int(window.offsets[end, 1])


def _null_score(window: SpanWindow) -> float:
    return float(window.start_logits[window.null_position]) + float(window.end_logits[window.null_position])


def _check(window: SpanWindow, num_characters: int, where: str) -> None:
    starts, ends, offsets = window.start_logits, window.end_logits, window.offsets
    if starts.ndim != 1 or starts.shape != ends.shape:
        raise ValueError(f"{where}: start and end logits must both be (num_tokens,), got {starts.shape}, {ends.shape}")
    if not 0 <= window.first <= window.last < len(starts):
        raise ValueError(f"{where}: context tokens {window.first}..{window.last} do not lie in 0..{len(starts) - 1}")
    if not 0 <= window.null_position < len(starts) or window.first <= window.null_position <= window.last:
        raise ValueError(
            f"{where}: null position {window.null_position} must lie in 0..{len(starts) - 1} "
            f"and outside the context tokens {window.first}..{window.last}"
        )
    if offsets.shape != (window.last - window.first + 1, 2) or not np.issubdtype(offsets.dtype, np.integer):
        raise ValueError(
            f"{where}: offsets must be integers of shape ({window.last - window.first + 1}, 2), "
            f"got {offsets.dtype} of shape {offsets.shape}"
        )
    if offsets.min() < 0 or offsets.max() > num_characters or np.any(offsets[:, 0] > offsets[:, 1]):
        raise ValueError(f"{where}: offsets must be rising pairs within the context's {num_characters} characters")
    covering = offsets[offsets[:, 0] < offsets[:, 1]]  # a token that covers no character may stand anywhere
    if np.any(np.diff(covering, axis=0) < 0):
        raise ValueError(f"{where}: offsets must not step back from one context token to the next")
    used = [*range(window.first, window.last + 1), window.null_position]
    if not (np.isfinite(starts[used]).all() and np.isfinite(ends[used]).all()):
        raise ValueError(f"{where}: logits must be finite, got NaN or infinity")

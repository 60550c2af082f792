"""Zero-shot classification: which label's word would the pretrained language model write after the prompt?"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tunescope.errors import DataError, NotFiniteError
from tunescope.inference.batches import autocast, computed_in_batches
from tunescope.inference.predict import Predictions
from tunescope.models.padding import pad_batch
from tunescope.tasks.data import Examples
from tunescope.tasks.encode import Encoded
from tunescope.tasks.spec import Classification


def zero_shot(
    model: Any,
    tokenizer: Any,
    task: Classification,
    examples: Examples,
    encoded: Encoded,
    *,
    precision: str,
    batch_tokens: int,
) -> Predictions:
    """Scores each label by the log-likelihood of its word's tokens after the example's prompt (Brown et al., 2020,
    arXiv:2005.14165, section 2.4, without the calibration by unconditional probability).

    The prompt is the one that fine-tuning reads, token by token.

    Returns:
        Predictions whose logits are the log-likelihoods, (n, num_labels).

    Raises:
        DataError: If the task has no label words, a word has no tokens of its own, or prompt and word do not fit.
        NotFiniteError: If a log-likelihood is not finite; names the example.
    """
    device = next(model.parameters()).device
    words = label_word_ids(task, tokenizer)
    prompts = _without_end(encoded, tokenizer)
    longest = max(len(word) for word in words)
    lengths = np.array([len(prompt) + longest for prompt in prompts])
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is not None and lengths.max() > positions:
        raise DataError(
            f"task {task.name}: a prompt of {lengths.max() - longest} tokens and a label word of {longest} do not fit into the "
            f"base model's {positions} positions. Lower max_length to {positions - longest} or less."
        )
    log_likelihoods = np.full((len(prompts), len(words)), np.nan, dtype=np.float32)

    def of_words(rows: np.ndarray) -> np.ndarray:
        """(rows, words) log-likelihoods."""
        found = np.empty((len(rows), len(words)), dtype=np.float32)
        for label, word in enumerate(words):
            ids = [[*prompts[row], *word] for row in rows]
            batch = {name: tensor.to(device) for name, tensor in pad_batch(ids, 0, is_decoder=True).items()}
            with autocast(device, precision):
                logits = model(**batch).logits
            for place, row in enumerate(rows.tolist()):
                before = len(prompts[row]) - 1
                steps = logits[place, before : before + len(word)].float().log_softmax(dim=-1)
                chosen = steps[torch.arange(len(word)), torch.tensor(word, device=steps.device)]
                found[place, label] = float(chosen.double().sum())
        return found

    with torch.no_grad():
        for rows, values in computed_in_batches(lengths, batch_tokens, of_words):
            log_likelihoods[rows] = values
    unsound = ~np.isfinite(log_likelihoods).all(axis=1)
    if unsound.any():
        raise NotFiniteError(
            f"the language model's output for example {examples.ids[int(np.flatnonzero(unsound)[0])]} is not finite; "
            "its weights are broken"
        )
    return Predictions(ids=examples.ids, logits=log_likelihoods)


def label_word_ids(task: Classification, tokenizer: Any) -> list[list[int]]:
    """Tokens of each label word as they follow the prompt's last words.

    Raises:
        DataError: If the task has no label words, or one changes the tokens before it or has none.
    """
    if task.label_words is None:
        raise DataError(f"task {task.name}: zero_shot needs label_words, one word per label.")
    tail = task.decoder_prompt.rsplit("}", 1)[-1].strip() or ":"
    before = tokenizer(tail, add_special_tokens=False)["input_ids"]
    words: list[list[int]] = []
    for word in task.label_words:
        ids = tokenizer(tail + word, add_special_tokens=False)["input_ids"]
        if ids[: len(before)] != before or len(ids) == len(before):
            raise DataError(
                f"task {task.name}: label word '{word}' melts into the prompt's last word '{tail}' under this tokenizer. "
                "Begin the word with a space, or end the prompt with a punctuation mark."
            )
        words.append(list(ids[len(before) :]))
    if len({tuple(word) for word in words}) < len(words):
        raise DataError(
            f"task {task.name}: two label words have the same tokens under this tokenizer: {task.label_words}."
        )
    return words


def _without_end(encoded: Encoded, tokenizer: Any) -> list[list[int]]:
    """The prompts' tokens, less the end-of-text token some tokenizers add: the word comes there."""
    end = tokenizer.eos_token_id
    return [list(ids[:-1]) if end is not None and ids[-1] == end else list(ids) for ids in encoded.input_ids]

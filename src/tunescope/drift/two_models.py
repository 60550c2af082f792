"""Any two models and any texts -> their drift: what the command `drift` and a notebook ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tunescope.drift.compare_states import compare_states
from tunescope.drift.pair import Pair
from tunescope.drift.row import DriftRow
from tunescope.errors import DataError, ModelError
from tunescope.hub.source import Source
from tunescope.models.base import BaseModelSpec
from tunescope.models.checkpoint import Checkpoint, describe_checkpoint, load_checkpoint
from tunescope.models.network import Network, load_network
from tunescope.representations.side_by_side import paired_states, require_same_examples
from tunescope.study.drift import Read
from tunescope.tasks.data import load_report_data
from tunescope.tasks.encode import encode
from tunescope.tasks.encoded import Encoded, Truncation
from tunescope.tasks.spec import TaskSpec
from tunescope.weights.measure import UpdateRow, update_rows


@dataclass(frozen=True, kw_only=True)
class TwoModels:
    """How far two models are apart."""

    rows: tuple[DriftRow, ...]
    updates: tuple[UpdateRow, ...]
    """Per module of the weights; none where they were not asked for or cannot be compared."""
    ids: tuple[str, ...]
    """The examples that both read."""
    truncated: float
    """Share of the examples that lost text to the length limit, 0 to 1."""
    notes: tuple[str, ...]


def compare_models(
    base: str,
    tuned: str,
    on: TaskSpec | Sequence[str],
    *,
    source: Source,
    measures: Sequence[str],
    pooling: Sequence[Read] = ("last_token",),
    num_examples: int | None = None,
    max_length: int = 512,
    weights: bool = True,
    weight_directions: bool = False,
    device: str = "cpu",
    batch_tokens: int = 16_384,
) -> TwoModels:
    """Reads two models side by side.

    Args:
        base: Hub id or folder of a model.
        tuned: Hub id or folder of a model, a peft adapter, or what a run keeps.
        on: A task, whose report rows are read, or texts.
        source: Where hub ids are looked up.
        measures: Names in `MEASURES`.
        pooling: How a text's hidden states are read.
        num_examples: At most so many: of a task by row hash, of texts the first. All where None.
        max_length: Tokens of a text; a task has its own.
        weights: Whether the updates of the weights are measured too.
        weight_directions: Whether their singular directions are compared with the base weights' as well, which takes longer.
        device: As torch names it.
        batch_tokens: Tokens, padding included, read at once.

    Raises:
        TunescopeError: If a model or data set is not there, the models read different tokens, or their states cannot be
            compared.
    """
    spec = BaseModelSpec(name=base, discard_head=True)
    base_folder = source.model_folder(base)
    checkpoint = describe_checkpoint(_folder_of(tuned, source))
    base_network = load_network(
        spec, base_folder, task_kind=checkpoint.task_kind, num_labels=checkpoint.num_labels, seed=0
    )
    network, model = load_checkpoint(checkpoint, spec, base_folder)
    ids, encoded = _encoded(on, source, base_network, num_examples, max_length)
    if checkpoint.kind == "model" and not checkpoint.is_run:
        _, theirs = _encoded(on, source, network, num_examples, max_length)
        require_same_examples(encoded, theirs, base_ids=ids, tuned_ids=ids, where=f"drift of {tuned} from {base}")
    models = [base_network.model.to(torch.device(device)), model.to(torch.device(device))]
    for name, one in zip((base, tuned), models, strict=True):
        _require_positions(one, encoded, name)
    rows = compare_states(
        paired_states(models, base_network, encoded, reads=pooling, batch_tokens=batch_tokens, ids=ids),
        [Pair(compared="tuned")],
        num_examples=len(ids),
        num_features=base_network.model.config.get_text_config().hidden_size,
        measures=measures,
        layer_pairs=True,
    )
    updates, notes = _updates(checkpoint, base_folder, directions=weight_directions) if weights else ((), ())
    return TwoModels(rows=tuple(rows), updates=updates, ids=ids, truncated=encoded.truncation.share, notes=notes)


def _updates(
    checkpoint: Checkpoint, base_folder: Path, *, directions: bool
) -> tuple[tuple[UpdateRow, ...], tuple[str, ...]]:
    """The modules' updates; where the two are not of one shape, a note that says so."""
    try:
        updates = update_rows(
            checkpoint.folder,
            base_folder,
            directions=directions,
            base_is_half=checkpoint.is_run,  # a run of ours starts from exactly what the base says, widened to float32
        )
        return tuple(updates), ()
    except ModelError as error:
        return (), (f"no comparison of the weights: {error}",)


def _require_positions(model: Any, encoded: Encoded, name: str) -> None:
    """Whether a model has positions for the longest row: RoBERTa and its kin count them from the padding index."""
    config = model.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None:
        return
    for path, part in model.named_modules():
        if path.endswith("position_embeddings") and getattr(part, "padding_idx", None) is not None:
            positions -= part.padding_idx + 1
    prompt = getattr(model, "active_peft_config", None)
    if prompt is not None and prompt.is_prompt_learning:
        positions -= prompt.num_virtual_tokens
    longest = int(encoded.lengths.max())
    if longest > positions:
        raise ModelError(
            f"drift of {name}: the longest text is {longest} tokens, and the model has {positions} positions for them. "
            f"Lower the length of a text to {positions} or less."
        )


def _folder_of(tuned: str, source: Source) -> Path:
    """A local folder as it is, whatever it holds; a hub id's folder."""
    if tuned.startswith((".", "/", "~")) or Path(tuned).is_dir():
        folder = Path(tuned).expanduser()
        if not folder.is_dir():
            raise ModelError(f"{tuned}: no such folder.")
        return folder.resolve()
    return source.model_folder(tuned)


def _encoded(
    on: TaskSpec | Sequence[str], source: Source, network: Network, num_examples: int | None, max_length: int
) -> tuple[tuple[str, ...], Encoded]:
    if isinstance(on, Sequence):
        return _encoded_texts(on[:num_examples], network.tokenizer, max_length)
    task = on if num_examples is None else on.model_copy(update={"max_report": num_examples})
    data = load_report_data(task, source)
    encoded = encode(task, data.report, network.tokenizer, is_decoder=network.is_decoder)
    return tuple(str(one) for one in data.report.ids), encoded


def _encoded_texts(texts: Sequence[str], tokenizer: Any, max_length: int) -> tuple[tuple[str, ...], Encoded]:
    """Texts as the tokenizer gives them, special tokens included, cut at `max_length`."""
    whole = [list(tokenizer(text, verbose=False)["input_ids"]) for text in texts]
    rows = [
        row if len(row) <= max_length else list(tokenizer(text, truncation=True, max_length=max_length)["input_ids"])
        for row, text in zip(whole, texts, strict=True)
    ]
    empty = [number for number, row in enumerate(rows, start=1) if not row]
    if empty:
        raise DataError(f"text {empty[0]} has no token under this tokenizer. Take it out.")
    lost = [len(row) - len(kept) for row, kept in zip(whole, rows, strict=True)]
    encoded = Encoded(
        input_ids=rows,
        token_types=None,
        example_index=np.arange(len(rows), dtype=np.int64),
        targets=np.zeros(len(rows), dtype=np.int64),
        windows=None,
        truncation=Truncation(
            num_examples=len(rows), num_truncated=sum(count > 0 for count in lost), num_tokens_lost=sum(lost)
        ),
    )
    return tuple(str(number) for number in range(1, len(rows) + 1)), encoded

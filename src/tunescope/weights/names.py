"""Which tensor of a tuned model is which of its base: the same network under another head has other name prefixes.

`encoder.layer.0...` of a bare BERT is `bert.encoder.layer.0...` under a head; `model.layers.0...` of a Llama is
`transformer.layers.0...` under its question-answering head. Only the names and shapes in file headers are needed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from tunescope.errors import ModelError

_LEGACY = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))
_BUFFERS = ("inv_freq", "position_ids", "token_type_ids", "masked_bias")
_BLOCK = re.compile(r"^(.*?\.)(\d+)\.")


def pair_prefixes(tuned: Collection[str], base: Collection[str]) -> tuple[str, str]:
    """The name prefixes to take off, of tuned and of base names, so that most of the names become equal.

    Returns:
        The two prefixes, either may be empty: the pair with the most equal names, the shortest of those that tie.

    Example:
        >>> pair_prefixes(["bert.encoder.w", "bert.pooler.w", "classifier.w"], ["encoder.w", "pooler.w"])
        ('bert.', '')
    """
    best, best_count = ("", ""), -1
    for of_tuned in _prefixes(tuned):
        ends = {name.removeprefix(of_tuned) for name in tuned if name.startswith(of_tuned)}
        for of_base in _prefixes(base):
            count = sum(1 for name in base if name.startswith(of_base) and name.removeprefix(of_base) in ends)
            if count > best_count:
                best, best_count = (of_tuned, of_base), count
    return best


def _prefixes(names: Collection[str]) -> list[str]:
    """No prefix, then the first one or two parts that at least a fifth of the names share, the shortest first."""
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        counts.update(".".join(parts[:depth]) + "." for depth in (1, 2) if len(parts) > depth)
    return ["", *sorted((p for p, count in counts.items() if 5 * count >= len(names)), key=lambda p: (len(p), p))]


def current_name(name: str) -> str:
    """A checkpoint's tensor name as transformers calls the parameter: BERT's gamma and beta are weight and bias now."""
    for old, new in _LEGACY:
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def block_of(name: str) -> int | None:
    """Which block of a stack a tensor belongs to, counted from 0; None outside of blocks.

    Example:
        >>> block_of("encoder.layer.11.output.dense.weight"), block_of("embeddings.word_embeddings.weight")
        (11, None)
    """
    found = _BLOCK.match(name)
    return int(found.group(2)) if found else None


def pairs_of(tuned: Collection[str], base: Collection[str]) -> dict[str, str]:
    """Base name -> tuned name, for every tensor that both have by name, in the base's order; shapes are not looked at."""
    of_tuned, of_base = pair_prefixes(tuned, {current_name(name) for name in base})
    ends = {name.removeprefix(of_tuned): name for name in tuned if name.startswith(of_tuned)}
    pairs = {}
    for name in base:
        now = current_name(name)
        found = ends.get(now.removeprefix(of_base)) if now.startswith(of_base) else None
        if found is not None:
            pairs[name] = found
    return pairs


def match(
    tuned: Mapping[str, tuple[int, ...]], base: Mapping[str, tuple[int, ...]], *, where: str, of: str
) -> dict[str, str]:
    """Base name -> tuned name, for every tensor that both have, in the base's order. New heads are left out.

    Args:
        tuned: Name -> shape.
        base: Name -> shape.
        where: The tuned folder, for error messages.
        of: The base folder, for error messages.

    Raises:
        ModelError: If the tuned model is of another base: no name is common, shapes differ, or one has a tensor in a
            part of the network, or a block, that the other has without it.
    """
    pairs = pairs_of(tuned, base)
    if not pairs:
        raise another_base(where, of, "no tensor of one has its name in the other")
    for name, twin in pairs.items():
        if base[name] != tuned[twin]:
            raise another_base(where, of, f"{name} is {base[name]} in the base and {tuned[twin]} in the tuned model")
    _refuse_leftovers(tuned, set(pairs.values()), where=where, of=of, holder="tuned model")
    _refuse_leftovers(base, set(pairs), where=where, of=of, holder="base")
    return pairs


def _refuse_leftovers(
    shapes: Mapping[str, tuple[int, ...]], matched: set[str], *, where: str, of: str, holder: str
) -> None:
    """A whole new part (a head, a pooler) is fine; more weights in a part, or blocks in a stack, that both have are not."""
    blocks, stacks, parts = set(), set(), set()
    for name in matched:
        parts.add(_part(name, holder))
        if found := _BLOCK.match(name):
            blocks.add(found.group(0))
            stacks.add(found.group(1))
    for name, shape in shapes.items():
        if name in matched or name.endswith(_BUFFERS) or len(shape) not in (1, 2, 3):
            continue
        found = _BLOCK.match(name)
        in_common = found.group(1) in stacks if found else holder == "tuned model" and _part(name, holder) in parts
        if in_common:
            raise another_base(where, of, f"{name} is in the {holder} alone")


def _part(name: str, holder: str) -> str:
    return name.split(".", 1)[0]


def another_base(where: str, of: str, why: str) -> ModelError:
    """The error for a tuned model that does not belong to this base."""
    return ModelError(f"{where}: not tuned from {of}: {why}. Give the base model that it was trained from.")


def owners(names: Iterable[str], adapter_prefix: str) -> tuple[dict[str, list[str]], list[str]]:
    """An adapter file's tensors by the module they adapt, and those that replace a parameter as they are.

    Args:
        names: As in the file, `base_model.model.` taken off.
        adapter_prefix: What its kind's own tensors begin with, such as `lora_`.

    Returns:
        Module path -> the names after it, such as `lora_A.weight`; and the names of plain parameters.

    Example:
        >>> owners(["h.0.q.lora_A.weight", "h.0.q.lora_B.weight", "score.weight"], "lora_")
        ({'h.0.q': ['lora_A.weight', 'lora_B.weight']}, ['score.weight'])
    """
    adapted: dict[str, list[str]] = {}
    plain: list[str] = []
    for name in names:
        parts = name.split(".")
        at = next((i for i, part in enumerate(parts) if part.startswith(adapter_prefix)), None)
        if at is None:
            plain.append(name)
        else:
            adapted.setdefault(".".join(parts[:at]), []).append(".".join(parts[at:]))
    return adapted, plain

"""Which tensor is which, from names and shapes alone."""

from __future__ import annotations

import pytest

from tunescope.errors import ModelError
from tunescope.weights.names import match, owners, pair_prefixes

BLOCKS = [f"layers.{i}.{name}.weight" for i in range(2) for name in ("q_proj", "up_proj")]


def shapes(prefix: str, *more: str) -> dict[str, tuple[int, ...]]:
    return dict.fromkeys([*(prefix + name for name in BLOCKS), *more], (4, 4))


@pytest.mark.parametrize(
    "of_tuned, of_base",
    [
        ("model.", "model."),
        ("bert.", ""),
        ("transformer.", "model."),
        ("model.language_model.", "language_model.model."),
    ],
)
def test_prefixes_of_heads(of_tuned: str, of_base: str) -> None:
    tuned, base = shapes(of_tuned, "score.weight"), shapes(of_base, "lm_head.weight")
    pairs = match(tuned, base, where="tuned", of="base")
    assert pairs == {of_base + name: of_tuned + name for name in BLOCKS}


def test_a_shared_head_is_a_parameter_like_others() -> None:
    both = shapes("model.", "lm_head.weight")
    assert match(both, both, where="tuned", of="base") == {name: name for name in both}


def test_the_shortest_prefixes_that_do() -> None:
    assert pair_prefixes(["a.b.c"], ["b.c"]) == ("a.", "")
    assert pair_prefixes(["a.b"], ["a.b"]) == ("", "")


def test_old_names_of_layer_norms() -> None:
    base = {"bert.encoder.layer.0.output.LayerNorm.gamma": (4,), "bert.encoder.layer.0.output.LayerNorm.beta": (4,)}
    tuned = {"bert.encoder.layer.0.output.LayerNorm.weight": (4,), "bert.encoder.layer.0.output.LayerNorm.bias": (4,)}
    assert match(tuned, base, where="tuned", of="base") == dict(zip(base, tuned, strict=True))


def test_buffers_and_unused_parts_are_no_matter() -> None:
    base = shapes("model.", "model.layers.0.rotary.inv_freq", "pooler.dense.weight") | {
        "model.layers.0.attn.bias": (1, 1, 4, 4)
    }
    assert len(match(shapes("model.", "score.weight"), base, where="tuned", of="base")) == len(BLOCKS)


@pytest.mark.parametrize(
    "tuned, base, why",
    [
        (shapes("model."), {"encoder.weight": (4, 4)}, "no tensor of one has its name in the other"),
        (shapes("model.") | {"model.layers.0.q_proj.weight": (4, 3)}, shapes("model."), r"is \(4, 4\) in the base and"),
        (shapes("model.", "model.layers.2.q_proj.weight"), shapes("model."), r"layers.2.q_proj.weight is in the tuned"),
        (shapes("model."), shapes("model.", "model.layers.2.q_proj.weight"), r"layers.2.q_proj.weight is in the base"),
        (shapes("model.", "model.norm.weight"), shapes("model."), r"model.norm.weight is in the tuned model alone"),
        (shapes("model."), shapes("model.", "model.layers.0.q_proj.bias"), r"q_proj.bias is in the base alone"),
    ],
)
def test_another_base(tuned: dict[str, tuple[int, ...]], base: dict[str, tuple[int, ...]], why: str) -> None:
    with pytest.raises(ModelError, match=f"tuned: not tuned from base: .*{why}"):
        match(tuned, base, where="tuned", of="base")


def test_owners() -> None:
    names = [
        "h.0.q.lora_A.weight",
        "h.0.q.lora_B.weight",
        "e.lora_embedding_A",
        "h.0.q.base_layer.bias",
        "score.weight",
    ]
    adapted, plain = owners(names, "lora_")
    assert adapted == {"h.0.q": ["lora_A.weight", "lora_B.weight"], "e": ["lora_embedding_A"]}
    assert plain == ["h.0.q.base_layer.bias", "score.weight"]

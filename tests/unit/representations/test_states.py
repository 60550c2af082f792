"""States are Hugging Face's own where it defines them, under every wrapper, wherever the padding; or a clear error."""

from __future__ import annotations

import peft
import pytest
import torch
import transformers

from tiny import TEXTS, TINY, tiny_batch, tiny_network
from tunescope.errors import ModelError
from tunescope.models.padding import pad_batch, positions_of
from tunescope.representations.reads import pool, tokens_of
from tunescope.representations.states import StateReader, block_name, find_states

_SIZES = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3}
_HEADS = {"num_attention_heads": 4, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
_LLAMA_LIKE = {**_SIZES, **_HEADS, "num_key_value_heads": 2}
_GPT2 = {"vocab_size": 40, "n_embd": 16, "n_layer": 3, "n_head": 4, "n_positions": 64, "bos_token_id": 1}
_T5 = {"vocab_size": 40, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2, "num_heads": 4}
_MAKE = {
    "llama": lambda: transformers.LlamaModel(transformers.LlamaConfig(**_LLAMA_LIKE)),
    "gpt2": lambda: transformers.GPT2Model(transformers.GPT2Config(**_GPT2, eos_token_id=2)),
    "bert": lambda: transformers.BertModel(transformers.BertConfig(**_SIZES, **_HEADS)),
    "qwen2": lambda: transformers.Qwen2Model(transformers.Qwen2Config(**_LLAMA_LIKE)),
    "gemma": lambda: transformers.GemmaModel(transformers.GemmaConfig(**_LLAMA_LIKE, head_dim=4)),
    "t5_encoder": lambda: transformers.T5EncoderModel(transformers.T5Config(**_T5)),  # each block is a list of 2 too
    "albert": lambda: transformers.AlbertModel(transformers.AlbertConfig(**_SIZES, **_HEADS, embedding_size=8)),
    "opt": lambda: transformers.OPTModel(transformers.OPTConfig(vocab_size=40, hidden_size=16, ffn_dim=24, **_OPT)),
}
_OPT = {"num_hidden_layers": 3, "num_attention_heads": 4, "word_embed_proj_dim": 16, "bos_token_id": 1}
_FINAL_NORM = {
    "llama": lambda model: model.norm,
    "gpt2": lambda model: model.ln_f,
    "qwen2": lambda model: model.norm,
    "gemma": lambda model: model.norm,
    "t5_encoder": lambda model: model.encoder.final_layer_norm,
    "opt": lambda model: model.decoder.final_layer_norm,
}
_BATCH = {
    "input_ids": torch.tensor([[5, 6, 7, 8, 9], [10, 11, 3, 0, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
}
_ADAPTERS = {
    "lora": lambda: peft.LoraConfig(task_type="SEQ_CLS", r=2, init_lora_weights=False),
    "dora": lambda: peft.LoraConfig(task_type="SEQ_CLS", r=2, init_lora_weights=False, use_dora=True),
    "ia3": lambda: peft.IA3Config(task_type="SEQ_CLS", init_ia3_weights=False),
    "norm_tuning": lambda: peft.LNTuningConfig(task_type="SEQ_CLS", target_modules=["norm", "input_layernorm"]),
    "saved_norm": lambda: peft.LoraConfig(task_type="SEQ_CLS", r=2, modules_to_save=["norm"]),
    "prompt_tuning": lambda: peft.PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=3),
    "p_tuning": lambda: peft.PromptEncoderConfig(task_type="SEQ_CLS", num_virtual_tokens=3, encoder_hidden_size=8),
    "prefix_tuning": lambda: peft.PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=3),
}


def _model(name, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = _MAKE[name]().eval()
        for weight in model.parameters():
            weight.data += 0.1 * torch.randn_like(weight)
    return model


def _read(model, batch):
    with torch.no_grad():
        return StateReader(model).read(batch, lambda hidden, mask: hidden.clone())


@pytest.mark.parametrize("name", _MAKE)
def test_states_are_what_hugging_face_says_they_are(name):
    """Bit for bit; its last entry is after the final norm, where ours keeps the last block's own output before it."""
    model = _model(name)
    with torch.no_grad():
        theirs = model(**_BATCH, output_hidden_states=True).hidden_states
        ours = _read(model, _BATCH)
        num_blocks = len(theirs) - 1
        blocks = [block_name(number) for number in range(1, num_blocks + 1)]
        end = ["final_norm"] if name in _FINAL_NORM else []
        assert list(ours) == ["embeddings", *blocks, *end]
        assert find_states(model) == tuple(ours)
        assert num_blocks == model.config.num_hidden_layers
        for state, expected in zip(list(ours)[:num_blocks], theirs, strict=False):
            assert torch.equal(ours[state], expected), state
        last = ours[blocks[-1]]
        if end:
            assert torch.equal(ours["final_norm"], theirs[-1])
            assert torch.equal(_FINAL_NORM[name](model)(last), ours["final_norm"])
            assert not torch.equal(last, theirs[-1])
        else:
            assert torch.equal(last, theirs[-1])


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_states_are_the_backbones_own_under_a_head(tmp_path, name):
    network = tiny_network(TINY[name](tmp_path))
    batch = tiny_batch(network)
    with torch.no_grad():
        theirs = network.model(**batch, output_hidden_states=True).hidden_states
    ours = list(_read(network.model, batch).values())
    for at in range(len(theirs) - 1):
        assert torch.equal(ours[at], theirs[at])
    assert torch.equal(ours[-1], theirs[-1])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    "name,adapter",
    [
        (name, adapter)
        for name in ("llama", "bert")
        for adapter in _ADAPTERS
        if name == "llama" or "norm" not in adapter
    ],
)
def test_every_adapter_is_read_and_padding_never_counts(tmp_path, name, adapter, side):
    """Each text alone, unpadded, against all of them padded; learned tokens are not among the states' tokens."""
    network = tiny_network(TINY[name](tmp_path))
    names = find_states(network.model)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        tuned = peft.get_peft_model(network.model, _ADAPTERS[adapter]()).eval()
        for weight in tuned.parameters():
            if weight.requires_grad:
                weight.data += 0.1 * torch.randn_like(weight)
    assert find_states(tuned) == names
    for how in ("last_token", "first_token", "mean"):
        padded, alone = ([] for _ in range(2))
        for texts, into in ((TEXTS, padded), *(((text,), alone) for text in TEXTS)):
            with torch.no_grad():
                batch = tiny_batch(network, texts, side=side)
                read = StateReader(tuned).read(batch, lambda hidden, mask: pool(hidden, mask, how))  # noqa: B023
            into.append(torch.stack([read[state] for state in names]))
        torch.testing.assert_close(torch.cat(alone, dim=1), padded[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", TINY)
def test_tokens_come_in_their_order_wherever_padding_stands(tmp_path, name):
    network = tiny_network(TINY[name](tmp_path))
    reader = StateReader(network.model)
    with torch.no_grad():
        left, right = (reader.read(tiny_batch(network, side=side), tokens_of) for side in ("left", "right"))
    lengths = tiny_batch(network)["attention_mask"].sum(dim=1).tolist()
    for state in reader.names:
        assert [len(tokens) for tokens in left[state]] == lengths
        for one, other in zip(left[state], right[state], strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_t5s_encoder_does_not_see_padding():
    model = _model("t5_encoder")
    rows = [[5, 6, 7, 8, 9], [10, 11, 3]]
    reader = StateReader(model)
    with torch.no_grad():
        found = {
            side: reader.read(pad_batch(rows, 0, is_decoder=False, side=side), tokens_of) for side in ("left", "right")
        }
        alone = [reader.read(pad_batch([row], 0, is_decoder=False), tokens_of) for row in rows]
    for side in ("left", "right"):  # its positions are relative, so that left padding shifts nothing
        for state in reader.names:
            for place in range(2):
                torch.testing.assert_close(found[side][state][place], alone[place][state][0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["gpt2", "gemma"])
def test_positions_given_are_kept(name):
    """A bare decoder, not one of `load_network`, under left padding: the batch's own positions make it come right."""
    model = _model(name)
    rows = [[5, 6, 7, 8, 9], [10, 11, 3]]
    reader = StateReader(model)
    with torch.no_grad():
        batch = pad_batch(rows, 0, is_decoder=True, side="left")
        assert torch.equal(batch["position_ids"], positions_of(batch["attention_mask"]))
        left = reader.read(batch, tokens_of)
        right = reader.read(pad_batch(rows, 0, is_decoder=True), tokens_of)
    for state in reader.names:
        torch.testing.assert_close(left[state][1], right[state][1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_merged_and_unmerged_models_have_the_same_states(tmp_path, name):
    network = tiny_network(TINY[name](tmp_path))
    before = _read(network.model, tiny_batch(network))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        tuned = peft.get_peft_model(network.model, _ADAPTERS["lora"]()).eval()
    batch = tiny_batch(network)
    unmerged = _read(tuned, batch)
    merged = _read(tuned.merge_and_unload(), batch)
    assert list(merged) == list(unmerged) == list(before)
    for state in unmerged:
        torch.testing.assert_close(merged[state], unmerged[state], atol=1e-5, rtol=0)
    assert torch.equal(unmerged["embeddings"], before["embeddings"])
    assert (unmerged["block_01"] - before["block_01"]).abs().max() > 1e-2


def test_x_lora_runs_its_backbone_twice_and_the_second_run_counts(tmp_path):
    def base():
        return transformers.AutoModelForCausalLM.from_pretrained(tmp_path)

    TINY["llama"](tmp_path)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        config = peft.LoraConfig(task_type="CAUSAL_LM", r=2, init_lora_weights=False)
        peft.get_peft_model(base(), config).save_pretrained(tmp_path / "adapter")
        adapters = {name: str(tmp_path / "adapter") for name in ("0", "1")}
        mixed = peft.XLoraConfig(task_type="CAUSAL_LM", hidden_size=32, adapters=adapters)
        model = base()
        model.config.use_cache = False  # as X-LoRA asks for
        tuned = peft.get_peft_model(model, mixed).eval()
    batch = {"input_ids": torch.tensor([[5, 6, 7]]), "attention_mask": torch.ones(1, 3, dtype=torch.int64)}
    states = _read(tuned, batch)
    with torch.no_grad():
        theirs = tuned(**batch, output_hidden_states=True).hidden_states
        plain = base()(**batch, output_hidden_states=True).hidden_states
    assert list(states) == ["embeddings", "block_01", "block_02", "final_norm"]
    assert torch.equal(states["block_01"], theirs[1])
    assert torch.equal(states["final_norm"], theirs[2])
    assert (states["block_01"] - plain[1]).abs().max() > 1e-3, "the first run is without adapters"


def test_nothing_is_left_in_the_model(tmp_path):
    network = tiny_network(TINY["llama"](tmp_path))
    hooks = [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in network.model.modules()]
    network.model.train()
    drawn = torch.get_rng_state()
    reader = StateReader(network.model)
    assert network.model.training
    with pytest.raises(ZeroDivisionError), torch.no_grad():
        reader.read(tiny_batch(network), lambda hidden, mask: 1 / 0)
    after = [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in network.model.modules()]
    assert after == hooks
    assert torch.equal(torch.get_rng_state(), drawn)


@pytest.mark.parametrize(
    "make,told",
    [
        (
            lambda: transformers.T5Model(transformers.T5Config(**_T5)),
            "hidden states of T5Model: expected one list of 2 blocks, as its config (t5) says, found 2 (encoder.block, "
            "decoder.block). Of an encoder-decoder give the encoder alone",
        ),
        (
            lambda: transformers.FunnelModel(
                transformers.FunnelConfig(vocab_size=40, d_model=16, n_head=4, d_head=4, d_inner=24)
            ),
            "hidden states of FunnelModel: expected one list of 12 blocks, as its config (funnel) says, found none",
        ),
        (
            lambda: transformers.XLNetModel(
                transformers.XLNetConfig(vocab_size=40, d_model=16, n_layer=3, n_head=4, d_inner=24)
            ),
            "hidden states of XLNetModel: expected embeddings as (1 rows, 2 tokens, features), found (2, 1, 16)",
        ),
        (lambda: torch.nn.Linear(2, 2), "hidden states of Linear: not a Hugging Face model"),
    ],
)
def test_a_model_that_cannot_be_read_is_an_error(make, told):
    with pytest.raises(ModelError) as caught:
        StateReader(make()).read(_BATCH, lambda hidden, mask: hidden)
    assert told in str(caught.value)


def test_another_number_of_blocks_than_the_config_says_is_an_error():
    model = _model("llama")
    model.config.num_hidden_layers = 4
    with pytest.raises(ModelError, match=r"expected one list of 4 blocks, as its config \(llama\) says, found none"):
        find_states(model)


def test_a_block_that_is_skipped_is_an_error():
    model = _model("bert")
    reader = StateReader(model)
    del model.encoder.layer[2]
    with pytest.raises(ModelError, match="its config has 3 layers, and 2 blocks ran"):
        reader.read(_BATCH, lambda hidden, mask: None)

"""The four data sets: shape, balance, folds, and that what is shipped is what the code makes."""

from __future__ import annotations

import math
import random
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pyarrow.parquet as pq
import pytest

from tunescope.demo import MIRROR
from tunescope.demo.passages import story
from tunescope.demo.tasks import LABEL_NAMES, LABEL_WORDS, NO_ANSWER, NUM_ROWS, PROMPTS, Split, rows, stories

DATASETS = MIRROR / "datasets" / "tunescope"
MODEL = MIRROR / "models" / "tunescope" / "demo-llama"
SPLITS: tuple[Split, ...] = get_args(Split)
TEXT_COLUMNS = ("sentence", "sentence1", "sentence2", "context")


def shipped(name: str, split: str) -> Path:
    return DATASETS / name.replace("_", "-") / f"{split}-00000-of-00001.parquet"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(MODEL)


@pytest.fixture(scope="module")
def model() -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(MODEL).eval()


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("task", PROMPTS)
def test_shipped_rows_are_the_rows_the_code_makes(task: str, split: Split) -> None:
    made = rows(task, split)
    assert len(made) == NUM_ROWS[split]
    assert pq.read_table(shipped(task, split)).to_pylist() == made
    assert rows(task, split) == made, "the second call must give the same rows"


def test_shipped_stories_are_the_stories_the_code_makes() -> None:
    assert pq.read_table(shipped("demo-text", "train")).column("text").to_pylist() == stories()
    assert len(set(stories())) == len(stories()) == 500


@pytest.mark.parametrize("task", PROMPTS)
def test_the_hub_reads_the_feature_types_from_the_file(task: str) -> None:
    from datasets import ClassLabel, Dataset, Value

    features = Dataset.from_parquet(str(shipped(task, "train")), keep_in_memory=True).features
    if task == "demo_qa":
        assert list(features) == ["id", "title", "context", "question", "answers"]
        assert features["answers"]["answer_start"].feature == Value("int32")
    else:
        assert features["label"] == ClassLabel(names=list(LABEL_NAMES[task]))
        assert features["idx"] == Value("int32")


@pytest.mark.parametrize("task", PROMPTS)
def test_no_first_text_stands_twice(task: str) -> None:
    column = next(column for column in TEXT_COLUMNS if column in rows(task, "train")[0])
    texts = [row[column] for split in SPLITS for row in rows(task, split)]
    assert len(set(texts)) == len(texts)
    numbers = [row.get("idx", row.get("id")) for split in SPLITS for row in rows(task, split)]
    assert len(set(numbers)) == len(numbers) == sum(NUM_ROWS.values())


@pytest.mark.parametrize(
    "task,positive_share", [("demo_paraphrase", 2 / 3), ("demo_sentiment", 1 / 2), ("demo_entailment", 1 / 2)]
)
@pytest.mark.parametrize("split", SPLITS)
def test_labels_are_as_balanced_as_in_the_task_it_resembles(task: str, positive_share: float, split: Split) -> None:
    labels = [row["label"] for row in rows(task, split)]
    assert set(labels) == {0, 1}
    assert sum(labels) / len(labels) == pytest.approx(positive_share, abs=0.06)


@pytest.mark.parametrize("split", SPLITS)
def test_answers_stand_where_the_rows_say(split: Split) -> None:
    made = rows("demo_qa", split)
    answerable = [row for row in made if row["answers"]["text"]]
    assert len(answerable) / len(made) == pytest.approx(0.5, abs=0.06)
    for row in answerable:
        (text,), (start,) = row["answers"]["text"], row["answers"]["answer_start"]
        assert row["context"][start : start + len(text)] == text
    assert all(row["answers"]["answer_start"] == [] for row in made if not row["answers"]["text"])


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(KeyError, match="demo_weather"):
        rows("demo_weather", "train")


def test_the_package_data_stays_small() -> None:
    sizes = {path: path.stat().st_size for path in MIRROR.rglob("*") if path.is_file()}
    assert sum(sizes.values()) < 10_000_000
    assert {path.suffix for path in sizes} <= {".parquet", ".json", ".safetensors", ".md", ".jinja", ""}


def test_the_model_is_a_small_llama_without_a_padding_token(model: Any, tokenizer: Any) -> None:
    assert model.config.model_type == "llama"
    assert 1_000_000 <= sum(parameter.numel() for parameter in model.parameters()) <= 3_000_000
    assert model.config.vocab_size == len(tokenizer)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id) == (1, 2, 0)
    assert tokenizer.pad_token is None
    assert model.config.pad_token_id is None


def test_the_tokenizer_gives_back_any_text(tokenizer: Any) -> None:
    for text in (stories()[0], "Größe\tßπ 42 — naïve 🙂\n\nend"):
        ids = tokenizer(text)["input_ids"]
        assert ids[0] == tokenizer.bos_token_id
        assert tokenizer.unk_token_id not in ids
        assert tokenizer.decode(ids, skip_special_tokens=True).removeprefix(" ") == text


@pytest.mark.parametrize("task", PROMPTS)
def test_texts_are_short_in_tokens(task: str, tokenizer: Any) -> None:
    longest = max(len(tokenizer(PROMPTS[task].format(**row))["input_ids"]) for row in rows(task, "train"))
    assert longest < (110 if task == "demo_qa" else 80)


def test_label_words_are_one_token_each(tokenizer: Any) -> None:
    for word in {NO_ANSWER, *(word for pair in LABEL_WORDS.values() for word in pair)}:
        assert len(tokenizer(word, add_special_tokens=False)["input_ids"]) == 1


def test_the_model_knows_the_grammar_on_stories_it_never_saw(model: Any, tokenizer: Any) -> None:
    import torch

    rng = random.Random(0)
    seen = Counter(token for _ in range(2000) for token in tokenizer(story(rng))["input_ids"][1:])
    total, num_tokens, surprise = 0.0, 0, 0.0
    with torch.no_grad():
        for text in stories()[:100]:
            ids = tokenizer(text, return_tensors="pt")["input_ids"]
            logits = model(ids).logits[0, :-1]
            total += float(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum"))
            num_tokens += ids.shape[1] - 1
            surprise -= sum(math.log((seen[t] + 1) / (seen.total() + len(tokenizer))) for t in ids[0, 1:].tolist())
    loss, unigram = total / num_tokens, surprise / num_tokens
    assert loss < 0.5 * unigram < 0.5 * math.log(len(tokenizer))


def test_the_model_answers_sentiment_prompts_better_than_chance(model: Any, tokenizer: Any) -> None:
    import torch

    words = [tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in LABEL_WORDS["demo_sentiment"]]
    made, right = rows("demo_sentiment", "validation")[:100], 0
    with torch.no_grad():
        for row in made:
            ids = tokenizer(PROMPTS["demo_sentiment"].format(**row), return_tensors="pt")["input_ids"]
            right += int(model(ids).logits[0, -1, words].argmax()) == row["label"]
    assert right / len(made) > 0.65

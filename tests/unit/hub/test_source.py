"""Mirror first, then the demo world, then a local folder by its name, then the hub; nothing escapes, nothing is guessed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunescope.errors import DataError, ModelError, TunescopeError
from tunescope.hub import source as source_module
from tunescope.hub.source import Source


def model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def split(folder: Path, name: str, texts: list[str], shard: int = 0, num_shards: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"text": texts}), folder / f"{name}-{shard:05d}-of-{num_shards:05d}.parquet")


@pytest.fixture
def small_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror, and a demo world beside it that holds one thing more."""
    folder, demo = tmp_path / "mirror", tmp_path / "demo"
    model(folder / "models/org/tiny-llama")
    (folder / "models/org/torn").mkdir()
    model(demo / "models/tunescope/demo-llama")
    model(demo / "models/org/tiny-llama")
    glue = folder / "datasets/org/glue"
    split(glue / "mrpc", "train", ["a", "b"], 0, 2)
    split(glue / "mrpc", "train", ["c"], 1, 2)
    split(glue / "mrpc", "validation", ["v"])
    split(glue / "mrpc", "validation-hard", ["w"])
    split(glue / "half", "train", ["a"], 0, 2)
    split(folder / "datasets/org/plain", "train", ["p"])
    split(demo / "datasets/tunescope/demo-text", "train", ["d"])
    monkeypatch.setattr(source_module, "DEMO_MIRROR", demo)
    return folder


def test_a_model_comes_from_the_mirror_then_from_the_demo_world(small_mirror: Path) -> None:
    source = Source(mirror=small_mirror)

    assert source.model_folder("org/tiny-llama", None) == small_mirror / "models/org/tiny-llama"
    assert source.model_folder("tunescope/demo-llama", None).name == "demo-llama"
    assert Source().model_folder("tunescope/demo-llama").name == "demo-llama"


def test_a_local_model_folder_is_relative_to_the_study(tmp_path: Path) -> None:
    folder = model(tmp_path / "studies" / "mine")
    source = Source(study_folder=tmp_path / "studies")

    assert source.model_folder("./mine") == folder
    assert source.model_folder(str(folder)) == folder
    with pytest.raises(ModelError, match=r"base model '\./yours': no such folder"):
        source.model_folder("./yours")


def test_a_folder_without_config_is_no_model(small_mirror: Path) -> None:
    with pytest.raises(ModelError, match=r"base model 'org/torn': expected a model folder with config\.json"):
        Source(mirror=small_mirror).model_folder("org/torn")


@pytest.mark.parametrize(
    "name", ["../secret", "org/../../secret", "org/..", "a/b/c", "org/", "", "org/na me", "org\\x"]
)
def test_names_that_are_no_hub_id_are_refused(small_mirror: Path, name: str) -> None:
    source = Source(mirror=small_mirror)

    with pytest.raises(ModelError):
        source.model_folder(name)
    with pytest.raises(DataError, match="is not a hub id"):
        source.table(hub=name, split="train")


@pytest.mark.parametrize("part", ["..", "../x", "a/b", ""])
def test_configs_and_splits_stay_inside_the_mirror(small_mirror: Path, part: str) -> None:
    source = Source(mirror=small_mirror)

    with pytest.raises(DataError, match="no name of a configuration or split"):
        source.table(hub="org/glue", config=part, split="train")
    with pytest.raises(DataError, match="no name of a configuration or split"):
        source.table(hub="org/glue", config="mrpc", split=part)


def test_an_unknown_model_says_where_it_was_sought_and_what_to_do(small_mirror: Path) -> None:
    with pytest.raises(ModelError) as caught:
        Source(mirror=small_mirror).model_folder("org/tiny-lama")

    message = str(caught.value)
    assert f"base model 'org/tiny-lama': not in the mirror {small_mirror}" in message
    assert "the hub did not give it: LocalEntryNotFoundError" in message
    assert f"put it at {small_mirror}/models/org/tiny-lama" in message
    assert "Did you mean 'org/tiny-llama'? Known: org/tiny-llama, tunescope/demo-llama." in message


def test_without_a_mirror_the_message_offers_one(small_mirror: Path) -> None:
    with pytest.raises(ModelError, match=r"no --mirror given.*put it at DIR/models/org/x and run with --mirror DIR"):
        Source().model_folder("org/x")
    with pytest.raises(DataError, match=r"data set 'org/x': no --mirror given.*Known: tunescope/demo-text\."):
        Source().table(hub="org/x", split="train")


def test_the_hub_out_of_reach_is_asked_once_and_told_in_one_line(
    small_mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub at a port where nobody listens, and an empty cache."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    code = (
        "import sys; from pathlib import Path; from tunescope.errors import TunescopeError; from tunescope.hub.source import Source\n"
        "source = Source(mirror=Path(sys.argv[1]))\n"
        "for ask in (lambda: source.model_folder('org/tiny-lama'), lambda: source.hub_config('org/tiny-lama'),\n"
        "            lambda: source.table(hub='org/glu', split='train')):\n"
        "    try: ask()\n"
        "    except TunescopeError as error: print(error)\n"
    )
    began = time.monotonic()
    said = subprocess.run(
        [sys.executable, "-c", code, str(small_mirror)], capture_output=True, text=True, timeout=100, check=True
    )
    assert time.monotonic() - began < 20.0, "2 s on an idle machine; tried again and again, each takes 24 s"
    assert said.stderr == ""
    lines = said.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == ["base model 'org/tiny-lama'"] * 2 + ["data set 'org/glu'"]
    assert all("the hub did not give it: LocalEntryNotFoundError" in line for line in lines)
    assert "Did you mean 'org/tiny-llama'?" in lines[0]
    assert "Did you mean 'org/glue'?" in lines[2]


def test_the_hub_is_asked_for_safetensors_at_the_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str, list[str]]] = []

    def snapshot_download(name: str, *, revision: str, allow_patterns: list[str]) -> str:
        asked.append((name, revision, allow_patterns))
        return str(model(tmp_path / "cache"))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)

    assert Source().model_folder("org/big", "4f1c2a9") == tmp_path / "cache"
    assert asked[0][:2] == ("org/big", "4f1c2a9")
    assert "*.safetensors" in asked[0][2]
    assert not any(pattern.endswith((".bin", ".pt", "*")) for pattern in asked[0][2] if pattern != "LICENSE*")


def test_a_data_set_from_the_hub_comes_as_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = datasets.Dataset.from_dict({"text": ["a", "b", "c"]}).select([2, 0])
    asked: list[tuple[Any, ...]] = []

    def load_dataset(hub: str, config: str, *, revision: str, split: str) -> datasets.Dataset:
        asked.append((hub, config, revision, split))
        return rows

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)

    table = Source().table(hub="org/data", config="c", revision="r", split="test")

    assert table.to_pydict() == {"text": ["c", "a"]}
    assert asked == [("org/data", "c", "r", "test")]


def test_shards_are_joined_in_order_and_split_names_are_whole(small_mirror: Path) -> None:
    source = Source(mirror=small_mirror)

    assert source.table(hub="org/glue", config="mrpc", split="train")["text"].to_pylist() == ["a", "b", "c"]
    assert source.table(hub="org/glue", config="mrpc", split="validation")["text"].to_pylist() == ["v"]
    assert source.table(hub="org/glue", config="mrpc", split="validation-hard")["text"].to_pylist() == ["w"]
    assert source.table(hub="org/plain", split="train")["text"].to_pylist() == ["p"]
    assert source.table(hub="tunescope/demo-text", split="train")["text"].to_pylist() == ["d"]


@pytest.mark.parametrize(
    "config, name, message",
    [
        (
            "mrpc",
            "valdation",
            r"no split 'valdation'\. Did you mean 'validation'\? Known: train, validation, validation-hard",
        ),
        ("mprc", "train", r"unknown config 'mprc'\. Did you mean 'mrpc'\? Known: half, mrpc"),
        (None, "train", r"expected a 'config'\. Known: half, mrpc"),
        ("half", "train", r"split 'train' has 1 of 2 files"),
    ],
)
def test_what_a_mirrored_data_set_lacks_is_named(
    small_mirror: Path, config: str | None, name: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        Source(mirror=small_mirror).table(hub="org/glue", config=config, split=name)


def test_files_that_differ_in_columns_are_refused(small_mirror: Path) -> None:
    folder = small_mirror / "datasets/org/glue/mrpc"
    pq.write_table(pa.table({"other": ["x"]}), folder / "train-00001-of-00002.parquet")

    with pytest.raises(DataError, match="the files of split 'train' differ in columns"):
        Source(mirror=small_mirror).table(hub="org/glue", config="mrpc", split="train")


def test_a_file_is_relative_to_the_study(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text\na\n")

    assert Source(study_folder=tmp_path).table(file="rows.csv", split="train").num_rows == 1


def test_a_mirror_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TunescopeError, match="no such folder"):
        Source(mirror=tmp_path / "nowhere").model_folder("org/x")


def test_finding_a_model_imports_nothing_heavy(small_mirror: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tunescope.hub.source import Source;"
        f"Source(mirror=Path({str(small_mirror)!r})).model_folder('org/tiny-llama');"
        "print([name for name in ('torch', 'transformers', 'datasets', 'huggingface_hub', 'pyarrow') if name in sys.modules])"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_home_folder_that_nobody_has(tmp_path: Path) -> None:
    source = Source(study_folder=tmp_path)
    for look in (source.model_folder, source.local_config):
        with pytest.raises(
            ModelError, match=r"'~nobody-at-all/x': Could not determine home directory.*Write the path out"
        ):
            look("~nobody-at-all/x")
    with pytest.raises(DataError, match="Write the path out"):
        source.file_sha256("~nobody-at-all/x.csv")
    with pytest.raises(DataError, match="Write the path out"):
        source.table(file="~nobody-at-all/x.csv", split="train")

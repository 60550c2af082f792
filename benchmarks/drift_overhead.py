"""What drift costs: a whole drift pass beside two bare forward passes, and following drift through training beside the training.

    python benchmarks/drift_overhead.py --mirror ../shared/mirror --out benchmarks/results/drift_overhead.jsonl

Part 1, for MiniLM on MRPC and for a random Llama of TinyLlama's proportions (`--layers`, `--width`; TinyLlama has 22 and 2,048):
both models over the same padded batches without anything else; then `paired_states` and `compare_states` as a study asks for them
by default, reading and computing told apart, without and with all layer pairs. The parts are timed in turn, `--rounds` times, and the
medians taken. Part 2 trains MiniLM on MRPC and the demo's Llama on its paraphrases through `steps.train.tune` with
`drift: {every: 0.1}`, full, LoRA and the head alone, on 200 to 1,600 examples (`--train`, `--models`), and holds all that the watch
took, the CKAs included, against the optimiser steps of the same run; of `--rounds` runs the one with the median share is told.
Wanted: below 25% and below 5%.
"""

from __future__ import annotations

import argparse
import copy
import datetime
import functools
import itertools
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from pydantic import TypeAdapter
from transformers import LlamaConfig, LlamaForSequenceClassification

from tunescope.drift.compare_states import compare_states
from tunescope.drift.pair import Pair
from tunescope.drift.watch import DriftWatch
from tunescope.hub.source import Source
from tunescope.inference.batches import evaluation_batches, network_inputs
from tunescope.methods import Full, HeadOnly, Lora, Method
from tunescope.models.base import BaseModelSpec
from tunescope.models.network import Network, load_network
from tunescope.representations.side_by_side import StateBatch, paired_states
from tunescope.steps.context import StepContext
from tunescope.steps.train import tune
from tunescope.study.configs import TrainConfig
from tunescope.study.drift import DriftSettings
from tunescope.study.settings import TrainingSettings
from tunescope.study.spec import Compute
from tunescope.tasks.data import load_report_data
from tunescope.tasks.encode import encode
from tunescope.tasks.encoded import Encoded, Truncation
from tunescope.tasks.registry import catalogue_entry
from tunescope.tasks.spec import TaskSpec
from tunescope.training.loop import train

_MINILM = "sentence-transformers/all-MiniLM-L6-v2"
_MOVED = 0.02
"""Each weight matrix of the other model moves by so much of its norm."""
_METHODS: dict[str, tuple[Method, float]] = {
    "full": (Full(), 1e-4),
    "lora": (Lora(rank=8, alpha=16), 1e-3),
    "head_only": (HeadOnly(), 1e-2),
}
_FOLLOWED = {"minilm": (_MINILM, "mrpc"), "demo": ("tunescope/demo-llama", "demo_paraphrase")}
"""What part 2 trains: base model and task."""
_MOST_DEMO_ROWS = 800
"""The demo's train split less its selection rows has some more; longer trainings go over them again."""


def main() -> None:
    arguments = argparse.ArgumentParser(description="What a drift pass and following drift through training cost.")
    arguments.add_argument("--mirror", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "mirror")
    arguments.add_argument("--examples", type=int, default=750)
    arguments.add_argument("--layers", type=int, default=2, help="of the random Llama")
    arguments.add_argument("--width", type=int, default=768, help="of the random Llama, in steps of 64")
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--train", default="200,400,800,1600", help="examples that trainings of part 2 read")
    arguments.add_argument("--models", default="demo,minilm", help="of part 2")
    arguments.add_argument("--batch-tokens", type=int, default=Compute().evaluation_batch_tokens)
    arguments.add_argument("--parts", default="pass,watch")
    arguments.add_argument(
        "--cpu-time", action="store_true", help="processor seconds, for one thread on a busy machine"
    )
    arguments.add_argument("--out", type=Path, help="append the measurements here, a JSON line each")
    given = arguments.parse_args()
    if "OMP_NUM_THREADS" in os.environ:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.manual_seed(0)
    print(f"{about()}.\n", flush=True)
    clock = time.process_time if given.cpu_time else time.perf_counter
    lines: list[dict[str, Any]] = []
    if "pass" in given.parts:
        network, encoded = minilm(given.mirror, given.examples)
        lines.append(drift_pass("MiniLM, MRPC", network, encoded, given.rounds, given.batch_tokens, clock))
        llama = random_llama(given.layers, given.width)
        name = f"Llama, {given.layers} layers of {given.width}"
        tokens = random_tokens(encoded.lengths, llama.model.config.vocab_size)
        lines.append(drift_pass(name, llama, tokens, given.rounds, given.batch_tokens, clock))
        print("\n".join(pass_table(lines)), flush=True)
    if "watch" in given.parts:
        print("\n".join(_WATCH_HEAD), flush=True)
        for which, kind, num_train in itertools.product(given.models.split(","), _METHODS, given.train.split(",")):
            line = follow(which, kind, given.mirror, int(num_train), given.batch_tokens, given.rounds, clock)
            print(watch_row(line), flush=True)
            lines.append(line)
        print("\nWanted: below 5%. The first reading is the base model's.\n", flush=True)
    if given.out is not None:
        with given.out.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line | {"about": about()}) + "\n" for line in lines)


def minilm(mirror: Path, num_examples: int) -> tuple[Network, Encoded]:
    """MiniLM under a classification head, and the tokens of MRPC rows."""
    task = catalogue_task("mrpc", train_split="validation", report_split="train", max_report=num_examples)
    source = Source(mirror=mirror)
    network = load_network(
        BaseModelSpec(name=_MINILM), source.model_folder(_MINILM), task_kind=task.kind, num_labels=2, seed=0
    )
    data = load_report_data(task, source)
    return network, encode(task, data.report, network.tokenizer, is_decoder=network.is_decoder)


def catalogue_task(name: str, **fields: Any) -> TaskSpec:
    """A task of the catalogue with some fields otherwise."""
    task: TaskSpec = TypeAdapter(TaskSpec).validate_python({"name": name} | catalogue_entry(name) | fields)
    return task


def random_llama(num_layers: int, width: int) -> Network:
    """A Llama with TinyLlama's proportions: heads of 64, an eighth of them for keys, 2.75 times as wide inside."""
    config = LlamaConfig(
        hidden_size=width,
        intermediate_size=width * 11 // 4,
        num_hidden_layers=num_layers,
        num_attention_heads=width // 64,
        num_key_value_heads=max(1, width // 512),
        vocab_size=32000,
        max_position_embeddings=2048,
        pad_token_id=0,
        num_labels=2,
        use_cache=False,
    )
    model = LlamaForSequenceClassification(config).eval()
    tokenizer = SimpleNamespace(pad_token_id=0)
    return Network(
        model=model, tokenizer=tokenizer, is_decoder=True, head_names=("score.weight",), backbone_prefix="model"
    )


def random_tokens(lengths: np.ndarray, vocab_size: int) -> Encoded:
    """Rows of random tokens with these lengths."""
    rng = np.random.default_rng(0)
    return Encoded(
        input_ids=[rng.integers(3, vocab_size, size=length).tolist() for length in lengths],
        token_types=None,
        example_index=np.arange(len(lengths), dtype=np.int64),
        targets=np.zeros(len(lengths), dtype=np.int64),
        windows=None,
        truncation=Truncation(num_examples=len(lengths), num_truncated=0, num_tokens_lost=0),
    )


def drift_pass(
    name: str, network: Network, encoded: Encoded, rounds: int, batch_tokens: int, clock: Callable[[], float]
) -> dict[str, Any]:
    """Seconds of two bare forward passes, of reading states in the same batches, and of what is computed from them."""
    settings = DriftSettings()
    models = [network.model, moved(network.model)]
    kept: list[StateBatch] = []

    def bare() -> None:
        with torch.no_grad():
            for places in evaluation_batches(encoded.lengths, batch_tokens):
                batch = network_inputs(encoded, places, network, torch.device("cpu"))
                for model in models:
                    model(**batch)

    def read() -> None:
        kept[:] = paired_states(models, network, encoded, reads=settings.pooling, batch_tokens=batch_tokens)

    def compare(*, layer_pairs: bool) -> None:
        compare_states(
            iter(kept),
            [Pair(compared="tuned")],
            num_examples=len(encoded),
            num_features=network.model.config.hidden_size,
            measures=settings.measures,
            layer_pairs=layer_pairs,
        )

    parts: dict[str, Callable[[], None]] = {
        "bare_s": bare,
        "read_s": read,
        "measures_s": lambda: compare(layer_pairs=False),
        "with_layer_pairs_s": lambda: compare(layer_pairs=True),
    }
    taken: dict[str, list[float]] = {part: [] for part in parts}
    first = evaluation_batches(encoded.lengths[:8], batch_tokens)
    with torch.no_grad():
        network.model(**network_inputs(encoded, next(first), network, torch.device("cpu")))  # what a first call sets up
    for _ in range(rounds):
        for part, work in parts.items():
            began = clock()
            work()
            taken[part].append(clock() - began)
    return {
        "what": "drift pass",
        "model": name,
        "num_examples": len(encoded),
        "num_tokens": int(encoded.lengths.sum()),
        "num_states": len(kept[0].states[0]),
        **{part: statistics.median(seconds) for part, seconds in taken.items()},
    }


def moved(model: Any) -> Any:
    """The same model a short random way off."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        for weight in other.parameters():
            if weight.ndim > 1:
                weight += torch.randn_like(weight) * weight.std() * _MOVED
    return other.eval()


def pass_table(lines: list[dict[str, Any]]) -> list[str]:
    table = [
        "## A drift pass beside two bare forward passes",
        "",
        "| model | examples | tokens | states | two passes, s | read, s | measures, s | and layer pairs, s | overhead | with layer pairs |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for line in lines:
        whole, more = (line["read_s"] + line[part] for part in ("measures_s", "with_layer_pairs_s"))
        table.append(
            f"| {line['model']} | {line['num_examples']} | {line['num_tokens']:,} | {line['num_states']} "
            f"| {line['bare_s']:.2f} | {line['read_s']:.2f} | {line['measures_s']:.2f} | {line['with_layer_pairs_s']:.2f} "
            f"| {whole / line['bare_s'] - 1:+.1%} | {more / line['bare_s'] - 1:+.1%} |"
        )
    return [*table, "", "Wanted: overhead below 25% at 750 examples.", ""]


def follow(
    which: str, kind: str, mirror: Path, num_train: int, batch_tokens: int, rounds: int, clock: Callable[[], float]
) -> dict[str, Any]:
    """The median of some trainings with `drift: {every: 0.1}`, by the share of the watch."""
    taken = [_followed(which, kind, mirror, num_train, batch_tokens, clock) for _ in range(rounds)]
    taken.sort(key=lambda line: line["watch_s"] / line["train_s"])
    return taken[(rounds - 1) // 2]


def _followed(
    which: str, kind: str, mirror: Path, num_train: int, batch_tokens: int, clock: Callable[[], float]
) -> dict[str, Any]:
    """A training with `drift: {every: 0.1}`: seconds of the optimiser steps, and of all the watch did."""
    method, learning_rate = _METHODS[kind]
    model, task = _FOLLOWED[which]
    epochs = 1 if which == "minilm" else -(-num_train // _MOST_DEMO_ROWS)
    config = TrainConfig(
        task=catalogue_task(task, max_train=num_train // epochs),
        base_model=BaseModelSpec(name=model),
        method_kind=kind,
        method=method,
        training=TrainingSettings(epochs=epochs, batch_size=32, learning_rate=learning_rate),
        seed=42,
        watch_drift=0.1,
        watch_pooling=DriftSettings().pooling[0],
    )
    compute = Compute(device="cpu", evaluation_batch_tokens=batch_tokens)
    context = StepContext(
        source=Source(mirror=mirror),
        compute=compute,
        device="cpu",
        num_threads=torch.get_num_threads(),
        report=lambda progress: None,
    )
    clocked = _Clocked(clock)
    of_steps = mock.patch("tunescope.steps.train.train", functools.partial(train, clock=clock))
    with tempfile.TemporaryDirectory() as folder, clocked, of_steps:
        out, scratch = Path(folder) / "out", Path(folder) / "scratch"
        out.mkdir()
        scratch.mkdir()
        facts = tune(config, out, scratch, context).facts
    return {
        "what": "followed training",
        "model": model.rsplit("/", 1)[1],
        "method": kind,
        "num_examples_seen": facts["num_examples_seen"],
        "every": facts["drift_watch"]["every"],
        "num_probe": clocked.num_probe,
        "num_readings": clocked.num_readings,
        "expected_share": facts["drift_watch"]["expected_share"],
        "train_s": facts["train_s"],
        "reported_s": facts["drift_watch_s"],
        "watch_s": clocked.seconds,
    }


class _Clocked:
    """All seconds inside `DriftWatch`, from outside: what it reports itself is held against this."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def __enter__(self) -> None:
        self.seconds, self.num_readings, self.num_probe = 0.0, 0, 0
        self._were = {name: getattr(DriftWatch, name) for name in ("__init__", "read")}
        for name, work in self._were.items():
            setattr(DriftWatch, name, self._timed(work))

    def __exit__(self, *_: object) -> None:
        for name, work in self._were.items():
            setattr(DriftWatch, name, work)

    def _timed(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(watch: DriftWatch, *args: Any, **kwargs: Any) -> Any:
            began = self._clock()
            result = work(watch, *args, **kwargs)
            self.seconds += self._clock() - began
            self.num_readings += 1
            self.num_probe = watch.num_probe
            return result

        return timed


_WATCH_HEAD = [
    "## Following drift through training, every: 0.1",
    "",
    "| model | method | examples trained on | probe | every | readings | steps, s | watch, s | as it reports, wall s | share of training |",
    "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
]


def watch_row(line: dict[str, Any]) -> str:
    began = f"| {line['model']} | {line['method']} | {line['num_examples_seen']:,} |"
    if line["reported_s"] is None:  # too short: it would have cost too much
        return f"{began} | | not followed | {line['train_s']:.2f} | | | |"
    return (
        f"{began} {line['num_probe']} | {line['every']:.3g} "
        f"| {line['num_readings']} | {line['train_s']:.2f} | {line['watch_s']:.3f} | {line['reported_s']:.3f} "
        f"| {line['watch_s'] / line['train_s']:.1%} |"
    )


def about() -> str:
    """When and on what."""
    return (
        f"{datetime.date.today().isoformat()}, {os.cpu_count()}-core CPU ({platform.machine()}), OMP_NUM_THREADS="
        f"{os.environ.get('OMP_NUM_THREADS', 'unset')}, torch {torch.__version__}"
    )


if __name__ == "__main__":
    main()

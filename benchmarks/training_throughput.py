"""Training throughput: our loop, Hugging Face's `Trainer` at its best and as the reference study used it, side by side.

    python benchmarks/training_throughput.py --mirror ../shared/mirror --profile --out benchmarks/results/training_throughput.md

Rows are as long as those of MRPC, RTE, SST-2 and SQuAD v2 (the mirror's data under MiniLM's tokenizer, the task's prompt
included; drawn from a log-normal where they are not there), their tokens random, the model a random Llama. Every side starts
from the same weights and sees the same rows, as many a step, with the same loss, AdamW and clipping; the first two steps read the
same rows everywhere, are not timed, and their losses must agree. Sides take turns within a round; ratios are of one round.

best Trainer: batches of like length as its own sampler makes them on the whole split, each padded to its longest row, fused
AdamW, no logging (on a GPU: bf16, two loader processes). reference Trainer: rows padded to the longest of the split, 2 at a
time, 8 times a step, activations checkpointed.

Share of peak: multiplications and additions that the real tokens need (attention causal, nothing computed twice), over the
time and the fastest matrix product seen in the run, on a CPU in fp32, on a GPU in bf16.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import transformers
from training_throughput_profile import PARTS, StepProfile, profiled
from training_throughput_sides import SIDES, Cell, Timed, base_model, measured
from training_throughput_work import SHAPES, WARM_UP_STEPS, make_work, read_lengths

from tunescope.cost.architecture import Architecture, read_architecture
from tunescope.cost.trainable import what_trains
from tunescope.methods import Full, Lora, Method
from tunescope.study.spec import Compute

_METHODS: dict[str, Method] = {"full": Full(), "lora": Lora(rank=8, alpha=16)}
_TINYLLAMA = {"hidden": 2048, "layers": 22, "heads": 32, "kv_heads": 4, "intermediate": 5632, "vocab": 32000}
_SMALL = {"hidden": 256, "layers": 4, "heads": 4, "kv_heads": 2, "intermediate": 688, "vocab": 8192}
_MODELS = {"small": _SMALL, "tinyllama": _TINYLLAMA}
_AGREEMENT = {"fp32": 1e-4, "bf16": 2e-2}
"""How far the losses of the warm-up may be apart; in bf16 other portions round otherwise."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One row of the table: a task and a method, all sides, a value per round."""

    task: str
    method: str
    lengths: str
    mean_tokens: float
    num_examples: int
    num_tokens: int
    """Real ones of the timed steps."""
    flops: float
    """That these need."""
    seconds: dict[str, list[float]]
    """Side -> timed steps of each round."""
    padding_share: dict[str, float]
    losses: dict[str, list[float]]
    """Side -> losses of the two warm-up steps."""
    apart: float
    """Largest difference of these between sides."""
    peak_gib: dict[str, float | None]
    peak_flops: float
    profile: StepProfile | None

    def ratios(self, side: str) -> list[float]:
        """How many times as fast as a side ours was, round by round."""
        return [theirs / own for own, theirs in zip(self.seconds["ours"], self.seconds[side], strict=True)]


def main() -> None:
    given = _arguments()
    device = torch.device(given.device)
    if given.threads is not None:
        torch.set_num_threads(given.threads)
    transformers.logging.set_verbosity_error()
    precision = "bf16" if device.type == "cuda" else "fp32"
    model = _MODELS[given.shape or ("tinyllama" if device.type == "cuda" else "small")]
    shape = model | {name: getattr(given, name) for name in model if getattr(given, name) is not None}
    about = _about(device, precision, shape, given)
    print(about, flush=True)
    began = time.perf_counter()
    results: list[Result] = []
    text = ""
    for task in given.tasks:
        lengths = read_lengths(task, given.mirror)
        work = make_work(task, lengths, batch_size=given.batch_size, num_steps=given.steps, vocab=shape["vocab"])
        base = base_model(work, _config(shape), device)
        for kind in given.methods:
            cell = Cell(
                work=work,
                method_kind=kind,
                method=_METHODS[kind],
                base=base,
                precision=precision,
                micro_batch_tokens=given.micro_batch_tokens,
                clock=time.process_time if given.cpu_time else time.perf_counter,
            )
            results.append(_measure(cell, shape, rounds=given.rounds, with_profile=given.profile))
            print(_line(results[-1]), flush=True)
            text = _report(results, f"{about} Took {time.perf_counter() - began:.0f} s.")
            if given.out is not None:  # after every row, so that a run that is cut short leaves its rows
                given.out.write_text(text, encoding="utf-8")
                measurements = {"about": about, "rows": [asdict(result) for result in results]}
                given.out.with_suffix(".json").write_text(json.dumps(measurements, indent=1) + "\n", encoding="utf-8")
    print(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirror", type=Path, help="folder with datasets/ and models/; lengths are drawn without it")
    parser.add_argument("--out", type=Path, help="write the tables here, and the measurements beside it as .json")
    parser.add_argument("--tasks", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--methods", nargs="+", choices=_METHODS, default=list(_METHODS))
    parser.add_argument("--shape", choices=_MODELS, help="default: tinyllama on a GPU, small elsewhere")
    for name in _SMALL:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help="of the model, instead of the shape's")
    parser.add_argument("--batch-size", type=int, default=16, help="rows per optimiser step")
    parser.add_argument("--steps", type=int, default=8, help="timed optimiser steps of a training")
    parser.add_argument("--rounds", type=int, default=3, help="trainings of each side, taking turns")
    parser.add_argument("--micro-batch-tokens", type=int, default=Compute().micro_batch_tokens, help="of our loop")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="of torch on a CPU")
    parser.add_argument("--cpu-time", action="store_true", help="processor seconds, for --threads 1 on a busy machine")
    parser.add_argument("--profile", action="store_true", help="also where the time of one of our steps goes")
    return parser.parse_args()


def _config(shape: dict[str, int]) -> dict[str, int]:
    return {
        "hidden_size": shape["hidden"],
        "intermediate_size": shape["intermediate"],
        "num_hidden_layers": shape["layers"],
        "num_attention_heads": shape["heads"],
        "num_key_value_heads": shape["kv_heads"],
        "vocab_size": shape["vocab"],
        "max_position_embeddings": 2048,
    }


def _measure(cell: Cell, shape: dict[str, int], *, rounds: int, with_profile: bool) -> Result:
    """All sides in turn, each round beginning with another of them."""
    names = list(SIDES)
    timed: dict[str, list[Timed]] = {name: [] for name in names}
    peak_flops = 0.0
    for number in range(rounds):
        peak_flops = max(peak_flops, matrix_peak(cell.device, cell.clock))
        for name in names[number % len(names) :] + names[: number % len(names)]:
            timed[name].append(measured(cell, SIDES[name]))
    losses = {name: of_side[0].warm_up_losses for name, of_side in timed.items()}
    apart = max(abs(value - losses["ours"][step]) for of_side in losses.values() for step, value in enumerate(of_side))
    task = cell.work.task
    if not apart <= _AGREEMENT[cell.precision]:
        raise SystemExit(f"{task.name}, {cell.method_kind}: the sides' losses differ by {apart}: {losses}")
    lengths = cell.work.encoded.lengths[cell.work.timed]
    arch = read_architecture({"model_type": "llama"} | _config(shape))
    assert arch is not None
    return Result(
        task=task.name,
        method=cell.method_kind,
        lengths=cell.work.lengths.source,
        mean_tokens=float(lengths.mean()),
        num_examples=len(lengths),
        num_tokens=int(lengths.sum()),
        flops=sum(_needed_flops(arch, cell, int(length)) for length in lengths),
        seconds={name: [one.seconds for one in of_side] for name, of_side in timed.items()},
        padding_share={name: of_side[0].padding_share for name, of_side in timed.items()},
        losses=losses,
        apart=apart,
        peak_gib={name: of_side[-1].peak_gib for name, of_side in timed.items()},
        peak_flops=peak_flops,
        profile=profiled(cell, peak_flops) if with_profile else None,
    )


def _needed_flops(arch: Architecture, cell: Cell, length: int) -> float:
    """Operations of forward and backward passes over one row: LoRA needs no gradient of the base's weights."""
    trains = what_trains(cell.method, arch, cell.work.task.kind, 2)
    assert trains is not None
    linear = (3.0 if trains.is_full else 2.0) * 2.0 * arch.linear_weights + 6.0 * trains.adapter_parameters
    attention = 3.0 * 2.0 * length * arch.query_width * arch.layers
    return length * (linear + attention)


def matrix_peak(device: torch.device, clock: Callable[[], float]) -> float:
    """Operations a second of a large matrix product, the fastest of a few."""
    is_gpu = device.type == "cuda"
    size, dtype = (8192, torch.bfloat16) if is_gpu else (2048, torch.float32)
    matrix = torch.randn(size, size, dtype=dtype, device=device)
    fastest = float("inf")
    for _ in range(20 if is_gpu else 4):
        began = clock()
        matrix @ matrix
        if is_gpu:
            torch.cuda.synchronize(device)
        fastest = min(fastest, clock() - began)
    return 2.0 * size**3 / fastest


def _about(device: torch.device, precision: str, shape: dict[str, int], given: argparse.Namespace) -> str:
    machine = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{os.cpu_count()}-core CPU ({platform.machine()}), {torch.get_num_threads()} threads"
    )
    return (
        f"{datetime.date.today().isoformat()}, {machine}, {precision}, torch {torch.__version__}, transformers "
        f"{transformers.__version__}. Llama of {', '.join(f'{name} {size}' for name, size in shape.items())}; "
        f"{given.batch_size} rows a step, {given.steps} timed steps after {WARM_UP_STEPS}, {given.rounds} rounds, "
        f"ours at {given.micro_batch_tokens} tokens at once{', processor seconds' if given.cpu_time else ''}."
    )


def _line(result: Result) -> str:
    own = statistics.median(result.seconds["ours"])
    best, reference = result.ratios("best Trainer"), result.ratios("reference Trainer")
    padding = " / ".join(f"{share:.0%}" for share in result.padding_share.values())
    per_s = " / ".join(f"{result.num_examples / statistics.median(of_side):.1f}" for of_side in result.seconds.values())
    return (
        f"| {result.task} | {result.method} | {result.mean_tokens:.0f} | {per_s} | {result.num_tokens / own:,.0f} "
        f"| {_share_of_peak(result)} | {padding} | {_spread(best)} | {_spread(reference)} | {result.apart:.0e} |"
    )


def _share_of_peak(result: Result) -> str:
    return " / ".join(
        f"{result.flops / statistics.median(of_side) / result.peak_flops:.0%}" for of_side in result.seconds.values()
    )


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def _report(results: list[Result], about: str) -> str:
    lines = [
        "# Training throughput",
        "",
        f"Measured {about} Fastest matrix product: {max(result.peak_flops for result in results) / 1e12:.3f} TFLOP/s.",
        "Three values are of ours / best Trainer / reference Trainer; ratios say how many times as fast ours was: median of the",
        "rounds (lowest-highest). Losses: largest difference between sides over the two warm-up steps.",
        "",
        "| task | method | mean tokens | examples/s | ours: real tokens/s | share of peak | padding "
        "| ours : best Trainer | ours : reference | losses apart |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(_line(result) for result in results),
        "",
        *(f"- {task}: {source}" for task, source in {result.task: result.lengths for result in results}.items()),
        "",
    ]
    with_profile = [result for result in results if result.profile is not None]
    if with_profile:
        lines += [
            "## One of our steps, in milliseconds",
            "",
            f"| task | method | step | {' | '.join(PARTS)} | in matrix products | their speed, of peak | operators |",
            f"|---|---|---:|{'---:|' * len(PARTS)}---:|---:|---:|",
            *(_profile_line(result, result.profile) for result in with_profile if result.profile is not None),
            "",
        ]
    return "\n".join(lines)


def _profile_line(result: Result, profile: StepProfile) -> str:
    parts = " | ".join(f"{profile.ms[part]:.1f}" for part in PARTS)
    share = profile.operator_share.get("matrix products", 0.0)
    return (
        f"| {result.task} | {result.method} | {profile.step_ms:.1f} | {parts} | {share:.0%} "
        f"| {profile.products_of_peak:.0%} | {profile.num_operators:,} |"
    )


if __name__ == "__main__":
    main()

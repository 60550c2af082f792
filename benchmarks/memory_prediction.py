"""Predicted against measured peak memory of training on a CPU, and seconds of a step beside it.

    OMP_NUM_THREADS=2 python benchmarks/memory_prediction.py [--mirror FOLDER] [--out benchmarks/results/memory_prediction.md]

Each row trains three optimiser steps of two micro-batches in a fresh process with plain torch, transformers and peft; measured is
`ru_maxrss` at its end. Rows are padded, all of one length, so a micro-batch holds exactly the tokens stated.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tunescope.cost.architecture import read_architecture
from tunescope.cost.devices import this_machine
from tunescope.cost.predict import Rows, predict_training
from tunescope.cost.trainable import what_trains
from tunescope.methods import Full, Lora

_MINILM = "sentence-transformers/all-MiniLM-L6-v2"
_CONFIGS: dict[str, dict[str, Any]] = {
    "llama-28M": {
        "model_type": "llama",
        "hidden_size": 512,
        "intermediate_size": 1376,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "vocab_size": 32000,
        "max_position_embeddings": 2048,
        "pad_token_id": 0,
    },
    "gpt2-85M": {
        "model_type": "gpt2",
        "n_embd": 768,
        "n_layer": 12,
        "n_head": 12,
        "n_positions": 1024,
        "vocab_size": 512,
        "bos_token_id": 1,
        "eos_token_id": 1,
        "pad_token_id": 0,
    },
}
_SHAPES = ((16, 64), (8, 256), (32, 128))
"""(rows, tokens of a row) of a micro-batch; the largest model takes half the rows of the last."""
_STEPS = 3


def main() -> None:
    arguments = argparse.ArgumentParser(description="Predicted against measured peak memory of training on a CPU.")
    arguments.add_argument("--mirror", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "mirror")
    arguments.add_argument("--out", type=Path)
    arguments.add_argument("--child", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.child is not None:
        print(json.dumps(measure(json.loads(given.child))))
        return
    folder = given.mirror / "models" / _MINILM
    models = {"MiniLM-23M": json.loads((folder / "config.json").read_text())} | _CONFIGS
    device = this_machine(use_gpu=False)
    lines = []
    for name, config in models.items():
        for method in (Full(), Lora(rank=8, alpha=16)):
            for rows, length in _SHAPES if name != "gpt2-85M" else (*_SHAPES[:2], (16, 128)):
                case = {
                    "config": config,
                    "folder": str(folder) if name.startswith("MiniLM") else None,
                    "lora": isinstance(method, Lora),
                    "rows": rows,
                    "length": length,
                }
                done = subprocess.run(
                    [sys.executable, __file__, "--child", json.dumps(case)], capture_output=True, text=True, check=True
                )
                measured = json.loads(done.stdout.splitlines()[-1])
                arch = read_architecture(config)
                assert arch is not None
                trains = what_trains(method, arch, "classification", 2)
                assert trains is not None
                same = Rows(num=2 * rows, mean_tokens=length, longest=length)
                predicted = predict_training(
                    arch,
                    trains,
                    device,
                    train=same,
                    selection=Rows(num=1, mean_tokens=length, longest=length),
                    num_steps=_STEPS,
                    batch_size=2 * rows,
                    num_scorings=0,
                    micro_batch_tokens=rows * length,
                    evaluation_batch_tokens=rows * length,
                    keep_best=False,
                )
                longer = predict_training(
                    arch,
                    trains,
                    device,
                    train=same,
                    selection=Rows(num=1, mean_tokens=length, longest=length),
                    num_steps=_STEPS + 1,
                    batch_size=2 * rows,
                    num_scorings=0,
                    micro_batch_tokens=rows * length,
                    evaluation_batch_tokens=rows * length,
                    keep_best=False,
                )
                step_s = longer.seconds - predicted.seconds
                line = (
                    f"| {name} | {method.kind} | {rows} x {length} | {predicted.memory_gib:.2f} | {measured['gib']:.2f} "
                    f"| {predicted.memory_gib / measured['gib']:.2f} | {step_s:.2f} | {measured['step_s']:.2f} "
                    f"| {step_s / measured['step_s']:.2f} |"
                )
                print(line, flush=True)
                lines.append(line)
    if given.out is not None:
        given.out.write_text(report(lines), encoding="utf-8")


def measure(case: dict[str, Any]) -> dict[str, float]:
    """Peak resident memory (GiB) and processor-seconds a thread of the last step, of a training in this process."""
    import datasets  # noqa: F401 - a real run has it in memory
    import peft
    import sklearn.metrics  # noqa: F401
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    torch.manual_seed(0)
    if case["folder"] is not None:
        model = AutoModelForSequenceClassification.from_pretrained(case["folder"], num_labels=2)
    else:
        fields = dict(case["config"])
        config = AutoConfig.for_model(fields.pop("model_type"), num_labels=2, **fields)
        model = AutoModelForSequenceClassification.from_config(config)
    if case["lora"]:
        model = peft.get_peft_model(model, peft.LoraConfig(r=8, lora_alpha=16, task_type="SEQ_CLS"))
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-5, fused=True)
    rows, length = case["rows"], case["length"]
    step_s = 0.0
    for _ in range(_STEPS):
        began = time.process_time()
        optimiser.zero_grad(set_to_none=True)
        for _ in range(2):
            ids = torch.randint(5, 500, (rows, length))
            mask = torch.ones_like(ids)
            mask[0, length - 3 :] = 0
            logits = model(input_ids=ids, attention_mask=mask).logits
            loss = torch.nn.functional.cross_entropy(logits, torch.zeros(rows, dtype=torch.long))
            loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        step_s = (time.process_time() - began) / torch.get_num_threads()
    return {"gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, "step_s": step_s}


def report(lines: list[str]) -> str:
    """The table with what it was measured on."""
    import torch
    import transformers

    libc = " ".join(platform.libc_ver())
    return "\n".join(
        [
            "# Predicted against measured peak memory of training on a CPU",
            "",
            f"{datetime.date.today().isoformat()}, {os.cpu_count()}-core CPU ({platform.machine()}), OMP_NUM_THREADS="
            f"{os.environ.get('OMP_NUM_THREADS', 'unset')}, {libc}, torch {torch.__version__}, transformers {transformers.__version__}.",
            "Command: `python benchmarks/memory_prediction.py --out benchmarks/results/memory_prediction.md`",
            "",
            "Peak is `ru_maxrss` of a fresh process after three steps of two micro-batches each. Seconds are of one such step,",
            "measured as processor time over threads, so that what else runs on the machine hardly counts.",
            "",
            "| model | method | rows x tokens | predicted GiB | measured GiB | ratio | predicted s | measured s | ratio |",
            "|---|---|---|---:|---:|---:|---:|---:|---:|",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    main()

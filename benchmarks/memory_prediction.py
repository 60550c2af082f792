"""Predicted against measured peak memory of training on a CPU, and seconds of a step beside it.

    OMP_NUM_THREADS=1 python benchmarks/memory_prediction.py --out benchmarks/results/memory_prediction.md [--mirror FOLDER]

Each row trains three optimiser steps of two micro-batches in a fresh process with plain torch, transformers and peft; measured is
`ru_maxrss` at its end. Rows are of one length, the last 3 tokens shorter, and laid end to end as in a run, so a micro-batch holds the tokens stated.
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

import torch

from tunescope.cost.architecture import read_architecture
from tunescope.cost.devices import this_machine
from tunescope.cost.predict import Prediction, Rows, predict_training
from tunescope.cost.trainable import what_trains
from tunescope.methods import Full, Lora, Method
from tunescope.models.alignment import align_decoder, align_encoder
from tunescope.models.network import Network
from tunescope.models.padding import pad_batch
from tunescope.models.padding_free import prepare_padding_free

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
_METHODS: dict[str, Method] = {"full": Full(), "lora": Lora(rank=8, alpha=16)}


def main() -> None:
    arguments = argparse.ArgumentParser(description="Predicted against measured peak memory of training on a CPU.")
    arguments.add_argument("--mirror", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "mirror")
    arguments.add_argument("--out", type=Path, help="write the table here, and the measurements beside it as .json")
    arguments.add_argument(
        "--measured", type=Path, help="predict anew for the measurements in this .json, train nothing"
    )
    arguments.add_argument("--child", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.child is not None:
        print(json.dumps(measure(json.loads(given.child))))
        return
    folder = given.mirror / "models" / _MINILM
    models = {"MiniLM-23M": json.loads((folder / "config.json").read_text())} | _CONFIGS
    if given.measured is not None:
        measurements = json.loads(given.measured.read_text(encoding="utf-8"))
    else:
        measurements = {"about": about(), "cases": []}
        for name, config in models.items():
            for kind in _METHODS:
                for rows, length in _SHAPES if name != "gpt2-85M" else (*_SHAPES[:2], (16, 128)):
                    case = {"model": name, "method": kind, "rows": rows, "length": length}
                    at = str(folder) if name.startswith("MiniLM") else None
                    measurements["cases"].append(case | in_fresh_process(case | {"config": config, "folder": at}))
                    print(line(measurements["cases"][-1], config), flush=True)
    lines = [line(case, models[case["model"]]) for case in measurements["cases"]]
    print("\n".join(lines))
    if given.out is not None:
        given.out.write_text(report(lines, measurements["about"]), encoding="utf-8")
        given.out.with_suffix(".json").write_text(json.dumps(measurements, indent=1) + "\n", encoding="utf-8")


def in_fresh_process(case: dict[str, Any]) -> dict[str, float]:
    """What `measure` says in a process of its own."""
    command = [sys.executable, __file__, "--child", json.dumps(case)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def line(case: dict[str, Any], config: dict[str, Any]) -> str:
    """One row of the table: a measured case and its prediction."""
    predicted, longer = (predict(case, config, num_steps) for num_steps in (_STEPS, _STEPS + 1))
    step_s = longer.seconds - predicted.seconds
    return (
        f"| {case['model']} | {case['method']} | {case['rows']} x {case['length']} "
        f"| {predicted.memory_gib:.2f} | {case['gib']:.2f} | {predicted.memory_gib / case['gib']:.2f} "
        f"| {step_s:.2f} | {case['step_s']:.2f} | {step_s / case['step_s']:.2f} |"
    )


def predict(case: dict[str, Any], config: dict[str, Any], num_steps: int) -> Prediction:
    """The prediction for the training that `measure` does."""
    arch = read_architecture(config)
    assert arch is not None
    trains = what_trains(_METHODS[case["method"]], arch, "classification", 2)
    assert trains is not None
    rows, length = case["rows"], case["length"]
    return predict_training(
        arch,
        trains,
        this_machine(use_gpu=False),
        train=Rows(num=2 * rows, mean_tokens=length, longest=length),
        selection=Rows(num=1, mean_tokens=length, longest=length),
        num_steps=num_steps,
        batch_size=2 * rows,
        num_scorings=0,
        micro_batch_tokens=rows * length,
        evaluation_batch_tokens=rows * length,
        keep_best=False,
    )


def measure(case: dict[str, Any]) -> dict[str, float]:
    """Peak resident memory (GiB) and processor-seconds a thread of the last step, of a training in this process."""
    import datasets  # noqa: F401 - a real run has it in memory
    import peft
    import sklearn.metrics  # noqa: F401
    from transformers import AutoConfig, AutoModelForSequenceClassification

    torch.manual_seed(0)
    if case["folder"] is not None:
        model = AutoModelForSequenceClassification.from_pretrained(case["folder"], num_labels=2)
    else:
        fields = dict(case["config"])
        config = AutoConfig.for_model(fields.pop("model_type"), num_labels=2, **fields)
        model = AutoModelForSequenceClassification.from_config(config)
    prefix = model.base_model_prefix
    is_decoder = case["model"] != "MiniLM-23M"
    (align_decoder if is_decoder else align_encoder)(getattr(model, prefix), one_output_per_row=True)
    network = Network(model=model, tokenizer=None, is_decoder=is_decoder, head_names=(), backbone_prefix=prefix)
    if case["method"] == "lora":
        model = peft.get_peft_model(model, peft.LoraConfig(r=8, lora_alpha=16, task_type="SEQ_CLS"))
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-5, fused=True)
    rows, length = case["rows"], case["length"]
    step_s = 0.0
    as_trained = prepare_padding_free(network, model, _batch(2, 8, is_decoder))
    for _ in range(_STEPS):
        began = time.process_time()
        optimiser.zero_grad(set_to_none=True)
        for _ in range(2):
            with as_trained.on():
                logits = model(**_batch(rows, length, is_decoder)).logits
            loss = torch.nn.functional.cross_entropy(logits, torch.zeros(rows, dtype=torch.long))
            loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        step_s = (time.process_time() - began) / torch.get_num_threads()
    return {"gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, "step_s": step_s}


def _batch(rows: int, length: int, is_decoder: bool) -> dict[str, torch.Tensor]:
    """Random rows of one length but the last, which is 3 tokens shorter."""
    lengths = [length] * (rows - 1) + [length - 3]
    return pad_batch([torch.randint(5, 500, (n,)).tolist() for n in lengths], 0, is_decoder=is_decoder)


def about() -> str:
    """When and on what the measurements were made."""
    import transformers

    return (
        f"{datetime.date.today().isoformat()}, {os.cpu_count()}-core CPU ({platform.machine()}), OMP_NUM_THREADS="
        f"{os.environ.get('OMP_NUM_THREADS', 'unset')}, {' '.join(platform.libc_ver())}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}"
    )


def report(lines: list[str], measured_on: str) -> str:
    """The table with what it was measured on."""
    return "\n".join(
        [
            "# Predicted against measured peak memory of training on a CPU",
            "",
            f"Measured {measured_on}.",
            "Command: `OMP_NUM_THREADS=1 python benchmarks/memory_prediction.py --out benchmarks/results/memory_prediction.md`;",
            "with `--measured benchmarks/results/memory_prediction.json` the predictions are made anew for the same measurements.",
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

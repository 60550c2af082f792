"""What a plain Hugging Face script gets with the settings of studies/real_small.yaml: MiniLM on MRPC and RTE.

    python benchmarks/trainer_script.py --mirror ../shared/mirror --out trainer_script.jsonl

Written as an ordinary user would, with datasets, transformers and peft alone; nothing of tunescope is imported. The best
epoch is chosen by accuracy on a tenth of the train rows, held out by label with one fixed seed, and scored once on the
official validation split. One JSON line per run is appended to --out; runs that stand there already are not run again.

Differences from `tunescope run`, none of them a setting: which rows are held out (as many), the order of rows, and how
batches are padded (each whole batch to its longest row here, portions of like length there).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import peft
import torch
import transformers
from datasets import DatasetDict, load_dataset
from sklearn.metrics import accuracy_score, f1_score
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
MAX_LENGTH = {"mrpc": 256, "rte": 384}
LEARNING_RATE = {"full": 1e-4, "lora": 1e-3, "head_only": 5e-3}
SEEDS = (42, 1337, 2024)
BATCH_SIZE = 32
EPOCHS = {"mrpc": 2, "rte": 1}
WARMUP_SHARE = 0.1
WEIGHT_DECAY = 0.01
HELD_OUT = 0.1
HOLD_OUT_SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirror", type=Path, required=True, help="folder with datasets/ and models/")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, appended to")
    parser.add_argument("--tasks", nargs="+", choices=MAX_LENGTH, default=list(MAX_LENGTH))
    parser.add_argument("--methods", nargs="+", choices=LEARNING_RATE, default=list(LEARNING_RATE))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument(
        "--max-steps", type=int, default=-1, help="stop each run after so many steps, to try the script"
    )
    arguments = parser.parse_args()

    done = _done(arguments.out)
    for task in arguments.tasks:
        data = tokenizer = None
        for method in arguments.methods:
            for seed in arguments.seeds:
                run = {"task": task, "method": method, "seed": seed, "max_steps": arguments.max_steps}
                if tuple(run.values()) in done:
                    continue
                if data is None:
                    tokenizer = AutoTokenizer.from_pretrained(arguments.mirror / "models" / MODEL)
                    data = _load(arguments.mirror, task, tokenizer)
                result = _train(arguments.mirror, data, tokenizer, task, method, seed, arguments.max_steps)
                line = json.dumps(run | result | _machine())
                with arguments.out.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
                print(line, flush=True)


def _done(out: Path) -> set[tuple[Any, ...]]:
    if not out.exists():
        return set()
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    return {(line["task"], line["method"], line["seed"], line["max_steps"]) for line in lines}


def _load(mirror: Path, task: str, tokenizer: Any) -> DatasetDict:
    """Splits `train`, `selection` (a tenth of the train split) and `validation`, tokenised."""
    folder = mirror / "datasets" / "nyu-mll" / "glue" / task
    files = {split: str(next(folder.glob(f"{split}-*.parquet"))) for split in ("train", "validation")}
    raw = load_dataset("parquet", data_files=files)
    parts = raw["train"].train_test_split(test_size=HELD_OUT, seed=HOLD_OUT_SEED, stratify_by_column="label")
    data = DatasetDict(train=parts["train"], selection=parts["test"], validation=raw["validation"])

    def tokenise(rows: dict[str, list[str]]) -> Any:
        return tokenizer(rows["sentence1"], rows["sentence2"], truncation=True, max_length=MAX_LENGTH[task])

    return data.map(tokenise, batched=True, remove_columns=["sentence1", "sentence2", "idx"])


def _model(mirror: Path, method: str) -> Any:
    model = AutoModelForSequenceClassification.from_pretrained(mirror / "models" / MODEL, num_labels=2)
    if method == "lora":
        config = peft.LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, target_modules=["query", "value"])
        return peft.get_peft_model(model, config)
    if method == "head_only":
        model.base_model.requires_grad_(False)
    return model


def _train(
    mirror: Path, data: DatasetDict, tokenizer: Any, task: str, method: str, seed: int, max_steps: int
) -> dict[str, Any]:
    set_seed(seed)  # before the model, whose head is drawn
    model = _model(mirror, method)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                seed=seed,
                learning_rate=LEARNING_RATE[method],
                per_device_train_batch_size=BATCH_SIZE,
                per_device_eval_batch_size=BATCH_SIZE,
                num_train_epochs=EPOCHS[task],
                max_steps=max_steps,
                lr_scheduler_type="linear",
                warmup_steps=WARMUP_SHARE,
                weight_decay=WEIGHT_DECAY,
                eval_strategy="epoch",
                save_strategy="epoch",
                save_total_limit=1,
                load_best_model_at_end=True,
                metric_for_best_model="accuracy",
                logging_strategy="epoch",
                report_to=[],
                use_cpu=True,
                disable_tqdm=True,
            ),
            train_dataset=data["train"],
            eval_dataset=data["selection"],
            data_collator=DataCollatorWithPadding(tokenizer),
            compute_metrics=_scores,
        )
        began = time.perf_counter()
        trainer.train()
        train_s = time.perf_counter() - began
        scores = trainer.predict(data["validation"], metric_key_prefix="report").metrics
    selections = [entry["eval_accuracy"] for entry in trainer.state.log_history if "eval_accuracy" in entry]
    return {
        "accuracy": scores["report_accuracy"],
        "f1": scores["report_f1"],
        "selection_accuracy_by_epoch": selections,
        "best_epoch": int(np.argmax(selections)) + 1,
        "num_steps": trainer.state.global_step,
        "num_trainable": sum(weight.numel() for weight in model.parameters() if weight.requires_grad),
        "num_examples": {split: len(rows) for split, rows in data.items()},
        "train_s": round(train_s, 1),
    }


def _scores(output: Any) -> dict[str, float]:
    predicted = output.predictions.argmax(axis=1)
    return {
        "accuracy": float(accuracy_score(output.label_ids, predicted)),
        "f1": float(f1_score(output.label_ids, predicted)),
    }


def _machine() -> dict[str, Any]:
    return {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "peft": peft.__version__,
        "python": platform.python_version(),
        "num_threads": torch.get_num_threads(),
        "num_cpus": os.cpu_count(),
    }


if __name__ == "__main__":
    main()

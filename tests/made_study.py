"""A plan and a store with runs whose answers are given: what analyses read, and nothing computed."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tunescope.store import Failure, RecordFields, Store
from tunescope.study.load import parse_study
from tunescope.study.plan import make_plan

TEXT = """
name: t
base_model: org/decoder
tasks: [mrpc]
methods: {full: {}, lora: {}, head_only: {}}
seeds: [1, 2, 3, 4, 5, 6, 7, 8]
baselines: []
"""
LABELS = ("not_equivalent", "equivalent")
NUM_EXAMPLES = 400


class MadeStudy:
    """A plan and a store with runs whose answers are given, and nothing computed."""

    def __init__(self, folder, *changes, model="org/decoder"):
        self.plan = make_plan(parse_study(TEXT.replace("org/decoder", model), "t", changes), {model: True})
        self.store = Store.open(folder, create=True)
        self.fingerprint = "data"
        self.targets = np.arange(NUM_EXAMPLES) % 2

    def commit(self, job, facts, fill=lambda out: None):
        work = self.store.begin(job.kind, job.id)
        fill(work.out)
        self.store.commit(
            work,
            RecordFields(
                label=job.label,
                config=job.config.identity(),
                inputs={role: needed.id for role, needed in job.inputs.items()},
                facts=facts,
                started_at=datetime.now(UTC),
                duration_s=1.0,
                peak_memory_gib=0.25,
                peak_memory_covers="job",
            ),
        )

    def answers(self, method, seed, accuracy):
        """(n,) predicted label ids: so many right, where depends on the seed a little."""
        rng = np.random.default_rng([len(method), seed])
        difficulty = np.random.default_rng(7).permutation(NUM_EXAMPLES) + rng.normal(0.0, 8.0, NUM_EXAMPLES)
        is_right = difficulty < accuracy * NUM_EXAMPLES
        return np.where(is_right, self.targets, 1 - self.targets)

    def run(self, method, accuracy, train_s=10.0, seeds=range(1, 9)):
        for cell in self.plan.runs:
            if cell.method != method or cell.seed not in seeds:
                continue
            predictions = self.answers(method, cell.seed, accuracy)
            table = pa.table(
                {
                    "id": [f"row{i}" for i in range(NUM_EXAMPLES)],
                    "target": [LABELS[i] for i in self.targets],
                    "prediction": [LABELS[i] for i in predictions],
                }
            )

            def fill(out, table=table):
                pq.write_table(table, out / "predictions.parquet")
                (out / "metrics.json").write_text(
                    json.dumps({"scores": {}, "undefined": {}, "num_examples": NUM_EXAMPLES})
                )

            self.commit(cell.train, {"train_s": train_s + cell.seed / 10, "weights_sha256": f"{method}{cell.seed}"})
            self.commit(
                cell.evaluate, {"evaluate_s": 1.0, "truncation": {}, "data_fingerprint": self.fingerprint}, fill
            )

    def fail(self, method, seed, reason):
        (cell,) = (one for one in self.plan.runs if (one.method, one.seed) == (method, seed))
        self.store.begin(cell.train.kind, cell.train.id)
        failure = Failure(label="x", reason=reason, error="E", traceback="", log="x", failed_at=datetime.now(UTC))
        self.store.fail(cell.train.kind, cell.train.id, failure)

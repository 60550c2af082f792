"""Writes squad_official.json: what SQuAD v2's own evaluation script says of several prediction files.

    python tests/reference/make_squad_official.py EVALUATE_V2_PY DEV_V2_JSON

EVALUATE_V2_PY is `evaluate-v2.0.py` of github.com/rajpurkar/SQuAD-explorer (it is run, never imported, and is not part of
this project), DEV_V2_JSON the official development set. The prediction files are built here, the same on every machine
and Python: `random.Random(seed).random()` is all the chance there is. `test_squad_official.py` builds them again, checks
their fingerprints against the JSON, and scores them with our code.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).with_name("squad_official.json")
_SEED = 20180611  # SQuAD 2.0's publication day


@dataclass(frozen=True, kw_only=True)
class Case:
    """One prediction file, as the official script would get it."""

    predictions: dict[str, str]
    no_answer_scores: dict[str, float] | None = None
    threshold: float = 1.0
    question_ids: frozenset[str] | None = None
    """Questions the data file is cut to; None: all."""


def questions(dev: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Each question of the official file with its context, in the file's order."""
    for article in dev["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                yield question, paragraph["context"]


def gold_answers(dev: dict[str, Any]) -> dict[str, list[str]]:
    """All gold answers by question id."""
    return {question["id"]: [answer["text"] for answer in question["answers"]] for question, _ in questions(dev)}


def cases(dev: dict[str, Any]) -> dict[str, Case]:
    """Every prediction file by name."""
    gold = gold_answers(dev)
    first = {key: answers[0] if answers else "" for key, answers in gold.items()}
    noisy = _noisy_answers(dev)
    partial = _some_of(noisy, share=0.6)
    doubt = _doubts(gold)
    in_hundredths = {key: round(value, 2) for key, value in doubt.items()}
    log_odds = {key: 12.0 * value - 7.0 for key, value in doubt.items()}
    by_id = {key: doubt[key] for key in sorted(doubt)}
    return {
        "empty": Case(predictions=dict.fromkeys(gold, "")),
        "gold": Case(predictions=first),
        "shuffled": Case(predictions=_shuffled(first)),
        "partial": Case(predictions=partial),
        "partial_on_its_questions": Case(predictions=partial, question_ids=frozenset(partial)),
        "partial_filled_with_nothing": Case(predictions={key: partial.get(key, "") for key in gold}),
        "noisy": Case(predictions=noisy),
        "noisy_probabilities": Case(predictions=noisy, no_answer_scores=doubt),
        "noisy_probabilities_threshold": Case(predictions=noisy, no_answer_scores=doubt, threshold=0.37),
        "noisy_tied_probabilities": Case(predictions=noisy, no_answer_scores=in_hundredths, threshold=0.5),
        "noisy_tied_other_order": Case(predictions=noisy, no_answer_scores={key: in_hundredths[key] for key in by_id}),
        "noisy_log_odds": Case(predictions=noisy, no_answer_scores=log_odds, threshold=-1.25),
        "noisy_hopeless": Case(predictions=_shuffled(noisy), no_answer_scores=doubt, threshold=0.5),
    }


def fingerprint(case: Case) -> str:
    """SHA-256 of all that the official script is given, order included."""
    ids = sorted(case.question_ids) if case.question_ids is not None else None
    given = [list(case.predictions.items()), list((case.no_answer_scores or {}).items()), case.threshold, ids]
    return hashlib.sha256(json.dumps(given).encode()).hexdigest()


def _some_of(answers: dict[str, str], share: float) -> dict[str, str]:
    draw = random.Random(_SEED)
    return {key: text for key, text in answers.items() if draw.random() < share}


def _shuffled(answers: dict[str, str]) -> dict[str, str]:
    draw = random.Random(_SEED + 1)
    order = sorted(answers, key=lambda _: draw.random())
    return {key: answers[other] for key, other in zip(answers, order, strict=True)}


def _noisy_answers(dev: dict[str, Any]) -> dict[str, str]:
    """Answers as models give them: right, cut short, run on, decorated, elsewhere, missing, or normalising to nothing."""
    draw = random.Random(_SEED + 2)
    noisy = {}
    for question, context in questions(dev):
        kind, size = draw.random(), draw.random()
        # An unanswerable question's plausible answer is what a model falls for.
        known = question["answers"] or question.get("plausible_answers") or [{"text": context[:20], "answer_start": 0}]
        text, start = known[0]["text"], known[0]["answer_start"]
        words = text.split()
        if kind < 0.30:
            answer = text
        elif kind < 0.45:
            answer = " ".join(words[: 1 + int(size * len(words))])
        elif kind < 0.60:
            answer = context[start : start + len(text) + int(size * 40)]
        elif kind < 0.70:
            answer = f"The {text.upper()}, "
        elif kind < 0.80:
            answer = " ".join(reversed(words)) + "?"
        elif kind < 0.85:
            answer = context[int(size * len(context)) :][:25]
        elif kind < 0.90:
            answer = ("the", "?!", " ", "A, an")[int(size * 4)]
        else:
            answer = ""
        noisy[question["id"]] = answer
    return noisy


def _doubts(gold: dict[str, list[str]]) -> dict[str, float]:
    """Probabilities of "no answer" that know a little: in [0.0, 0.75) with an answer, in [0.25, 1.0) without."""
    draw = random.Random(_SEED + 3)
    return {key: 0.75 * draw.random() + (0.0 if answers else 0.25) for key, answers in gold.items()}


def _official(script: Path, dev: dict[str, Any], case: Case, folder: Path) -> dict[str, Any]:
    """What the script prints; where it fails, its exit code, last line of error and number of complaints."""
    kept = case.question_ids
    data = [
        {
            "title": article["title"],
            "paragraphs": [
                {**paragraph, "qas": [qa for qa in paragraph["qas"] if kept is None or qa["id"] in kept]}
                for paragraph in article["paragraphs"]
            ],
        }
        for article in dev["data"]
    ]
    (folder / "data.json").write_text(json.dumps({"version": dev["version"], "data": data}))
    (folder / "predictions.json").write_text(json.dumps(case.predictions))
    command = [sys.executable, str(script), str(folder / "data.json"), str(folder / "predictions.json")]
    if case.no_answer_scores is not None:
        (folder / "na_prob.json").write_text(json.dumps(case.no_answer_scores))
        command += ["--na-prob-file", str(folder / "na_prob.json"), f"--na-prob-thresh={case.threshold}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        last_line = ran.stderr.strip().splitlines()[-1]
        return {
            "exit_code": ran.returncode,
            "error": last_line.split(":")[0],
            "num_missing": ran.stdout.count("Missing prediction for"),
        }
    figures: dict[str, Any] = json.loads(ran.stdout)
    return figures


def main() -> None:
    """Runs the official script on every case and writes the figures beside this file."""
    parser = argparse.ArgumentParser(description="Run SQuAD v2's official script on generated prediction files.")
    parser.add_argument("script", type=Path, help="evaluate-v2.0.py of github.com/rajpurkar/SQuAD-explorer")
    parser.add_argument("dev", type=Path, help="dev-v2.0.json")
    arguments = parser.parse_args()
    dev = json.loads(arguments.dev.read_text(encoding="utf-8"))
    written: dict[str, Any] = {
        "about": "Figures printed by SQuAD v2's official evaluation script, in percent; made by make_squad_official.py.",
        "script_sha256": hashlib.sha256(arguments.script.read_bytes()).hexdigest(),
        "dev_sha256": hashlib.sha256(arguments.dev.read_bytes()).hexdigest(),
        "cases": {},
    }
    for name, case in cases(dev).items():
        with tempfile.TemporaryDirectory() as folder:
            official = _official(arguments.script, dev, case, Path(folder))
        written["cases"][name] = {"fingerprint": fingerprint(case), "official": official}
    FIGURES.write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    main()

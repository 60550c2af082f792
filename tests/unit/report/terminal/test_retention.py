"""The table of what runs forgot."""

from __future__ import annotations

from tunescope.analysis.retention import Retained
from tunescope.report.terminal.results import render
from tunescope.report.terminal.retention import retention_summary


def _row(seed: int, tuned: float | None, **more) -> Retained:
    done = tuned is not None
    values = {
        "study": "s",
        "base_model": "org/base",
        "task": "mrpc",
        "method": "lora",
        "seed": seed,
        "text": "wiki",
        "num_texts": 2 if done else None,
        "num_tokens": 100 if done else None,
        "base_loss": 3.0 if done else None,
        "tuned_loss": tuned,
        "base_perplexity": 20.0855 if done else None,
        "tuned_perplexity": 22.0 if done else None,
        "base_bits_per_character": 1.0 if done else None,
        "tuned_bits_per_character": 1.1 if done else None,
        "kl": 0.25 if done else None,
        "state": "done" if done else "failed",
        "reason": "" if done else "out of memory",
        "job": "j",
    }
    return Retained(**(values | more))


def test_means_over_seeds_beside_the_base_model():
    text = render(retention_summary([_row(1, 3.1), _row(2, 3.3)]), width=140)
    line = next(line for line in text.splitlines() if "lora" in line)
    assert line.split() == [
        "base",
        "wiki",
        "mrpc",
        "lora",
        "3.0000",
        "3.2000",
        "±",
        "0.1414",
        "22.00",
        "±",
        "0.00",
        "0.2500",
        "±",
        "0.0000",
        "2",
    ]


def test_a_failed_run_is_counted_and_told_and_no_number():
    text = render(retention_summary([_row(1, 3.1), _row(2, None)]), width=140)
    assert "1 of 2" in text
    assert "out of memory" in text
    nothing = render(retention_summary([_row(1, None)]), width=140)
    line = next(line for line in nothing.splitlines() if "lora" in line)
    assert line.split()[4:] == ["-", "-", "-", "-", "0", "of", "1"]


def test_a_study_without_it_says_so():
    assert "no `retention:` section" in render(retention_summary([]), width=140)

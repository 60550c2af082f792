"""Which runs are tried out, and what their two steps say of each method."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from tunescope.hub.source import Source
from tunescope.preflight.data import Sample
from tunescope.preflight.finding import Finding, Status
from tunescope.preflight.overfit import NUM_EXAMPLES
from tunescope.preflight.trial import NUM_STEPS, Trial, TrialResult
from tunescope.study.configs import TrainConfig
from tunescope.study.labels import short_name
from tunescope.study.plan import Plan
from tunescope.tasks.data import Examples

_MAX_TRAIN = 256
_MAX_SELECTION = 512
_SHOWN = 5


def make_trials(
    plan: Plan, samples: Mapping[str, Sample], source: Source, *, device: str, num_threads: int
) -> Iterator[tuple[str, Trial]]:
    """A subject and a trial for every base model and method, on the first task of each kind whose data loads.

    Where a method is swept, its first values stand for all.
    """
    chosen: dict[str, str] = {}
    for task in plan.study.tasks:
        if task.name in samples:
            chosen.setdefault(task.kind, task.name)
    seen = set()
    for run in plan.runs:
        key = (run.base_model, run.task.name, run.method)
        if run.task.name not in chosen.values() or key in seen:
            continue
        seen.add(key)
        config = run.train.config
        assert isinstance(config, TrainConfig), "a run's first job is a training"
        sample = samples[run.task.name]
        yield (
            f"{short_name(run.base_model)}, {run.task.name}, {run.method}",
            Trial(
                config=config,
                compute=plan.study.compute,
                source=source,
                device=device,
                num_threads=num_threads,
                train=_longest(sample.train, min(_MAX_TRAIN, max(32, 2 * config.training.batch_size))),
                selection=_longest(sample.selection, _MAX_SELECTION),
            ),
        )


def with_ten_examples(trial: Trial, sample: Sample) -> Trial:
    """The trial on ten train examples alone: of every label or kind of answer in turn, the shorter half of the texts."""
    examples = sample.train
    order = sorted(range(len(examples)), key=lambda row: _num_characters(examples, row))
    order = order[: max(NUM_EXAMPLES, math.ceil(len(order) / 2))]
    groups: dict[object, list[int]] = {}
    for row in order:
        target = examples.targets[row]
        kind = target.is_answerable if trial.config.task.kind == "question_answering" else target
        groups.setdefault(kind if trial.config.task.kind != "regression" else None, []).append(row)
    ranked = sorted((place, rows[place]) for rows in groups.values() for place in range(len(rows)))
    chosen = examples.take(sorted(row for _, row in ranked[:NUM_EXAMPLES]))
    return Trial(**{**vars(trial), "train": chosen, "selection": chosen})


def judge_trial(subject: str, method_kind: str, result: TrialResult) -> Iterator[Finding]:
    """Puts two steps into findings: exactly what trains must have changed."""

    def finding(status: Status, message: str) -> Finding:
        return Finding(section="methods", subject=subject, status=status, message=message)

    num = result.parameters
    num_rest = len(result.trained) - len(result.head)
    moved = set(result.trained) - set(result.unmoved)
    parts = [f"{len(moved & set(result.head))} of {len(result.head)} head tensors"]
    if num_rest:
        what = "backbone" if method_kind == "full" else "adapter"
        parts.insert(0, f"{len(moved - set(result.head))} of {num_rest} {what} tensors")
    if result.unmoved:
        dead = [name for name in result.unmoved if name in result.without_gradient]
        why = "no gradient reaches them" if dead else "their gradients are too small for the learning rate to show"
        yield finding(
            "fault",
            f"{len(result.unmoved)} of {len(result.trained)} tensors that should train did not change in {NUM_STEPS} steps "
            f"({_first(result.unmoved)}): {why}. Check target_modules, compute.gradient_checkpointing and learning_rate",
        )
    if result.moved_though_frozen:
        yield finding(
            "fault",
            f"{len(result.moved_though_frozen)} of {result.num_frozen} frozen tensors changed "
            f"({_first(result.moved_though_frozen)}): the method would not be what its name says. Report this",
        )
    if not all(math.isfinite(loss) for loss in result.losses):
        yield finding("fault", f"the loss is {result.losses}: lower learning_rate, or use precision: fp32")
    if not (result.unmoved or result.moved_though_frozen):
        yield finding(
            "ok",
            f"{' and '.join(parts)} changed, 0 of {result.num_frozen} frozen ones: {_patterns(moved)}; "
            f"{num.trainable:,} of {num.total:,} parameters train ({num.adapter:,} adapter, {num.head:,} head); "
            f"loss {' -> '.join(f'{loss:.3f}' for loss in result.losses)} on {result.train.num} rows of up to "
            f"{result.train.longest} tokens, {result.step_s:.2f} s a step",
        )


def _longest(examples: Examples, num: int) -> Examples:
    order = sorted(range(len(examples)), key=lambda row: -_num_characters(examples, row))
    return examples.take(sorted(order[:num]))


def _num_characters(examples: Examples, row: int) -> int:
    return sum(len(texts[row]) for texts in examples.texts.values())


def _first(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_SHOWN]) + (f", ... {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _patterns(names: Iterable[str]) -> str:
    """Names without their layers' numbers, with how often each occurs: `query.lora_A x 6`."""
    short = Counter(_short(name) for name in names)
    shown = [f"{name} x {count}" if count > 1 else name for name, count in sorted(short.items())]
    return ", ".join(shown[:_SHOWN]) + (f" and {len(shown) - _SHOWN} more kinds" if len(shown) > _SHOWN else "")


def _short(name: str) -> str:
    """The last of a tensor's names that say what it is: `query.lora_A`, `classifier.bias`.

    Example:
        >>> _short("base_model.model.bert.encoder.layer.3.attention.self.query.lora_A.default.weight")
        'query.lora_A'
        >>> _short("base_model.model.score.modules_to_save.default.weight")
        'score'
    """
    unsaid = ("base_model", "model", "default", "modules_to_save", "weight")
    return ".".join([piece for piece in name.split(".") if piece not in unsaid and not piece.isdigit()][-2:])

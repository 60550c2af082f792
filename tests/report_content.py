"""Made-up reports for tests of what shows them: an ordinary one, and ones with all that can be odd."""

from __future__ import annotations

import random

from report_charts import curve_charts, drift_charts, quality_chart, sweep_charts, tradeoff_charts
from tunescope.report.content.section import Example, Report, Section, Sentence
from tunescope.report.content.table import Cell, Column, Row, Table, text

SCRIPT = "<script>alert('x')</script>"
ARABIC = "مهمة الاختبار"
HEBREW = "שיטה"
NASTY = (
    SCRIPT,
    ARABIC,
    'a"b&c',
    "</script><img src=x onerror=alert(1)>",
    "日本語の課題",
    "x" * 80,
    "{{ 7 * 7 }}",
    "$x_1$",
)

_SECTIONS = {
    "quality": "Quality",
    "drift": "Drift by layer",
    "weights": "Weights",
    "retention": "Retention",
    "tradeoffs": "Quality against drift and cost",
    "sweeps": "Sweeps",
    "cost": "Cost",
    "predictions": "Predictions",
    "curves": "Learning curves",
    "data": "Data",
    "failures": "Failures and warnings",
    "settings": "Settings",
    "rows": "All rows",
    "provenance": "Provenance",
}


def score(number: float) -> Cell:
    """A share as percent."""
    return Cell(shown=f"{100 * number:.1f}", value=number)


def made_report(
    *,
    tasks: tuple[str, ...] = ("mrpc", "rte"),
    methods: tuple[str, ...] = ("full", "lora"),
    seeds: tuple[int, ...] = (13, 21, 42),
    num_layers: int = 6,
    num_examples: int = 60,
    example_text: str = "The company said its profit rose 8 percent in the third quarter .",
) -> Report:
    """A study that is done, with something in every section but retention and weights."""
    draw = random.Random(7)
    values = {(task, method, seed): 0.6 + 0.3 * draw.random() for task in tasks for method in methods for seed in seeds}
    means = {(t, m): sum(values[t, m, s] for s in seeds) / len(seeds) for t in tasks for m in methods}
    places = {key: place for place, key in enumerate(values)}
    first_rows = {(t, m): f"row-{places[t, m, seeds[0]]}" for t in tasks for m in methods}
    sections = {
        "quality": Section(
            id="quality",
            title=_SECTIONS["quality"],
            sentences=(Sentence(text="Intervals are 95%, crossed over seeds and examples."),),
            charts=(quality_chart(tasks, methods, seeds, values, means, first_rows),),
            tables=(_quality_table(tasks, methods, means, first_rows),),
        ),
        "drift": Section(id="drift", title=_SECTIONS["drift"], charts=drift_charts(tasks, methods, num_layers, draw)),
        "tradeoffs": Section(
            id="tradeoffs",
            title=_SECTIONS["tradeoffs"],
            sentences=(Sentence(text="Points up and to the left are better."),),
            charts=tradeoff_charts(tasks[:2], methods, seeds, values, means),
        ),
        "sweeps": Section(id="sweeps", title=_SECTIONS["sweeps"], charts=sweep_charts(methods, draw)),
        "predictions": Section(
            id="predictions",
            title=_SECTIONS["predictions"],
            sentences=(Sentence(text="Examples that the methods answer differently."),),
            examples=_examples(tasks[:2], methods, seeds, num_examples, example_text, draw),
        ),
        "curves": Section(id="curves", title=_SECTIONS["curves"], charts=curve_charts(tasks[:2], methods, seeds, draw)),
        "rows": Section(id="rows", title=_SECTIONS["rows"], tables=(_rows_table(values),)),
        "provenance": _provenance(tasks, methods, seeds),
    }
    return Report(
        study="tuned_small",
        question="Is LoRA as good as full fine-tuning of MiniLM on small paraphrase and entailment tasks?",
        methods=methods,
        summary=(
            Sentence(text=f"{len(values)} of {len(values)} runs done, none failed."),
            Sentence(text="Made on 1 machine with 2 CPU cores between 20 and 23 November 2026.", anchor="provenance"),
        ),
        verdicts=tuple(_verdict(task, method, methods[0], first_rows) for task in tasks for method in methods[1:]),
        undecided=(
            Sentence(
                text="lora against full on rte: the interval [-4.1, 2.3] holds both equivalence and a loss of more than"
                " 3 points. About 11 seeds would decide it.",
                tone="doubt",
            ),
        ),
        sections=tuple(sections.get(name, _missing(name, title)) for name, title in _SECTIONS.items()),
    )


def nasty_report() -> Report:
    """40 tasks and 10 methods whose names are markup, right-to-left, long, or other scripts; one seed."""
    tasks = tuple(f"{NASTY[place % len(NASTY)]} {place}" for place in range(40))
    methods = tuple(f"{(*NASTY[:3], HEBREW, 'lora')[place % 5]} {place}" for place in range(10))
    return made_report(
        tasks=tasks, methods=methods, seeds=(1,), num_layers=26, example_text=f"{SCRIPT} {ARABIC} {NASTY[3]}"
    )


def empty_report() -> Report:
    """A study of which no run is done."""
    return Report(
        study="not yet",
        question="",
        methods=("full", "lora"),
        summary=(Sentence(text="0 of 12 runs done, 12 to come.", tone="doubt"),),
        verdicts=(),
        undecided=(Sentence(text="lora against full on mrpc: no run is done.", tone="doubt"),),
        sections=tuple(_missing(name, title) for name, title in _SECTIONS.items()),
    )


def _missing(name: str, title: str) -> Section:
    how = f"Not measured: the study has no `{name}:` section. Add `{name}: {{}}` and run it again; finished runs are kept."
    return Section(id=name, title=title, missing=how)


def _verdict(task: str, method: str, other: str, first_rows: dict[tuple[str, str], str]) -> Sentence:
    return Sentence(
        text=f"{method} is equivalent to {other} on {task} within 3 points: -0.4 points [-1.9, 1.1] (accuracy, 3 seeds),"
        " at 1/900 of the trained parameters, 0.6 times the training time",
        anchor=first_rows[task, method],
        tone="good",
    )


def _quality_table(tasks, methods, means, first_rows) -> Table:  # type: ignore[no-untyped-def]
    columns = (
        Column(name="task", is_key=True),
        Column(name="score", is_key=True),
        *(Column(name=method, kind="number") for method in methods),
    )
    rows = tuple(
        Row(
            cells=(
                text(task),
                text("accuracy"),
                *(
                    Cell(shown=f"{100 * means[task, m]:.1f}", value=means[task, m], anchor=first_rows[task, m])
                    for m in methods
                ),
            )
        )
        for task in tasks
    )
    return Table(
        id="quality-means", caption="Mean over seeds, percent", columns=columns, rows=rows, note="All seeds are done."
    )


def _rows_table(values) -> Table:  # type: ignore[no-untyped-def]
    columns = (
        Column(name="task", is_key=True),
        Column(name="method", is_key=True),
        Column(name="seed", kind="number", is_key=True),
        Column(name="state"),
        Column(name="accuracy", kind="number"),
        Column(name="seconds", kind="number"),
        Column(name="job"),
    )
    rows = tuple(
        Row(
            id=f"row-{place}",
            cells=(
                text(task),
                text(method),
                Cell(shown=str(seed), value=seed),
                text("done"),
                score(value),
                Cell(shown="-", value=None)
                if place % 7 == 3
                else Cell(shown=f"{40 + place % 13}", value=40.123 + place % 13),
                text(f"train/{place:08x}", anchor="job-0"),
            ),
        )
        for place, ((task, method, seed), value) in enumerate(values.items())
    )
    return Table(
        id="rows-all",
        caption="Every score of every run",
        columns=columns,
        rows=rows,
        note="accuracy in percent; CSV and sorting take all digits.",
        can_filter=True,
    )


def _provenance(tasks, methods, seeds) -> Section:  # type: ignore[no-untyped-def]
    rows = tuple(
        Row(id=f"job-{n}", cells=(text(f"{n:08x}"), text("train"), text("done"), Cell(shown="41 s", value=41.2)))
        for n in range(3)
    )
    columns = (
        Column(name="job", is_key=True),
        Column(name="kind"),
        Column(name="state"),
        Column(name="seconds", kind="number"),
    )
    table = Table(id="provenance-jobs", caption="Jobs", columns=columns, rows=rows)
    return Section(
        id="provenance",
        title=_SECTIONS["provenance"],
        sentences=(Sentence(text="Every job ran with tunescope 0.1.0 at commit 7e3cf41, not dirty."),),
        tables=(table,),
        commands=(
            "git clone https://example.org/study && cd study",
            "tunescope run studies/tuned_small.yaml --store store",
        ),
    )


def _examples(tasks, methods, seeds, num_examples, example_text, draw) -> tuple[Example, ...]:  # type: ignore[no-untyped-def]
    examples = []
    for number in range(num_examples):
        answers = []
        shares = {}
        for method in methods:
            right = [draw.random() < 0.5 for _ in seeds]
            shares[method] = sum(right) / len(right)
            answers += [
                (f"{method} seed {seed}", "equivalent" if is_right else "not equivalent", is_right)
                for seed, is_right in zip(seeds, right, strict=True)
            ]
        examples.append(
            Example(
                id=f"{number}",
                task=tasks[number % len(tasks)],
                texts=(
                    ("sentence1", f"{example_text} {number}"),
                    (
                        "sentence2",
                        "Profit in the quarter was up 8 percent , the company said ."
                        + " It rose again." * (number % 4),
                    ),
                ),
                target="equivalent",
                answers=tuple(answers),
                share_right=shares,
            )
        )
    return tuple(examples)

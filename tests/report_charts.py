"""The charts of made-up reports: one of each kind, of whatever tasks and methods."""

from __future__ import annotations

from tunescope.report.content.chart import Axis, Band, Chart, HeatMap, Level, Point, Series, XYChart


def quality_chart(tasks, methods, seeds, values, means, first_rows) -> Chart:  # type: ignore[no-untyped-def]
    series = []
    for method in methods:
        points = [Point(x=t, y=100 * values[t, method, s], text=f"seed {s}") for t in tasks for s in seeds]
        series.append(Series(name=f"{method} seeds", points=tuple(points), method=method, is_faint=True))
    for method in methods:
        points = [
            Point(
                x=t,
                y=100 * means[t, method],
                low=100 * means[t, method] - 3,
                high=100 * means[t, method] + 2.5,
                anchor=first_rows[t, method],
            )
            for t in tasks
        ]
        series.append(Series(name=method, points=tuple(points), method=method))
    return XYChart(
        id="quality-scores",
        title="Score by task",
        x=Axis(label="", categories=tasks),
        y=Axis(label="accuracy on the report split, percent"),
        series=tuple(series),
        levels=(Level(name="majority", value=66.5), Level(name="published", value=88.1)),
        bands=(Band(name="expected of full", low=80.0, high=86.0),),
        note="Large marks are means over seeds with 95% intervals; small marks are single seeds.",
    )


def drift_charts(tasks, methods, num_layers, draw) -> tuple[Chart, ...]:  # type: ignore[no-untyped-def]
    layers = ("emb", *(str(layer) for layer in range(1, num_layers + 1)), "norm")
    charts: list[Chart] = []
    for number, _ in enumerate(tasks[:2]):
        series = [
            Series(
                name=method,
                method=method,
                style="line and marks",
                points=tuple(
                    Point(x=layer, y=0.02 * place * rate, low=0.016 * place * rate, high=0.025 * place * rate)
                    for place, layer in enumerate(layers)
                ),
            )
            for method in methods
            for rate in [0.4 + draw.random()]
        ]
        control = tuple(Point(x=layer, y=0.005, low=0.003, high=0.008) for layer in layers)
        series.append(
            Series(name="same model, other half of the examples", role="control", style="line", points=control)
        )
        charts.append(
            XYChart(
                id=f"drift-layers-{number}",
                title=f"How far each layer moved, {tasks[number]}",
                x=Axis(label="layer", categories=layers),
                y=Axis(label="1 - debiased CKA with the base model"),
                series=tuple(series),
                note="Shaded: 95% interval over examples. Grey: control.",
            )
        )
    for method in methods[:2]:
        grid = tuple(
            tuple(None if i == j == 0 else 1 - 0.09 * abs(i - j) for j in range(len(layers)))
            for i in range(len(layers))
        )
        charts.append(
            HeatMap(
                id=f"drift-pairs-{methods.index(method)}",
                title=f"Layers of {method} and of the base model",
                x_label="layer of the base model",
                y_label="layer of the tuned model",
                columns=layers,
                rows=layers,
                values=grid,
                value_label="debiased CKA",
                limits=(0.0, 1.0),
            )
        )
    return tuple(charts)


def tradeoff_charts(tasks, methods, seeds, values, means) -> tuple[Chart, ...]:  # type: ignore[no-untyped-def]
    charts = []
    for number, task in enumerate(tasks):
        series = []
        for place, method in enumerate(methods):
            x = 22e6 / (900**place if place < 2 else 40 * place)
            seeds_of = tuple(Point(x=x, y=100 * values[task, method, s], text=f"seed {s}") for s in seeds)
            mean = 100 * means[task, method]
            series.append(Series(name=f"{method} seeds", method=method, points=seeds_of, is_faint=True))
            series.append(Series(name=method, method=method, points=(Point(x=x, y=mean, low=mean - 2, high=mean + 2),)))
        charts.append(
            XYChart(
                id=f"tradeoff-parameters-{number}",
                title=f"Accuracy against trained parameters, {task}",
                x=Axis(label="trained parameters", scale="log"),
                y=Axis(label="accuracy, percent"),
                series=tuple(series),
                note="Not beaten on both axes: full, lora.",
            )
        )
    return tuple(charts)


def sweep_charts(methods, draw) -> tuple[Chart, ...]:  # type: ignore[no-untyped-def]
    series = tuple(
        Series(
            name=method,
            method=method,
            style="steps",
            points=tuple(
                Point(x=n, y=70 + 12 * (1 - 0.7**n) + draw.random(), low=68 + 12 * (1 - 0.7**n), high=84.0)
                for n in range(1, 13)
            ),
        )
        for method in methods
    )
    rates = tuple(
        Series(
            name=method,
            method=method,
            points=tuple(
                Point(x=10 ** (-5 + 2 * draw.random()), y=60 + 25 * draw.random(), text=f"trial {n}") for n in range(12)
            ),
        )
        for method in methods
    )
    return (
        XYChart(
            id="sweep-budget",
            title="Expected best score by number of trials",
            x=Axis(label="trials"),
            y=Axis(label="accuracy on the selection split, percent"),
            series=series,
        ),
        XYChart(
            id="sweep-rate",
            title="Score by learning rate",
            x=Axis(label="learning rate", scale="log"),
            y=Axis(label="accuracy on the selection split, percent"),
            series=rates,
        ),
    )


def curve_charts(tasks, methods, seeds, draw) -> tuple[Chart, ...]:  # type: ignore[no-untyped-def]
    charts = []
    for number, task in enumerate(tasks):
        series = []
        for method in methods:
            for seed in seeds:
                points = tuple(Point(x=20 * s, y=0.2 + 0.5 * 0.97**s + 0.03 * draw.random()) for s in range(100))
                series.append(
                    Series(name=f"{method} seed {seed}", method=method, style="line", points=points, is_faint=True)
                )
            mean = tuple(Point(x=20 * s, y=0.2 + 0.5 * 0.97**s) for s in range(100))
            series.append(Series(name=method, method=method, style="line", points=mean))
        charts.append(
            XYChart(
                id=f"curve-loss-{number}",
                title=f"Training loss, {task}",
                x=Axis(label="step"),
                y=Axis(label="loss per example, nats"),
                series=tuple(series),
            )
        )
    return tuple(charts)

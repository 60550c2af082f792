import matplotlib.lines
import matplotlib.markers
import plotly.graph_objects as go
import pytest

from tunescope.report.colours import COLOURS, GREYS, Look, grey_look, method_look

METHODS = [f"m{place}" for place in range(70)]


def test_methods_differ_in_colour_or_mark() -> None:
    looks = [method_look(name, METHODS) for name in METHODS]
    assert len({(look.colour, look.mark) for look in looks}) == len(METHODS)
    assert [look.colour for look in looks[:7]] == list(COLOURS)


def test_greys_are_no_methods_colour() -> None:
    assert not set(GREYS) & set(COLOURS)
    assert {grey_look(place).colour for place in range(9)} == set(GREYS)
    assert len({(grey_look(place).colour, grey_look(place).plotly_dash) for place in range(15)}) == 15


@pytest.mark.parametrize(
    "look", [method_look(name, METHODS) for name in METHODS[:10]] + [grey_look(p) for p in range(6)]
)
def test_matplotlib_and_plotly_know_every_look(look: Look) -> None:
    matplotlib.lines.Line2D([], [], marker=look.mark, linestyle=look.dash, color=look.colour)
    go.Scatter(marker={"symbol": look.plotly_mark}, line={"dash": look.plotly_dash, "color": look.dark_colour})


@pytest.mark.parametrize("colour", [*COLOURS[:4], COLOURS[6], *GREYS])
def test_colours_stand_out_on_either_ground(colour: str) -> None:
    looks = [method_look(name, METHODS) for name in METHODS[:7]] + [grey_look(place) for place in range(3)]
    look = next(look for look in looks if look.colour == colour)
    assert _contrast(look.colour, "#FFFFFF") > 2.8
    assert _contrast(look.dark_colour, "#15171B") > 2.8


def test_a_method_of_no_study_is_refused() -> None:
    with pytest.raises(ValueError, match="'dora' is none of the study's methods: full, lora"):
        method_look("dora", ["full", "lora"])
    with pytest.raises(ValueError, match="place must be 0 or more"):
        grey_look(-1)


def _contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2, 1 to 21."""
    lights = sorted((_luminance(one), _luminance(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

import base64
import hashlib
import html.parser
import json
import re
from dataclasses import replace

import pytest

from report_content import SCRIPT, empty_report, made_report, nasty_report
from tunescope.report.content.section import Report, Section, Sentence
from tunescope.report.content.table import Cell, Column, Row, Table
from tunescope.report.page.render import render_page

VOID = {"meta", "link", "input", "br", "path", "circle", "rect", "img"}


class _Page(html.parser.HTMLParser):
    """What a browser would make of the page: elements with their attributes, and the text of each."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[list[str]] = []
        self._open: list[int] = []
        self.feed(page)
        assert not self._open, [self.elements[place] for place in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append([])
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append([])

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.elements[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for place in self._open:
            self.texts[place].append(data)

    def of(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        """Attributes and text of every such element."""
        pairs = zip(self.elements, self.texts, strict=True)
        return [(attributes, "".join(text)) for (name, attributes), text in pairs if name == tag]

    def rows_of(self, table: str) -> list[list[tuple[dict[str, str | None], str]]]:
        """The body's cells, by row, of the table with an id."""
        start = next(place for place, (_, attributes) in enumerate(self.elements) if attributes.get("id") == table)
        rows: list[list[tuple[dict[str, str | None], str]]] = []
        in_body = False
        for (tag, attributes), text in zip(self.elements[start:], self.texts[start:], strict=True):
            if tag == "tbody":
                in_body = True
            elif tag == "p" and in_body:
                break
            elif tag == "tr" and in_body:
                rows.append([])
            elif tag in ("td", "th") and in_body:
                rows[-1].append((attributes, "".join(text).strip()))
        return rows


@pytest.fixture(scope="module", params=["ordinary", "nasty", "empty"])
def case(request: pytest.FixtureRequest) -> tuple[Report, str]:
    report = {"ordinary": made_report, "nasty": nasty_report, "empty": empty_report}[request.param]()
    return report, render_page(report, generated="Made today.")


def test_every_id_is_there_once_and_every_link_lands(case: tuple[Report, str]) -> None:
    page = _Page(case[1])
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for attributes, _ in page.of("a")]
    inside = {link[1:] for link in links if link and link.startswith("#")}
    assert inside
    assert inside <= set(ids)


def test_it_asks_for_nothing(case: tuple[Report, str]) -> None:
    page = _Page(case[1])
    for _, attributes in page.elements:
        assert not {"src", "srcset", "action", "data", "poster"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]
    assert [attributes["href"] for attributes, _ in page.of("link")] == ["data:,"]
    style = "".join(text for _, text in page.of("style"))
    assert "url(" not in style
    assert "@import" not in style
    policy = _policy(page)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy


def test_the_policy_knows_the_script_of_the_page(case: tuple[Report, str]) -> None:
    page = _Page(case[1])
    (script,) = [text for attributes, text in page.of("script") if "type" not in attributes]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in _policy(page)


def test_it_is_far_below_6_mb(case: tuple[Report, str]) -> None:
    assert len(case[1].encode()) < 3_000_000


def test_text_of_users_is_text() -> None:
    report = nasty_report()
    page = _Page(render_page(report, generated="Made today."))
    assert f"{SCRIPT} 0" in [text for _, text in page.of("bdi")]
    types = [attributes.get("type") for attributes, _ in page.of("script")]
    assert types.count(None) == 1
    assert set(types) == {None, "application/json", "text/plain"}
    assert not page.of("img")
    assert "{{ 7 * 7 }} 6" in [text for _, text in page.of("bdi")]


def test_numbers_of_tables_are_those_of_the_report() -> None:
    report = made_report()
    page = _Page(render_page(report, generated="Made today."))
    tables = [table for section in report.sections for table in section.tables]
    assert len(tables) == 3
    for table in tables:
        for row, shown in zip(table.rows, page.rows_of(table.id), strict=True):
            for cell, (attributes, text) in zip(row.cells, shown, strict=True):
                assert text == cell.shown
                if isinstance(cell.value, float):
                    assert float(attributes["data-v"] or "") == cell.value


def test_numbers_of_charts_are_those_of_the_report() -> None:
    report = made_report()
    page = _Page(render_page(report, generated="Made today."))
    specs = [json.loads(text) for attributes, text in page.of("script") if attributes.get("type") == "application/json"]
    spec = next(
        one for one in specs if one.get("layout", {}).get("meta", {}).get("y", "").startswith("accuracy on the")
    )
    chart = report.sections[0].charts[0]
    drawn = {(trace["meta"]["name"], y) for trace in spec["data"] if "meta" in trace for y in trace["y"]}
    assert drawn == {(series.name, point.y) for series in chart.series for point in series.points}


def test_worth_of_a_cell() -> None:
    cells = (
        Cell(shown="83.3", value=0.8333333333333334),
        Cell(shown="12", value=12),
        Cell(shown="yes", value=True),
        Cell(shown="-", value=None),
        Cell(shown="", value=None),
    )
    columns = tuple(Column(name=str(place), kind="number") for place in range(len(cells)))
    table = Table(id="t", caption="T", columns=columns, rows=(Row(cells=cells),))
    page = _Page(render_page(_with(Section(id="s", title="S", tables=(table,))), generated="Made today."))
    worths = [attributes.get("data-v") for attributes, _ in page.rows_of("t")[0]]
    assert worths == ["0.8333333333333334", None, "true", "", None]


def test_files_stand_where_they_belong() -> None:
    files = {"tables/quality-means.tex": "a table", "figures/quality-scores.svg": "a figure", "data/a.csv": "rows"}
    page = _Page(render_page(made_report(), generated="Made today.", data_files=files))
    links = [(attributes["href"], text) for attributes, text in page.of("a") if attributes["href"] in files]
    assert links == [
        ("figures/quality-scores.svg", "SVG"),
        ("tables/quality-means.tex", "LaTeX"),
        ("data/a.csv", "data/a.csv"),
    ]


def test_backticks_are_code_and_inert() -> None:
    section = Section(id="s", title="S", missing=f"Add `drift: {SCRIPT}` and one ` alone.")
    page = render_page(_with(section), generated="Made today.")
    assert "<code>drift: &lt;script&gt;" not in page  # three backticks: not pairs, so all of it is text
    paired = render_page(_with(replace(section, missing=f"Add `drift: {SCRIPT}`.")), generated="Made today.")
    assert "Add <code>drift: &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;</code>." in paired


def test_the_same_report_gives_the_same_page() -> None:
    pages = {render_page(made_report(), generated="Made today.") for _ in range(2)}
    assert len(pages) == 1


def test_plotly_is_left_out_where_there_is_no_chart() -> None:
    page = render_page(empty_report(), generated="Made today.")
    assert 'id="plotly-packed"' not in page
    assert len(page) < 100_000


def test_a_link_to_nowhere_is_refused() -> None:
    sentence = Sentence(text="Look there", anchor="row-999")
    with pytest.raises(AssertionError, match="lead nowhere: row-999"):
        render_page(_with(Section(id="s", title="S", sentences=(sentence,))), generated="Made today.")


def test_an_id_of_the_page_itself_is_refused() -> None:
    with pytest.raises(AssertionError, match="more than once: files"):
        render_page(_with(Section(id="files", title="S")), generated="Made today.")


def test_colours_of_the_style_are_those_of_the_methods() -> None:
    page = render_page(made_report(), generated="Made today.")
    assert re.search(r"\.look-0072B2\{color:light-dark\(#0072B2,#0072B2\)\}", page)


def _policy(page: _Page) -> str:
    (policy,) = [a["content"] for a, _ in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    return policy


def _with(section: Section) -> Report:
    return replace(empty_report(), summary=(), sections=(section,))


def test_a_cell_that_shows_nothing_is_no_link():
    table = Table(
        id="t",
        caption="c",
        columns=(Column(name="a"),),
        rows=(Row(cells=(Cell(shown="", anchor="t"),)), Row(cells=(Cell(shown="x", anchor="t"),))),
    )
    section = Section(id="rows", title="All rows", tables=(table,))
    report = Report(study="s", question="", methods=(), summary=(), verdicts=(), undecided=(), sections=(section,))
    page = render_page(report, generated="now")
    assert re.findall(r'<a href="#t">', page) == ['<a href="#t">'], (
        "a link without a name is nothing to a screen reader"
    )

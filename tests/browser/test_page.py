"""The page as a person meets it: drawn, sorted, filtered, linked, dark, on a phone, on paper, read aloud."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from report_content import ARABIC, SCRIPT, made_report

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser
Opener = Callable[..., "Page"]

WIDTHS = (1280, 390)


def _until(page: Page, expression: str) -> None:
    """Waits for a JavaScript expression to be true; the page forbids `eval`, with which playwright would wait by itself."""
    deadline = time.monotonic() + 30.0
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"not true within 30 s: {expression}"
        page.wait_for_timeout(50)


def _drawn(page: Page) -> int:
    """Charts that are drawn once all of the page has been in view."""
    for figure in page.locator("figure.chart").all():
        figure.scroll_into_view_if_needed()
        figure.locator(".main-svg").first.wait_for(state="attached")
    return page.locator("figure.chart:has(.main-svg)").count()


def _column(table: Locator, place: int) -> list[str]:
    return [row.locator("th, td").nth(place).inner_text() for row in table.locator("tbody tr:visible").all()]


@pytest.mark.parametrize("name,charts", [("ordinary", 11), ("nasty", 11), ("empty", 0)])
@pytest.mark.parametrize("width", WIDTHS)
def test_charts_are_drawn_and_nothing_sticks_out(opened: Opener, name: str, charts: int, width: int) -> None:
    page = opened(name, width=width)
    assert _drawn(page) == charts
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator(".plot .missing").count() == 0


@pytest.mark.parametrize(
    "name,width,is_dark",
    [
        ("ordinary", 1280, False),
        ("ordinary", 1280, True),
        ("ordinary", 390, False),
        ("ordinary", 390, True),
        pytest.param("nasty", 390, False, marks=pytest.mark.slow),
        ("nasty", 390, False),
        ("empty", 1280, True),
    ],
)
def test_axe_finds_nothing(opened: Opener, name: str, width: int, is_dark: bool) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = opened(name, width=width, is_dark=is_dark, reduced_motion="reduce")
    _drawn(page)
    for fold in page.locator("details.numbers summary").all()[:3]:
        fold.click()
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(one["impact"], one["id"], one["nodes"][0]["html"][:200]) for one in found] == []


def test_it_opens_in_less_than_two_seconds(opened: Opener) -> None:
    page = opened("ordinary")
    paint, loaded = page.evaluate(
        "[performance.getEntriesByName('first-contentful-paint')[0].startTime,"
        " performance.getEntriesByType('navigation')[0].loadEventEnd]"
    )
    assert 0 < paint < 2000
    assert 0 < loaded < 2000


def test_the_first_screen_has_question_verdicts_and_what_is_open(opened: Opener) -> None:
    page = opened("ordinary")
    for part in ("h1", "#verdicts li >> nth=1", "#undecided li"):
        box = page.locator(part).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 900


def test_sorting_a_table(opened: Opener) -> None:
    page = opened("ordinary")
    table = page.locator("#rows-all table")
    head = table.locator("thead th").nth(5)
    given = _column(table, 5)
    assert head.get_attribute("aria-sort") is None
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    shown = _column(table, 5)
    numbers = [int(one) for one in shown if one != "-"]
    assert numbers == sorted(numbers)
    assert shown[-2:] == ["-", "-"]
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert _column(table, 5) == [*map(str, reversed(numbers)), "-", "-"]
    head.locator("button").press("Enter")
    assert _column(table, 5) == given


def test_filtering_a_table_and_following_a_link_into_it(opened: Opener) -> None:
    page = opened("ordinary")
    box = page.locator("#rows")
    box.get_by_label("Filter rows").fill("rte lora")
    assert box.locator("tbody tr:visible").count() == 3
    assert box.get_by_text("3 of 12 rows").is_visible()
    page.locator("#quality-means tbody a").first.click()
    assert page.url.endswith("#row-0")
    row = page.locator("#row-0")
    assert row.is_visible()
    assert "is-target" in (row.get_attribute("class") or "")
    assert box.get_by_label("Filter rows").input_value() == ""


def test_a_link_from_outside_lands_on_its_row(opened: Opener) -> None:
    page = opened("nasty", hash="#row-399")
    row = page.locator("#row-399")
    row.wait_for()
    _until(
        page,
        "(() => { const { top, bottom } = document.getElementById('row-399').getBoundingClientRect();"
        " return top >= 0 && bottom <= innerHeight; })()",
    )


def test_every_link_within_the_page_lands(opened: Opener) -> None:
    page = opened("ordinary")
    lost = page.evaluate(
        "[...document.querySelectorAll('a[href^=\"#\"]')].filter((a) => !document.getElementById(a.hash.slice(1)))"
        ".map((a) => a.hash)"
    )
    assert lost == []


def test_copying_a_table(opened: Opener) -> None:
    report = made_report()
    table = next(section for section in report.sections if section.id == "rows").tables[0]
    page = opened("ordinary", permissions=["clipboard-read", "clipboard-write"])
    tools = page.locator("#rows-all .tools")
    tools.get_by_role("button", name="as CSV").click()
    page.locator("#page-said", has_text="copied").wait_for(state="attached")
    rows = list(csv.DictReader(io.StringIO(page.evaluate("navigator.clipboard.readText()"))))
    assert [float(row["accuracy"]) for row in rows] == [row.cells[4].value for row in table.rows]
    assert [row["seconds"] for row in rows][3] == ""
    tools.get_by_role("button", name="Copy as Markdown").click()
    page.locator("#page-said", has_text="as Markdown copied").wait_for(state="attached")
    lines = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert lines[0] == "| task | method | seed | state | accuracy | seconds | job |"
    assert lines[1] == "| --- | --- | --: | --- | --: | --: | --- |"
    assert len(lines) == 2 + len(table.rows)


def test_numbers_behind_a_chart_are_those_of_the_report(opened: Opener) -> None:
    report = made_report()
    chart = report.sections[0].charts[0]
    page = opened("ordinary")
    figure = page.locator(f"#{chart.id}")
    figure.locator(".numbers summary").click()
    figure.locator("tbody tr").first.wait_for()
    cells = figure.locator("tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [row.cells[0].textContent, row.cells[1].textContent, row.cells[2].dataset.v])"
    )
    expected = sorted((one.name, str(point.x), point.y) for one in chart.series for point in one.points)
    assert sorted((name, x, float(y)) for name, x, y in cells) == expected


def test_the_legend_switches_series_off_and_on(opened: Opener) -> None:
    page = opened("ordinary")
    figure = page.locator("#quality-scores")
    figure.scroll_into_view_if_needed()
    figure.locator(".main-svg").first.wait_for(state="attached")
    entry = figure.get_by_role("button", name="lora")
    seen = "document.querySelector('#quality-scores .plot').data.filter((t) => t.visible !== false).length"
    assert page.evaluate(seen) == 4
    entry.click()
    assert entry.get_attribute("aria-pressed") == "false"
    _until(page, f"{seen} === 2")
    entry.press("Space")
    _until(page, f"{seen} === 4")


def test_a_mark_leads_to_its_rows(opened: Opener) -> None:
    page = opened("ordinary")
    page.locator("#quality-scores").scroll_into_view_if_needed()
    page.locator("#quality-scores .main-svg").first.wait_for(state="attached")
    page.evaluate(
        "(() => { const plot = document.querySelector('#quality-scores .plot');"
        " const mark = plot.data.find((t) => t.meta.name === 'lora');"
        " plot.emit('plotly_click', { points: [{ customdata: mark.customdata[0] }] }); })()"
    )
    assert page.url.endswith("#row-3")


def test_the_theme_changes_and_is_kept(opened: Opener) -> None:
    page = opened("ordinary")
    _drawn(page)
    ground = "getComputedStyle(document.body).backgroundColor"
    ink = "document.querySelector('#quality-scores .plot').layout.font.color"
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    light = page.evaluate(ink)
    page.get_by_label("Theme").select_option("dark")
    assert page.evaluate(ground) == "rgb(21, 23, 27)"
    _until(page, f"{ink} !== {json.dumps(light)}")
    page.reload()
    _until(page, "document.documentElement.dataset.charts === 'ready'")
    assert page.get_by_label("Theme").input_value() == "dark"
    assert page.evaluate(ground) == "rgb(21, 23, 27)"
    page.get_by_label("Theme").select_option("")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"


def test_the_systems_theme_is_followed(opened: Opener) -> None:
    page = opened("nasty", is_dark=True)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 27)"
    page.locator("#quality-scores").scroll_into_view_if_needed()
    page.locator("#quality-scores .main-svg").first.wait_for(state="attached")
    colours = page.evaluate("document.querySelector('#quality-scores .plot').data.map((t) => t.marker?.color)")
    assert "#F2F2F2" in colours
    assert "#000000" not in colours


def test_examples_are_paged_filtered_and_sorted(opened: Opener) -> None:
    examples = next(section for section in made_report().sections if section.id == "predictions").examples
    page = opened("ordinary")
    box = page.locator("#predictions .examples")
    cards = box.locator("article")
    assert cards.count() == 20
    assert box.locator(".found").inner_text() == "1 to 20 of 60 examples"
    box.get_by_role("button", name="Next 20").click()
    assert box.locator(".found").inner_text() == "21 to 40 of 60 examples"
    box.get_by_label("full").select_option("right")
    box.get_by_label("lora").select_option("wrong")
    wanted = [one for one in examples if one.share_right["full"] == 1 and one.share_right["lora"] == 0]
    assert wanted
    assert cards.count() == len(wanted)
    box.get_by_label("lora").select_option("")
    box.get_by_label("full").select_option("")
    box.get_by_label("Task").select_option("rte")
    assert box.locator(".found").inner_text() == "1 to 20 of 30 examples (60 in all)"
    box.get_by_label("Sort").select_option("spread")
    shares = [re.findall(r"([\d.]+)%", text) for text in cards.locator(".shares").all_inner_texts()]
    gaps = [abs(float(full) - float(lora)) for full, lora in shares]
    assert gaps == pytest.approx(sorted(gaps, reverse=True), abs=0.11)  # shares are shown to a tenth
    box.get_by_label("Words").fill("third quarter . 41")
    assert cards.count() == 1
    box.get_by_label("Words").fill("no such words")
    assert box.locator(".found").inner_text() == "No example fits."


def test_markup_of_users_is_text_and_their_direction_their_own(opened: Opener) -> None:
    page = opened("nasty")
    _drawn(page)
    said = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    assert page.evaluate("document.querySelectorAll('img, script[src]').length") == 0
    assert page.get_by_text(SCRIPT).first.is_visible()
    field = page.locator("#predictions article dd").first
    assert field.inner_text().startswith(f"{SCRIPT} {ARABIC}")
    assert field.get_attribute("dir") == "auto"
    ticks = page.locator("#quality-scores .xtick text").all_text_contents()
    assert ticks[0].startswith("<script>alert(")
    page.locator("#quality-scores .numbers summary").click()
    assert SCRIPT in page.locator("#quality-scores .numbers tbody").inner_text()
    assert said == []


def test_many_verdicts_are_folded(opened: Opener) -> None:
    page = opened("nasty")
    assert page.locator("#verdicts li:visible").count() == 12
    page.locator("#verdicts summary").click()
    assert page.locator("#verdicts li:visible").count() == 360


def test_contents_on_a_phone_open_and_close(opened: Opener) -> None:
    page = opened("ordinary", width=390)
    link = page.locator("#contents").get_by_role("link", name="Provenance")
    assert not link.is_visible()
    page.locator("#contents summary").click()
    link.click()
    assert page.url.endswith("#provenance")
    assert not link.is_visible()


def test_keys_of_a_wide_table_stay_in_view_on_a_phone(opened: Opener) -> None:
    page = opened("ordinary", width=390)
    scroll = page.locator("#rows-all .table-scroll")
    scroll.scroll_into_view_if_needed()
    scroll.evaluate("(one) => { one.scrollLeft = 300; }")
    table, key = scroll.bounding_box(), scroll.locator("tbody th").first.bounding_box()
    assert table is not None
    assert key is not None
    assert abs(key["x"] - table["x"]) < 2


def test_the_keyboard_reaches_the_report_first(opened: Opener) -> None:
    page = opened("ordinary")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_paper_is_light_with_all_charts_and_no_controls(opened: Opener) -> None:
    page = opened("ordinary", is_dark=True)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("figure.chart:has(.main-svg)").count() == 11
    assert page.evaluate("document.querySelector('#quality-scores .plot').layout.font.color") == "#1B1D21"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 29, 33)"
    for control in (".bar", ".filter", ".choices", ".tools"):
        assert not page.locator(control).first.is_visible()
    assert page.pdf().startswith(b"%PDF")


def test_without_scripts_the_tables_are_there(opened: Opener, browser, pages) -> None:  # type: ignore[no-untyped-def]
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(pages["ordinary"].as_uri())
    assert page.locator("#rows-all tbody tr").count() == 12
    assert "need JavaScript" in (page.locator("main > noscript").text_content() or "")
    assert not page.get_by_label("Theme").is_visible()
    context.close()

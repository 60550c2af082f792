"""A page in headless Chromium, the network cut; skips where playwright or Chromium is absent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from report_content import empty_report, made_report, nasty_report
from tunescope.report.page.render import render_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
REPORTS = {"ordinary": made_report, "nasty": nasty_report, "empty": empty_report}
FILES = {
    "data/results.csv": "every score",
    "tables/quality-means.tex": "as shown",
    "figures/quality-scores.svg": "vector",
}

Opener = Callable[..., "Page"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium: the one that TUNESCOPE_CHROMIUM names, else the first on the path."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install .[browser]"
    )
    named = os.environ.get("TUNESCOPE_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, _CHROMIUM_NAMES)), None)
    if found is None:
        pytest.skip("no Chromium on the path; install it or set TUNESCOPE_CHROMIUM")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file per made-up report."""
    folder = tmp_path_factory.mktemp("pages")
    for name, make in REPORTS.items():
        page = render_page(make(), generated="Made today.", data_files=FILES)
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in REPORTS}


@pytest.fixture
def opened(browser: Browser, pages: dict[str, Path]) -> Iterator[Opener]:
    """Opens a page by name and waits for its charts; at the end, no console line, error or request may have come."""
    heard: list[str] = []
    contexts = []

    def open_page(name: str, *, width: int = 1280, is_dark: bool = False, hash: str = "", **options: object) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if is_dark else "light",
            offline=True,
            **options,  # type: ignore[arg-type]
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: heard.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: heard.append(f"error: {error}"))
        address = pages[name].as_uri()
        page.on("request", lambda request: heard.append(request.url) if is_foreign(request.url, address) else None)
        page.goto(address + hash)
        ready = "!document.querySelector('figure.chart') || document.documentElement.dataset.charts === 'ready'"
        page.wait_for_function(ready)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert heard == []


def is_foreign(url: str, address: str) -> bool:
    """Whether a request goes anywhere but to the page itself or into what it holds."""
    return not url.startswith((address, "data:", "blob:"))

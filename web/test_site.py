"""The built site in a real browser (`make test-site`): every page, wide and narrow, opened from the disk.

Needs Chromium: Debian's package chromium, or another that RNNBIO_CHROMIUM names.
"""
import os
import re
import shutil
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import sync_playwright

HTML = Path(__file__).resolve().parent.parent / "_site" / "html"
# 404.html is for a server: its links start at the root
PAGES = sorted(path.relative_to(HTML).as_posix() for path in HTML.rglob("*.html")
               if path.name != "404.html")
WIDE, NARROW = 1300, 390
# a browser asks home for updates of its own unless told not to
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--no-first-run"]


@pytest.fixture(scope="module")
def browser():
    names = os.environ.get("RNNBIO_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    assert found, "no Chromium: apt-get install chromium, or set RNNBIO_CHROMIUM"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield chromium
        chromium.close()


def opened(browser, name, width=WIDE):
    "A page, and what went wrong while it loaded."
    wrong = []
    page = browser.new_page(viewport=dict(width=width, height=900))
    page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda r: wrong.append(r.url) if r.url.startswith("http") else None)
    page.goto(f"{HTML.as_uri()}/{name}")
    return page, wrong


def test_it_was_built():
    assert len(PAGES) > 150 and {"index.html", "gallery.html", "explorer.html"} <= {*PAGES}
    size = sum(path.stat().st_size for path in HTML.rglob("*") if path.is_file())
    assert size < 40e6


@pytest.mark.parametrize("name", PAGES)
def test_page(browser, name):
    "No error, nothing from elsewhere, no missing picture, equations drawn, nothing too wide."
    page, wrong = opened(browser, name)
    if page.locator(".arithmatex").count():
        page.wait_for_function("window.MathJax?.startup?.promise")
        page.evaluate("MathJax.startup.promise")
        raw = page.locator(".arithmatex:not(:has(mjx-container))").count()
        assert not raw and not page.locator("mjx-merror, [data-mjx-error]").count()
    broken = page.evaluate("[...document.images].filter(i => i.loading != 'lazy' && i.complete"
                           " && !i.naturalWidth).map(i => i.src)")
    assert not broken and not wrong
    for width in WIDE, NARROW:
        page.set_viewport_size(dict(width=width, height=900))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    text = page.locator("body").inner_text()
    assert not re.search(r"^#\| |skip_showdoc|\\tag\{", text, re.M)
    page.close()


def test_two_clicks_to_a_verdict(browser):
    page, wrong = opened(browser, "index.html")
    page.get_by_role("link", name="Gallery").first.click()
    page.locator(".card", has_text="curvature while they learn").click()
    page.wait_for_selector("h1:has-text('Figure 3')")
    assert page.locator("table .verdict.reproduced").count() and not wrong


def test_claims_are_filtered(browser):
    page, wrong = opened(browser, "claims.html?paper=zhang2024")
    page.wait_for_selector(".tabulator-row")
    shown = page.locator(".tabulator-cell[tabulator-field=paper]").all_inner_texts()
    assert {*shown} == {"zhang2024"} and not wrong


def test_search_finds_a_rule(browser):
    page, wrong = opened(browser, "index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("flossing")
    page.wait_for_selector("text=Gradient flossing")
    assert not wrong


RA = "RA: representation alignment, start and end"


def test_explorer_follows_its_choices(browser):
    page, wrong = opened(browser, "explorer.html")
    drawn = lambda n: page.wait_for_function(f"document.body.dataset.drawn >= {n}")
    plot = lambda: page.locator("#plot svg.marks").inner_html()
    drawn(1)
    seen = [plot()]
    for n, (field, value) in enumerate([("of α", "0.5"), ("color", "rule"), ("scale", "linear"),
                                        ("paper", "liu2024"), ("measure", RA)], 2):
        page.locator(f"select[name='{field}']").select_option(value)
        drawn(n)
        assert plot() not in seen
        seen.append(plot())
    assert "make liu2024/" in page.locator("#links code").inner_text()
    again, _ = opened(browser, "explorer.html" + page.evaluate("location.hash"))
    again.wait_for_function("document.body.dataset.drawn >= 1")
    assert again.locator("select[name='measure']").input_value() == RA and not wrong


def test_explorer_shows_every_rule_where_they_end_at_different_steps(browser):
    page, wrong = opened(browser, "explorer.html#" + quote(
        "figure=zhang2024/fig1_initial_gain&x=gain&color=rule"))
    page.wait_for_function("document.body.dataset.drawn >= 1")
    assert {*page.locator("#plot .role-legend-label text").all_text_contents()} == {"BPTT", "e-prop"}
    marks = page.locator("#plot .mark-line path")
    assert marks.count() == 2 and not wrong


def test_every_figure_can_be_explored(browser):
    page, wrong = opened(browser, "explorer.html")
    page.wait_for_function("document.body.dataset.drawn >= 1")
    names = page.evaluate("DATA.figures.map(f => f.name)")
    for n, name in enumerate(names, 2):
        page.locator("select[name='figure']").select_option(name)
        page.wait_for_function(f"document.body.dataset.drawn >= {n}")
        marks = page.locator("#plot .mark-symbol path, #plot .mark-line path").count()
        assert marks, name
    assert len(names) > 40 and not wrong

"""Pages in a real browser, headless Chromium: they open from disk, ask for nothing, and everybody can use them.

All of them at both widths, light and dark, at full size; else each once.
"""

from __future__ import annotations

import io
import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reported
from conftest import choose
from matplotlib.image import imread

from synsim.report.making import html_of

playwright = pytest.importorskip("playwright.sync_api")

FLAGS = [
    "--no-sandbox",  # as root, in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGES = ("everything", "rates", "hostile")
ALL = list(itertools.product(PAGES, (400, 1400), ("light", "dark")))
ONCE = [("everything", 1400, "light"), ("rates", 400, "dark"), ("hostile", 400, "light")]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "everything": reported.everything(folder),
        "rates": reported.sweep(folder),
        "hostile": reported.hostile(folder),
    }
    for name, path in made.items():
        (folder / f"{name}.html").write_text(html_of(path), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        assert choose(quick=True, ci=False), "Debian's chromium is needed"
        pytest.skip("needs Debian's chromium")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=FLAGS)
        yield started
        started.close()


@dataclass
class Visit:
    """A page that was opened, and all that it said or asked for."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def visit(browser: Any, pages: dict[str, Path]) -> Iterator[Any]:
    contexts = []

    def opened(name: str, width: int = 1400, scheme: str = "light") -> Visit:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True, accept_downloads=True
        )
        contexts.append(context)
        it = Visit(context.new_page())
        it.page.on("console", lambda message: it.said.append(message.text))
        it.page.on("pageerror", lambda error: it.said.append(str(error)))
        it.page.on("dialog", lambda dialog: (it.said.append(dialog.message), dialog.dismiss()))
        it.page.on("request", lambda request: it.asked.append(request.url))
        it.page.goto(pages[name].as_uri(), wait_until="load")
        return it

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize(("name", "width", "scheme"), choose(quick=ONCE, full=ALL))
def test_a_page_opens_from_disk(visit, pages, tmp_path, name, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    it = visit(name, width, scheme)
    page = it.page
    assert it.said == []
    assert [url for url in it.asked if not url.startswith("data:")] == [pages[name].as_uri()]
    inner, outer = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert inner == outer == width  # nothing makes the whole page wider than the window
    pictures = page.evaluate(
        "[...document.images].map(i => [i.className, i.complete, i.naturalWidth, i.getBoundingClientRect().width])"
    )
    for kind, complete, natural, shown in pictures:
        assert complete and natural > 300
        assert 150 < shown < width if kind == scheme else shown == 0
    shot = imread(io.BytesIO(page.screenshot(full_page=True)))[..., :3]
    assert shot.shape[1] == width and shot.shape[0] > 2000
    ground = np.median(shot.reshape(-1, 3), axis=0)
    assert (ground > 0.95).all() if scheme == "light" else (ground < 0.2).all()
    assert (shot.std(axis=(1, 2)) > 0.01).mean() > 0.4  # it is not blank
    found = Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found] == []


def test_what_is_folded_is_accessible_when_it_is_opened(visit):
    from axe_playwright_python.sync_playwright import Axe

    page = visit("everything", 1400, "dark").page
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    found = Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found] == []


def test_the_keyboard_reaches_everything(visit):
    page = visit("everything", 1400).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "document.activeElement.tagName + ' ' + (document.activeElement.getAttribute('aria-label') || '')"
            )
        )
    stops = "main [tabindex='0'], main summary, main a"
    wanted = page.evaluate(f'[...document.querySelectorAll("{stops}")].filter(each => each.checkVisibility()).length')
    assert sum(not each.startswith(("BODY", "HTML")) for each in reached[:wanted]) == wanted
    assert "DIV Drawing of the circuit" in reached and any(each.startswith("SUMMARY") for each in reached)
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector('details').open")
    page.locator("nav a", has_text="Config").click()
    assert page.locator("#config").bounding_box()["y"] < 100


def test_a_narrow_table_is_scrolled_by_itself(visit):
    page = visit("everything", 400).page
    region = page.get_by_role("region", name="What was recorded")
    region.focus()
    page.keyboard.press("ArrowRight")
    for _ in range(50):  # it moves smoothly
        if page.evaluate("document.activeElement.scrollLeft") > 0:
            break
        page.wait_for_timeout(100)
    assert page.evaluate("document.activeElement.scrollLeft") > 0
    assert page.evaluate("window.scrollX") == 0


def test_a_screen_reader_is_told_what_there_is(visit):
    page = visit("everything").page
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(each => +each.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1 and max(np.diff(levels)) <= 1
    assert page.get_by_role("navigation", name="Contents").count() == 1
    assert page.get_by_role("img", name="Circuit of everything").count() == 1
    assert page.get_by_role("img", name="Raster of z.s").count() == 1
    assert page.get_by_role("table", name="Statistics of spikes").get_by_role("columnheader").count() == 8
    assert page.evaluate("document.documentElement.lang") == "en"


def test_it_prints_on_white_with_what_explains_it_unfolded(visit):
    page = visit("everything", 1400, "dark").page
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('.circuit .name')).fill") == "rgb(27, 31, 36)"
    shown = page.evaluate("[...document.images].filter(each => each.checkVisibility()).map(each => each.className)")
    assert set(shown) == {"light"}
    folded = page.evaluate(
        "[...document.querySelectorAll('.unfold > :not(summary)')].map(each => each.getBoundingClientRect().height)"
    )
    assert folded and min(folded) > 10
    how = page.evaluate("[...document.querySelectorAll('.scroll, .code')].map(each => getComputedStyle(each).overflow)")
    assert set(how) == {"visible"}
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF") and len(printed) > 50_000


def test_harm_does_nothing(visit):
    it = visit("hostile")
    it.page.wait_for_timeout(200)
    assert it.said == []
    assert it.page.title().startswith("small, a run of synsim")
    assert it.page.evaluate("document.scripts.length") == 0
    assert it.page.evaluate(
        "[...document.querySelectorAll('*')].every(e => [...e.attributes].every(a => !a.name.startsWith('on')))"
    )
    assert "<script>document.title" in it.page.evaluate("document.body.innerText")


def test_a_config_can_be_saved_from_the_page(visit, tmp_path):
    page = visit("everything").page
    with page.expect_download() as started:
        page.get_by_role("link", name="as it was written").click()
    saved = started.value
    assert saved.suggested_filename == "everything.yaml"
    assert Path(saved.path()).read_text() == reported.EVERYTHING

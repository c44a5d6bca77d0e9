"""The page in a real Chromium, wide and on a phone.

Needs Chromium (Debian's, or the one that CHROMIUM names) and the packages playwright and axe-playwright-python. With
RESTORE_SCREENSHOTS set to a folder, pictures of the page are left there.
"""

from __future__ import annotations

import functools
import http.server
import os
import random
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from restore import Restoration, Restorer, strip_text
from restore.flags import Flag
from restore.render import places_of, render_page

pytestmark = pytest.mark.browser

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
SIZES = {"wide": (1280, 900), "phone": (390, 800)}
HOSTILE = (
    "official <script>window.hacked=1</script> said </script><img/src=x/onerror=window.hacked=1> \"'><b>bold</b> "
    "\u202egnol\u202c \u2066isolated\u2069 z\u200bero \u05e9\u05dc\u05d5\u05dd {{7*7}} &lt;i&gt; <!-- official -->"
)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "no Chromium: install Debian's package chromium, or set CHROMIUM to its path"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def restoration(fast: Restorer, seed_text: str) -> Restoration:
    return flagged(fast.restore(seed_text), "reason")


@pytest.fixture(scope="session")
def beginning(fast: Restorer, seed_text: str) -> Restoration:
    """The article's beginning, which has everything that a page has."""
    return flagged(fast.restore(" ".join(seed_text.split()[:80])), "official")


def flagged(whole: Restoration, word: str) -> Restoration:
    start = whole.text.index(word)
    flag = Flag("negation", 0, start - 1, start, "a dropped word may turn the sense", ("no",), 0.31)
    return replace(whole, flags=(flag,))


class Page:
    """A page of a restoration, opened, that keeps what went wrong in it."""

    def __init__(self, page: Any, url: str) -> None:
        self.raw = page
        self.troubles: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.troubles.append(message.text))
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(url)

    @property
    def text(self) -> str:
        """What "copy text" copies."""
        self.raw.get_by_role("button", name="Copy text").click()
        self.raw.get_by_text("The text is copied.").wait_for()
        return str(self.raw.evaluate("navigator.clipboard.readText()"))

    def place(self, classes: str, number: int = 0) -> Any:
        return self.raw.locator(f"#article {classes}").nth(number)

    @property
    def popover(self) -> Any:
        return self.raw.get_by_role("dialog")

    @property
    def other(self) -> Any:
        """The likeliest option that is not the chosen one."""
        return self.popover.locator('[role=option][aria-selected="false"]').first

    def axe(self) -> list[str]:
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.raw, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]})
        return [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in found.response["violations"]]

    def picture(self, name: str) -> None:
        if folder := os.environ.get("RESTORE_SCREENSHOTS"):
            self.raw.screenshot(path=str(Path(folder) / f"{name}.png"))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Say nothing."""


class Site:
    """Serves pages, as a browser has a clipboard for pages from a secure place only, and this machine is one."""

    def __init__(self, browser: Any, folder: Path) -> None:
        self._browser, self._folder = browser, folder
        handler = functools.partial(_Quiet, directory=str(folder))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._contexts: list[Any] = []

    def open(self, restoration: Restoration, size: str = "wide", **options: Any) -> Page:
        (self._folder / "page.html").write_text(render_page(restoration, "article.txt"), encoding="utf-8")
        width, height = SIZES[size]
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            has_touch=size == "phone",
            reduced_motion="reduce",
            **options,
        )
        self._contexts.append(context)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        return Page(context.new_page(), f"http://127.0.0.1:{self._server.server_address[1]}/page.html")

    def close(self) -> None:
        for context in self._contexts:
            context.close()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def site(chromium: Any, tmp_path: Path) -> Iterator[Site]:
    site = Site(chromium, tmp_path)
    yield site
    site.close()


@pytest.fixture(params=list(SIZES))
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_it_shows_the_text_and_nothing_goes_wrong(site: Site, restoration: Restoration, size: str) -> None:
    page = site.open(restoration, size)
    page.picture(f"{size}-light")
    assert page.text == restoration.text
    assert page.troubles == []
    assert [url.rsplit("/", 1)[1] for url in page.requests] == ["page.html"]
    assert page.raw.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.raw.get_by_text("Restored, not the original.").is_visible()
    shown = page.raw.locator("#article").inner_text()
    assert shown.split() == restoration.text.split()


def test_axe_finds_nothing(site: Site, beginning: Restoration, size: str) -> None:
    scheme = "dark" if size == "phone" else "light"  # what colours show does not depend on the layout
    page = site.open(beginning, size, color_scheme=scheme)
    assert page.axe() == []
    page.place(".l4").click()
    page.popover.wait_for()
    page.picture(f"{size}-{scheme}-popover")
    assert page.axe() == []
    page.other.click()
    page.raw.get_by_role("button", name="Stripped beside").click()
    page.picture(f"{size}-{scheme}-beside")
    assert page.axe() == []
    page.raw.get_by_role("button", name="Clean reading").click()
    page.picture(f"{size}-{scheme}-clean")
    assert page.axe() == []
    assert page.troubles == []


def test_axe_finds_nothing_in_an_article(site: Site, restoration: Restoration) -> None:
    assert site.open(restoration).axe() == []


def test_the_pointer_shows_alternatives_and_a_click_chooses(site: Site, restoration: Restoration) -> None:
    page = site.open(restoration)
    place = page.place(".l4")
    before = place.inner_text()
    place.hover()
    page.popover.wait_for()
    assert "%" in page.popover.inner_text()
    page.raw.mouse.move(5, 5)
    page.popover.wait_for(state="hidden")
    place.click()
    page.other.click()
    assert page.popover.is_hidden()
    assert place.inner_text() != before
    assert page.text != restoration.text
    assert strip_text(page.text) == strip_text(restoration.text)
    page.raw.get_by_role("button", name="Undo your choices").click()
    assert page.text == restoration.text


def test_the_pointer_selects_text(site: Site, restoration: Restoration) -> None:
    page = site.open(restoration)
    # On a letter: in the padding before a word Chromium begins no selection.
    page.place(".l5 .c").hover(position={"x": 5, "y": 9})
    page.popover.wait_for()
    page.raw.mouse.down()
    for number in (2, 4):
        box = page.place(".l5 .c", number).bounding_box()
        page.raw.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=5)
        page.raw.wait_for_timeout(400)  # a rest, in which a popover would open
        assert page.popover.is_hidden()
    page.raw.mouse.up()
    selected = page.raw.evaluate("getSelection().toString()")
    assert len(selected.split()) > 3
    assert " ".join(selected.split()) in " ".join(restoration.text.split())


def test_a_tap_shows_alternatives_above_which_the_place_stays_seen(site: Site, restoration: Restoration) -> None:
    page = site.open(restoration, "phone")
    place = page.place(".l4", 3)
    place.tap()
    page.popover.wait_for()
    page.picture("phone-tapped")
    assert place.bounding_box()["y"] < page.popover.bounding_box()["y"]
    heights = [option.bounding_box()["height"] for option in page.popover.get_by_role("option").all()]
    assert min(heights) >= 44
    page.other.tap()
    assert page.text != restoration.text
    place.tap()
    page.popover.get_by_role("button", name="Close").tap()
    assert page.popover.is_hidden()


def test_a_given_word_can_be_looked_up_too(site: Site, beginning: Restoration) -> None:
    page = site.open(beginning)
    places = places_of(beginning)
    index = next(
        index
        for index, (gap, word) in enumerate(pairwise(places), 1)
        if word.kind == "word" and gap.blank and not (gap.warned or word.warned or word.level or word.kept)
        if len(gap.options) > 1
    )
    word = page.raw.locator(f'#article [data-i="{index}"]')
    assert word.get_attribute("role") is None
    word.click()
    assert "Given." in page.popover.inner_text()
    assert page.popover.get_by_role("listbox", name="Before it").is_visible()
    page.popover.get_by_role("listbox", name="Before it").get_by_role("option").nth(1).click()
    assert page.text != beginning.text
    assert strip_text(page.text) == strip_text(beginning.text)
    assert page.axe() == []


def test_everything_works_by_keyboard(site: Site, restoration: Restoration, size: str) -> None:
    page = site.open(restoration, size)
    keys = page.raw.keyboard
    for _ in range(12):
        keys.press("Tab")
        if page.raw.evaluate("document.activeElement.closest('#article [data-i]') !== null"):
            break
    focused = page.raw.locator(":focus")
    assert focused.get_attribute("role") == "button"
    assert page.popover.is_visible(), "focus shows the alternatives"
    assert focused.get_attribute("aria-expanded") == "true"
    assert focused.get_attribute("aria-describedby") == "pop-about"
    keys.press("Escape")
    assert page.popover.is_hidden()
    assert focused.get_attribute("aria-expanded") == "false"
    first = focused.get_attribute("data-i")
    keys.press("ArrowRight")
    assert page.raw.locator(":focus").get_attribute("data-i") != first
    keys.press("ArrowLeft")
    assert page.raw.locator(":focus").get_attribute("data-i") == first
    keys.press("Enter")
    assert page.raw.locator(":focus").get_attribute("role") == "option"
    assert page.raw.locator(":focus").get_attribute("aria-selected") == "true"
    assert page.popover.get_by_role("listbox", name="At the start").is_visible()
    if size == "phone":
        at, pop = page.place(".open").bounding_box(), page.popover.bounding_box()
        assert at["y"] + at["height"] <= pop["y"], "the popover does not hide what it is about"
    page.picture(f"{size}-keyboard")
    keys.press("Escape")
    assert page.raw.locator(":focus").get_attribute("data-i") == first
    keys.press("ArrowDown")
    keys.press("End")
    keys.press("Home")
    keys.press("ArrowDown")
    chosen = page.raw.locator(":focus .what").inner_text()
    keys.press("Enter")
    assert page.raw.locator(":focus").get_attribute("data-i") == first
    assert page.raw.locator(":focus").inner_text().strip() == ("" if chosen == "nothing" else chosen)
    assert f"Changed to {chosen}." in page.raw.get_by_role("status").inner_text()
    keys.press("Enter")
    keys.press("Tab")
    assert page.popover.is_hidden(), "Tab leaves, and nothing is trapped"
    assert page.text != restoration.text
    assert strip_text(page.text) == strip_text(restoration.text)


def test_whatever_is_chosen_still_strips_to_the_input(site: Site, restoration: Restoration) -> None:
    page = site.open(restoration)
    chance = random.Random(3)
    total = page.raw.locator("#article [data-i][role=button]").count()
    for _ in range(25):
        place = page.raw.locator("#article [data-i][role=button]").nth(chance.randrange(total))
        place.click()
        options = page.popover.get_by_role("option")
        if count := options.count():
            options.nth(chance.randrange(count)).click()
    assert strip_text(page.text) == strip_text(restoration.text)
    changed = page.text
    assert page.raw.locator("#article").inner_text().split() == changed.split()
    assert page.troubles == []


def test_clean_reading_is_plain_and_copies_what_was_chosen(site: Site, restoration: Restoration) -> None:
    page = site.open(restoration)
    page.place(".l4").click()
    page.other.click()
    changed = page.text
    clean = page.raw.get_by_role("button", name="Clean reading")
    clean.click()
    assert clean.get_attribute("aria-pressed") == "true"
    assert page.raw.locator("#article [role], #article [tabindex]").count() == 0
    assert page.raw.evaluate("getComputedStyle(document.querySelector('#article .l4 .c')).backgroundColor") == (
        "rgba(0, 0, 0, 0)"
    )
    page.place(".l5").hover()
    page.raw.wait_for_timeout(500)
    assert page.popover.is_hidden()
    assert page.text == changed
    page.raw.get_by_role("button", name="Undo your choices").click()
    assert page.raw.locator("#article [role], #article [tabindex]").count() == 0
    clean.click()
    page.place(".l5").click()
    page.popover.wait_for()


def test_the_stripped_text_stands_beside_and_follows(site: Site, restoration: Restoration, size: str) -> None:
    page = site.open(restoration, size)
    page.raw.get_by_role("button", name="Stripped beside").click()
    stripped = page.raw.get_by_role("region", name="Stripped")
    assert stripped.inner_text().split()[1:] == restoration.source.split()
    page.raw.locator("#article .repair").first.click()
    assert page.raw.locator("#stripped .here").inner_text() == "responsibity"
    assert "Repaired: the input has \u201cresponsibity\u201d, taken for a typo." in page.popover.inner_text()
    assert page.raw.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_doubtful_places_can_be_visited_one_by_one(site: Site, restoration: Restoration, size: str) -> None:
    page = site.open(restoration, size)
    seen = []
    for _ in range(3):
        page.raw.get_by_role("button", name="Next doubtful place").click()
        seen.append(int(page.raw.locator(":focus").get_attribute("data-i")))
        assert page.popover.is_visible()
    assert seen == sorted(set(seen))
    warned = page.place(".warn")
    assert warned.get_attribute("aria-label").startswith("nothing, between ")
    warned.focus()
    assert "Warning: a dropped word may turn the sense (31\u00a0%); perhaps: \u201cno\u201d." in page.popover.inner_text()
    page.picture(f"{size}-warning")


def test_hostile_text_is_only_read(site: Site, fast: Restorer, size: str) -> None:
    restoration = fast.restore(HOSTILE)
    page = site.open(restoration, size, color_scheme="dark" if size == "phone" else "light")
    page.raw.get_by_role("button", name="Stripped beside").click()
    for index in range(0, page.raw.locator("#article [role=button]").count(), 3):
        page.raw.locator("#article [role=button]").nth(index).focus()
    page.picture(f"{size}-hostile")
    assert page.raw.evaluate("window.hacked") is None
    assert page.raw.locator("#article script, #article img, #article b, #article i").count() == 0
    assert page.raw.locator("#article .unseen").first.inner_text() == "U+202E"
    assert page.text == restoration.text
    assert page.axe() == []
    assert page.troubles == []
    assert len(page.requests) == 1


def test_a_script_put_into_the_page_does_not_run(site: Site, restoration: Restoration) -> None:
    page = site.open(restoration)
    directive = page.raw.evaluate(
        """() => new Promise((resolve) => {
            document.addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
            const script = document.createElement("script");
            script.append("window.hacked = 1");
            document.body.append(script);
        })"""
    )
    assert directive in ("script-src-elem", "require-trusted-types-for")
    assert page.raw.evaluate("window.hacked") is None


def test_without_scripts_the_text_can_be_read(site: Site, restoration: Restoration) -> None:
    page = site.open(restoration, java_script_enabled=False)
    assert page.raw.locator("#tools").is_hidden()
    assert page.raw.locator("#article").inner_text().split() == restoration.text.split()
    assert page.raw.get_by_text("Without scripts").is_visible()


def test_print_leaves_the_controls_out(site: Site, restoration: Restoration) -> None:
    page = site.open(restoration)
    page.place(".l4").click()
    page.raw.emulate_media(media="print")
    page.picture("print")
    outlines = "[...document.querySelectorAll('#article .c')].map((c) => getComputedStyle(c).outlineStyle)"
    assert set(page.raw.evaluate(outlines)) == {"none"}
    for hidden in ("#tools", "#pop", "#keys"):
        assert page.raw.locator(hidden).is_hidden()
    assert page.raw.locator("#article").is_visible()
    style = "getComputedStyle(document.querySelector('#article .l5 .c'))"
    assert page.raw.evaluate(f"{style}.borderBottomStyle") == "dotted"
    assert len(page.raw.pdf()) > 10_000


def test_marks_are_seen_without_colours(site: Site, restoration: Restoration) -> None:
    page = site.open(restoration, forced_colors="active")
    page.picture("forced-colors")
    style = "getComputedStyle(document.querySelector('#article .%s .c')).%s"
    assert page.raw.evaluate(style % ("l5", "borderBottomStyle")) == "dotted"
    assert "wavy" in page.raw.evaluate(style % ("repair", "textDecoration"))
    assert "double" in page.raw.evaluate(style % ("warned", "textDecoration"))

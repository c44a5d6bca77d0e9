"""Renderers: what is marked, and that nothing in a text can do anything but be read."""

from __future__ import annotations

import html
import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from rich.color import ColorSystem

from restore import Restoration, Restorer, channel_names, strip_text
from restore.flags import Flag
from restore.render import places_of, render_fragment, render_page, render_terminal
from restore.render.page import about_place, visible
from restore.render.places import gap_text, percent
from restore.render.terminal import legend

ORIGINAL = """The U.S. has deported 6,000 men, but their families don't know where they're being held. "He's non-violent,"
said O'Rourke.

At 3:30 p.m. an e-mail (and a re-entry) in D.C. cost $5,000 or 4.5%. "No," she said; al-Qaeda men's long-term wives went."""

HOSTILE = (
    "<script>window.hacked=1</script>",
    "</script><script>window.hacked=1</script>",
    "<img/src=x/onerror=window.hacked=1>",
    "\"onmouseover='window.hacked=1'",
    "<!--",
    "]]>",
    "&lt;b&gt;&#x41;",
    "{{7*7}}{%raw%}",
    "\u202ereversed\u202c",
    "\u2066isolated\u2069\u200b\ufeff",
    "\u05e9\u05dc\u05d5\u05dd",
    "javascript:window.hacked=1",
    "\x1b[31mred\x07",
)


@pytest.fixture(scope="module")
def hostile(fast: Restorer) -> Restoration:
    return fast.restore("official said " + " official ".join(HOSTILE) + " official responsibity")


@pytest.mark.parametrize("channel", channel_names())
@pytest.mark.parametrize("beam", [2, 8])
def test_places_make_the_text_and_each_option_strips_alike(
    by_chance: Callable[[str, int], Restorer], channel: str, beam: int
) -> None:
    stripped = strip_text(ORIGINAL, channel).replace(" ", "\n", 1)
    restoration = by_chance(channel, beam).restore(stripped)
    places = places_of(restoration)
    assert "".join(place.text for place in places) == restoration.text
    assert "".join(place.given for place in places) == restoration.source
    assert [edit for place in places for edit in place.edits] == list(restoration.edits)
    assert [place.kind for place in places] == ["gap", *["word", "gap"] * (len(places) // 2)]
    for place in places:
        assert not place.options or place.options[place.chosen].text == place.text
    chance = random.Random(1)
    for _ in range(20):
        other = "".join(chance.choice(place.options).text if place.options else place.text for place in places)
        assert strip_text(other, channel) == strip_text(restoration.text, channel)


def test_options_are_probabilities_in_order(fast: Restorer, seed_text: str) -> None:
    for place in places_of(fast.restore(seed_text[:600])):
        chances = [option.probability for option in place.options]
        assert chances == sorted(chances, reverse=True)
        assert all(0 <= chance <= 1 for chance in chances)
        assert len({option.text for option in place.options}) == len(chances)


@pytest.mark.parametrize(
    ("units", "space", "left", "right", "text"),
    [
        ((), " ", "men", "held", " "),
        ((" and",), " ", "men", "held", " and "),
        ((".", " The"), " ", "men", "held", ". The "),
        (("-",), " ", "non", "violent", "-"),
        ((",",), " ", "6", "000", ","),
        ((",",), " ", "men", "held", ", "),
        ((",",), " ", "2014", "000", ", "),
        ((":",), " ", "3", "30", ":"),
        ((".", "\n"), " ", "men", "held", ".\n"),
        ((".", "\n"), "\n\n", "men", "held", ".\n\n"),
        ((".", "\n", "The"), "\n\n", "men", "held", ".\n\nThe "),
        ((' "',), " ", "said", "no", ' "'),
        ((" $",), " ", "cost", "5", " $"),
        (("In", " the"), "", None, "men", "In the "),
        (('"',), "", None, "men", '"'),
        (('"',), " ", "men", "held", '" '),
        ((".",), "\n", "held", None, ".\n"),
    ],
)
def test_gaps_are_written_out_as_the_assembler_does(
    units: tuple[str, ...], space: str, left: str | None, right: str | None, text: str
) -> None:
    assert gap_text(units, space, left, right) == text


def test_warnings_find_their_place(fast: Restorer) -> None:
    restoration = fast.restore("agency found compelling reason stop removal")
    start = restoration.text.index("compelling")
    flag = Flag("negation", 2, start - 1, start, "a dropped word may turn the sense", ("no", "not"), 0.31)
    places = places_of(replace(restoration, flags=(flag,)))
    (warned,) = [place for place in places if place.warnings]
    assert warned.warnings == ("a dropped word may turn the sense (31\u00a0%); perhaps: \u201cno\u201d, \u201cnot\u201d.",)
    assert places[places.index(warned) + 1].text == "compelling"
    page = render_page(replace(restoration, flags=(flag,)))
    assert "a dropped word may turn the sense" in page
    assert "the sense may have changed" in page


def test_a_long_warning_is_marked_at_its_ends(fast: Restorer, seed_text: str) -> None:
    restoration = fast.restore(" ".join(seed_text.split()[:60]))
    flag = Flag("quotation", 0, 0, len(restoration.text), "the words may be nobody's", (), 0.2)
    places = [place for place in places_of(replace(restoration, flags=(flag,))) if place.text]
    assert [index for index, place in enumerate(places) if place.warned] == [0, len(places) - 1]


def test_every_kind_of_mark_is_said_in_words(fast: Restorer) -> None:
    restoration = fast.restore("they immigration official take responsibity non citizen 6 000 u")
    said = {line for place in places_of(restoration) for line in about_place(place)}
    assert "Kept as it was: the channel could not have left this token." in said
    assert "Repaired: the input has \u201cresponsibity\u201d, taken for a typo." in said
    assert "Joins what the input has apart." in said
    assert "Given." in said
    assert any(line.startswith("Inflected: the input has \u201cu\u201d") for line in said)
    assert any(line.startswith("Confidence: ") for line in said)


@pytest.mark.parametrize(
    ("probability", "text"), [(1.0, "over 99 %"), (0.994, "99 %"), (0.5, "50 %"), (0.01, "1 %"), (0.0, "under 1 %")]
)
def test_probabilities_for_people(probability: float, text: str) -> None:
    assert percent(probability) == text.replace(" %", "\u00a0%")


class _Reader(HTMLParser):
    """Reads a page back: its elements, attributes, and the text of the article."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.data: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.data.append(data)


@pytest.mark.parametrize("render", [render_page, render_fragment])
def test_hostile_text_is_inert(hostile: Restoration, render: Callable[[Restoration], str]) -> None:
    page = render(hostile)
    tame = _Reader(render(replace(hostile, text="", source="", edits=(), spans=(), choices=(), kept=(), repairs=())))
    wild = _Reader(page)
    own = {"span", "bdi", "p", "div", "dt", "dd", "li", "ul"}
    assert {tag for tag, _ in wild.elements} <= {tag for tag, _ in tame.elements} | own
    names = {name for _, attributes in wild.elements for name in attributes}
    assert not any(name.startswith("on") for name in names)
    assert not any(name in names for name in ("src", "srcset", "formaction"))
    assert {attributes.get("href") for tag, attributes in wild.elements if tag == "a"} <= {"#article"}
    for char in "\u202e\u202c\u2066\u2069\u200b\ufeff\x1b\x07":
        assert char not in page
    assert "U+202E" in page
    assert "<bdi>" in page


def test_the_page_holds_the_text_exactly(hostile: Restoration) -> None:
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', render_page(hostile), re.DOTALL)
    assert block is not None
    assert not re.search("[<>&]", block[1])
    places = json.loads(block[1])["places"]
    assert "".join(options[chosen][0] for chosen, options, _ in places) == hostile.text


def test_the_page_loads_nothing_and_allows_its_own_script_only(hostile: Restoration) -> None:
    page = render_page(hostile, name="</title><script>")
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])  # type: ignore[index]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert "url(" not in page
    assert "@import" not in page
    assert page.count("<script") == 2
    assert "style=" not in page


def test_a_page_is_the_same_each_time(fast: Restorer) -> None:
    restoration = fast.restore("immigration official said")
    assert render_page(restoration) == render_page(fast.restore("immigration official said"))


@pytest.mark.parametrize(
    "text", ["", " \n", "the agency said that it had found no reason to stop the removal of the men"]
)
def test_texts_that_are_not_restored_have_pages(fast: Restorer, text: str) -> None:
    restoration = fast.restore(text)
    page = render_page(restoration)
    assert "Returned unchanged." in page
    assert "Restored, not the original." not in page + render_fragment(restoration)
    whole = restoration.to_dict()
    assert (whole["restored"], whole["note"], whole["confidence"]) == (False, "returned unchanged", None)
    assert render_terminal(restoration) == text
    assert legend(restoration) == ""
    for note in restoration.notes:
        assert note in html.unescape(render_page(restoration))


def test_unseen_characters_are_spelled_out() -> None:
    assert visible("a\u202eb\r\n<") == 'a<span class="unseen">U+202E</span>b\n&lt;'
    assert visible("\ud800") == '<span class="unseen">U+D800</span>'
    assert visible("\u0627") == "<bdi>\u0627</bdi>"


SGR = re.compile("\x1b\\[[0-9;:]*m")


def test_the_terminal_shows_the_same_characters(fast: Restorer, seed_text: str) -> None:
    for text in (seed_text[:700], seed_text[-400:] + "\r\n\n they\tu\x07\x0c said"):
        restoration = fast.restore(text)
        shown = render_terminal(restoration, ColorSystem.TRUECOLOR)
        assert SGR.sub("", shown) == restoration.text
        assert shown != restoration.text
        assert not re.search("\x1b\\[[0-9;]*m[^\x1b]*\n[^\x1b]*\x1b\\[0m", shown), "a background runs past a line's end"
        assert "guessed, by confidence" in SGR.sub("", legend(restoration))


def test_a_notebook_shows_a_restoration(fast: Restorer) -> None:
    fragment = fast.restore("u immigration official said")._repr_html_()
    assert "<script" not in fragment
    assert "Restored, not the original." in fragment
    assert "immigration" in fragment

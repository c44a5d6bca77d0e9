"""The page: one self-contained HTML file in which a reader sees what is given and what is guessed, and can choose again.

The page loads nothing, and its content security policy allows its own style and script only, by their hashes. Text gets
into it in two ways: through the autoescaping template, and as JSON in a data block, from which the script makes
text nodes. Characters that are not seen, or that turn the text's direction, are spelled out (`U+202E`).
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from restore.channel import Channel
from restore.errors import RestoreError
from restore.readability import FORMULAS
from restore.render.places import Place, percent, places_of
from restore.restoration import Restoration
from restore.version import __version__

KINDS = {
    "inserted": "words and marks inserted",
    "break": "paragraph breaks inserted",
    "inflected": "words inflected",
    "recased": "words capitalised",
    "joined": "words and numbers joined",
}
"""The kinds of edits, as a reader knows them."""

_SPACE = " \t\r\n\u00a0"
_OUTER = re.compile(rf"([{_SPACE}]*)(.*?)([{_SPACE}]*)", re.DOTALL)
_BREAK = re.compile(rf"([{_SPACE}]*\n[{_SPACE}]*)")
_PLAIN = frozenset("\t\n\u200c\u200d")
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")


class _Shown(NamedTuple):
    """A place as the template shows it."""

    number: int
    place: Place
    classes: str
    about: tuple[str, ...]
    name: str


def render_page(restoration: Restoration, name: str = "", channel: Channel | None = None) -> str:
    """Return a page that shows a restoration.

    Args:
        restoration: what to show.
        name: what the text is called, such as its file's name.
        channel: the channel that it was restored for; needed only if it does not come with restore.
    """
    places = places_of(restoration, channel)
    shown = [
        _Shown(index, place, _classes(place), about_place(place), _name(place, index, places))
        for index, place in enumerate(places)
    ]
    template = _environment().get_template("page.html.j2")
    style, script = _asset("page.css"), _asset("page.js")
    return template.render(
        name=name,
        version=__version__,
        restoration=restoration,
        shown=shown,
        facts=facts(restoration, places),
        has=_has(places),
        data={"places": [_data(item) for item in shown]},
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
    )


def render_fragment(restoration: Restoration) -> str:
    """Return a piece of HTML that shows a restoration in a notebook: no script, and no style but its own."""
    places = places_of(restoration)
    template = _environment().get_template("fragment.html.j2")
    shown = [_Shown(index, place, _classes(place), about_place(place), "") for index, place in enumerate(places)]
    return template.render(restoration=restoration, shown=shown, facts=facts(restoration, places), has=_has(places))


def facts(restoration: Restoration, places: Sequence[Place]) -> list[tuple[str, str]]:
    """Return the summary of a restoration, in pairs of a name and a value."""
    counts = Counter(edit.kind for edit in restoration.edits if edit.after.strip() or edit.kind != "inserted")
    changed = sum(place.kind == "word" and bool(place.edits) for place in places)
    words = sum(place.kind == "word" for place in places)
    rows = [("Words given", f"{words:,}, {words - changed:,} of them unchanged")]
    rows += [(label.capitalize(), f"{counts[kind]:,}") for kind, label in KINDS.items() if counts[kind]]
    if restoration.repairs:
        rows.append(("Repairs to the input", f"{len(restoration.repairs):,}"))
    if warnings := sum(len(place.warnings) for place in places):
        rows.append(("Warnings", f"{warnings:,}"))
    if restoration.kept:
        rows.append(("Tokens kept as they were", f"{len(restoration.kept):,}"))
    if restoration.confidence is not None:
        rows.append(("Mean confidence", percent(restoration.confidence)))
    rows += _readability(restoration)
    rows += [("Channel", restoration.channel), ("Engine", restoration.engine)]
    return [(name, value) for name, value in rows if value]


def _readability(restoration: Restoration) -> Iterator[tuple[str, str]]:
    """Yield the readability before and after, where its formulas are installed."""
    try:
        found = restoration.readability()
    except RestoreError:
        return
    for name in ("flesch_reading_ease", "flesch_kincaid_grade"):
        if name in found.before and name in found.after:
            label = FORMULAS[name].partition(" (")[0]
            yield f"{label}, before and after", f"{found.before[name]:.0f} \u2192 {found.after[name]:.0f}"


def about_place(place: Place) -> tuple[str, ...]:
    """Say in sentences what was done in a place."""
    lines = []
    for kind in dict.fromkeys(edit.kind for edit in place.edits if edit.after.strip() or edit.kind == "break"):
        lines.append(_ABOUT[place.kind, kind].format(given=place.given))
    if place.repair is not None:
        lines.append(_REPAIRED.get(place.repair.kind, _REPAIRED["typo"]).format(before=place.repair.before))
    if place.kept:
        lines.append("Kept as it was: the channel could not have left this token.")
    if not lines and place.kind == "word":
        lines.append("Given.")
    if place.confidence is not None:
        lines.append(f"Confidence: {percent(place.confidence)}.")
    return (*lines, *(f"Warning: {message}" for message in place.warnings))


_ABOUT = {
    ("gap", "inserted"): "Inserted.",
    ("gap", "break"): "A paragraph break was inserted.",
    ("gap", "joined"): "Joins what the input has apart.",
    ("word", "inflected"): "Inflected: the input has \u201c{given}\u201d.",
    ("word", "recased"): "Capitals are guessed: the input has \u201c{given}\u201d.",
    ("word", "joined"): "Joined: the input has \u201c{given}\u201d.",
    ("word", "inserted"): "Inserted.",
    ("word", "break"): "A paragraph break was inserted.",
    ("gap", "inflected"): "Changed.",
    ("gap", "recased"): "Changed.",
}
_REPAIRED = {
    "typo": "Repaired: the input has \u201c{before}\u201d, taken for a typo.",
    "glued": "Repaired: the input has \u201c{before}\u201d, taken for two words glued together.",
}


def _classes(place: Place) -> str:
    marks = {
        f"g l{place.level}": place.level > 0,
        "repair": place.repair is not None,
        "warned": place.warned,
        "warn": bool(place.warnings),
        "kept": place.kept,
    }
    return " ".join(name for name, holds in marks.items() if holds)


def _name(place: Place, index: int, places: Sequence[Place]) -> str:
    """Return a name for a place whose text says nothing, or an empty string."""
    if place.text.strip() or not _classes(place):
        return ""
    sides = [places[at].text for at in (index - 1, index + 1) if 0 <= at < len(places)]
    return "between " + " and ".join(f"\u201c{side}\u201d" for side in sides)


def _has(places: Sequence[Place]) -> dict[str, bool]:
    """Say which marks occur, for the legend."""
    return {
        "guess": any(place.level for place in places),
        "repair": any(place.repair for place in places),
        "warn": any(place.warnings for place in places),
        "kept": any(place.kept for place in places),
    }


def _data(shown: _Shown) -> list[Any]:
    """Return what the script needs to know of a place: chosen option, options, sentences about it."""
    place = shown.place
    options = [[option.text, percent(option.probability)] for option in place.options]
    blank = place.blank and not shown.classes
    return [place.chosen, options or [[place.text]], [] if blank else list(shown.about)]


def _policy(style: str, script: str) -> str:
    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        f"default-src 'none'; style-src 'sha256-{digest(style)}'; script-src 'sha256-{digest(script)}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


@lru_cache(maxsize=4)
def _asset(name: str) -> str:
    return files("restore.render").joinpath("templates", name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("restore.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["flow"] = flow
    environment.filters["parts"] = parts
    environment.filters["visible"] = visible
    environment.filters["spelled"] = spelled
    return environment


def flow(text: str, marked: str = "") -> Markup:
    """Return a place's text as HTML: what is to be marked in an element `c`, line breaks in elements `br`.

    Args:
        text: the text.
        marked: the classes of the place; if there are any, a place without text has an element `c` too.
    """
    before, core, after = parts(text.replace("\r\n", "\n"))
    middle = Markup("")
    for number, part in enumerate(_BREAK.split(core) if core or marked else ()):
        middle += _space(part) if number % 2 else Markup('<span class="c">{}</span>').format(visible(part))
    return _space(before) + middle + _space(after)


def parts(text: str) -> tuple[str, str, str]:
    """Cut a place's text into white space, what it holds, and white space."""
    whole = _OUTER.fullmatch(text)
    assert whole is not None
    return whole[1], whole[2], whole[3]


def _space(text: str) -> Markup:
    return Markup('<span class="br">{}</span>').format(visible(text)) if "\n" in text else visible(text)


def visible(text: str) -> Markup:
    """Return a text as HTML, unseen characters spelled out, and right-to-left writing set apart."""
    text = text.replace("\r\n", "\n")
    marked = Markup("").join(
        Markup('<span class="unseen">{}</span>').format(f"U+{ord(char):04X}") if _unseen(char) else escape(char)
        for char in text
    )
    return Markup("<bdi>{}</bdi>").format(marked) if _RIGHT_TO_LEFT.search(text) else marked


def spelled(text: str) -> str:
    """Return a text for an attribute, unseen characters spelled out."""
    return "".join(f"U+{ord(char):04X}" if _unseen(char) else char for char in text)


def _unseen(char: str) -> bool:
    if char in _PLAIN:
        return False
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") or char in _FILLERS

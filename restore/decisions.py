"""Decisions: everything that a restoration chose, one by one, each with how probable it is.

At each place (a gap and the form after it) the search chose what to put into the gap, or to leave it empty, and which
form the token has. Each such choice is a `Decision` of one *kind*; confidence is calibrated kind by kind:

    word        a dropped word                       `of`, `'s`
    comma       a comma
    sentence    a mark that ends a sentence          `.`, `?`
    mark        any other mark or sign               `;`, `:`, an em dash, `%`, ` $`
    pair        a bracket or a quotation mark
    paragraph   a paragraph break
    joiner      a mark that joins two tokens, or a form that stands for several
    inflected   a form that is another word than the token
    recased     a form that differs from the token in its capitals only
    nothing     an empty gap
    unchanged   a form that is the token as it was given
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from restore.lattice.forms import Form
from restore.lattice.gaps import Insertion, Place
from restore.opinion import mark_of
from restore.posterior import Choice
from restore.tags import Mark

INSERTED = ("word", "comma", "sentence", "mark", "pair", "paragraph", "joiner")
KINDS = (*INSERTED, "inflected", "recased", "nothing", "unchanged")

_STRAIGHT = str.maketrans({"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"'})

Rate = Callable[[str, float, float | None], float]
"""From a kind, a posterior and the tagger's probability, if any, to the probability that the original had exactly this there."""


class Decision(NamedTuple):
    """One thing that was decided.

    Attributes:
        kind: one of `KINDS`.
        place: which of the restoration's choices it belongs to.
        what: the insertion or the form; None for an empty gap.
        posterior: its share of the search's readings, as found; None if the search kept no count.
        confidence: the probability that the original had exactly this there; None as for `posterior`.
        start, end: its place in the restored text, in characters; an empty gap's white space.
        tagged: how probable the tagger by itself holds it, given the stripped text on both sides; None if it says nothing.
    """

    kind: str
    place: int
    what: Insertion | Form | None
    posterior: float | None
    confidence: float | None
    start: int = 0
    end: int = 0
    tagged: float | None = None


def of_insertion(item: Insertion, place: int, choice: Choice | None, rate: Rate | None) -> Decision:
    """Return the decision to insert something."""
    posterior = None if choice is None else posterior_of(item.plain, choice)
    return _rated(kind_of_insertion(item), place, item, posterior, _tagged_insertion(item, choice), rate)


def of_form(given: str, form: Form, place: int, choice: Choice | None, rate: Rate | None) -> Decision:
    """Return the decision for a form, made of what was given."""
    posterior = tagged = None
    if choice is not None:
        posterior = _posterior_of_form(form.plain, dict(choice.forms))
        if choice.tagged is not None:
            tagged = _posterior_of_form(form.plain, choice.tagged.forms)
    return _rated(kind_of_form(given, form), place, form, posterior, tagged, rate)


def of_nothing(place: int, choice: Choice | None, rate: Rate | None) -> Decision:
    """Return the decision to leave a gap empty."""
    posterior = tagged = None
    if choice is not None:
        posterior = next((chance for gap, chance in choice.gaps if not gap), 0.0)
        tagged = choice.tagged.empty if choice.tagged is not None else None
    return _rated("nothing", place, None, posterior, tagged, rate)


def kind_of_insertion(item: Insertion) -> str:
    """Return the kind of decision that an insertion is."""
    if item.kind == "word":
        return "word"
    if item.kind in ("bracket", "quote"):
        return "pair"
    if item.kind == "break":
        return "paragraph"
    if item.kind == "join":
        return "joiner"
    if item.text == ",":
        return "comma"
    return "sentence" if item.leads_to is Place.END else "mark"


def kind_of_form(given: str, form: Form) -> str:
    """Return the kind of decision that a form is, made of what was given."""
    if form.text == given:
        return "unchanged"
    if form.span > 1:
        return "joiner"
    return "recased" if given.lower() == form.text.lower() else "inflected"


def posterior_of(text: str, choice: Choice) -> float:
    """Return a unit's posterior of being in a gap, with or without a capital."""
    return _posterior_of_unit(text, choice.units)


def _posterior_of_unit(text: str, units: Mapping[str, float]) -> float:
    bare = text.strip(" ").translate(_STRAIGHT)
    if bare[:1].isalpha():
        lower, upper = bare[:1].lower() + bare[1:], bare[:1].upper() + bare[1:]
        return min(1.0, sum(units.get(space + other, 0.0) for space in ("", " ") for other in {lower, upper}))
    return units.get(text.translate(_STRAIGHT), 0.0)


def _tagged_insertion(item: Insertion, choice: Choice | None) -> float | None:
    """Return how probable the tagger holds it that a gap has a word, or a mark of an insertion's class."""
    if choice is None or choice.tagged is None:
        return None
    if item.kind == "word":
        return _posterior_of_unit(item.plain, choice.tagged.words)
    marks, mark = choice.tagged.marks, mark_of(item)
    # A paragraph's last sentence has its mark, too.
    return marks[Mark.END] + marks[Mark.BREAK] if mark is Mark.END else marks[mark]


def _posterior_of_form(text: str, forms: Mapping[str, float]) -> float:
    """Return a form's posterior; one that was restyled (`U.S.` for `US`) has that of the best of its letters."""
    if text in forms:
        return forms[text]
    letters = _letters(text)
    return next((chance for form, chance in forms.items() if _letters(form) == letters), 0.0)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).lower()


def _rated(
    kind: str,
    place: int,
    what: Insertion | Form | None,
    posterior: float | None,
    tagged: float | None,
    rate: Rate | None,
) -> Decision:
    confidence = posterior if rate is None or posterior is None else rate(kind, posterior, tagged)
    return Decision(kind, place, what, posterior, confidence, tagged=tagged)

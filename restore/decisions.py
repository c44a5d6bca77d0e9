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

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from restore.lattice.forms import Form
from restore.lattice.gaps import Insertion, Place
from restore.posterior import Choice
from restore.source import SourceToken

INSERTED = ("word", "comma", "sentence", "mark", "pair", "paragraph", "joiner")
KINDS = (*INSERTED, "inflected", "recased", "nothing", "unchanged")

Rate = Callable[[str, float], float]
"""From a kind and a posterior to the probability that the original had exactly this there."""


class Decision(NamedTuple):
    """One thing that was decided.

    Attributes:
        kind: one of `KINDS`.
        place: which of the restoration's choices it belongs to.
        what: the insertion or the form; None for an empty gap.
        posterior: its share of the search's readings, as found; None if the search kept no count.
        confidence: the probability that the original had exactly this there; None as for `posterior`.
        start, end: its place in the restored text, in characters; an empty gap's white space.
    """

    kind: str
    place: int
    what: Insertion | Form | None
    posterior: float | None
    confidence: float | None
    start: int = 0
    end: int = 0


def decide(
    chosen: Iterable[Insertion | Form], choices: Sequence[Choice], tokens: Sequence[SourceToken], rate: Rate | None
) -> Iterator[Decision]:
    """Yield the decisions behind a reading, in order.

    Args:
        chosen: the reading: insertions, and a form for each token or run of tokens.
        choices: what there was to choose from, for each form and after the last; empty if that was not kept.
        tokens: the input.
        rate: turns posteriors into probabilities; None leaves them as they are.
    """
    place = index = 0
    empty = True
    for what in chosen:
        choice = choices[place] if place < len(choices) else None
        if isinstance(what, Insertion):
            yield _rated(kind_of_insertion(what), place, what, choice and posterior_of(what.text, choice), rate)
            empty = False
            continue
        if empty:
            yield nothing(place, choice, rate)
        given = " ".join(token.text for token in tokens[index : index + what.span])
        yield _rated(kind_of_form(given, what), place, what, choice and _posterior_of_form(what.text, choice), rate)
        index += what.span
        place += 1
        empty = True
    if empty and place < len(choices):
        yield nothing(place, choices[place], rate)


def nothing(place: int, choice: Choice | None, rate: Rate | None) -> Decision:
    """Return the decision to leave a gap empty."""
    return _rated("nothing", place, None, choice and next((chance for gap, chance in choice.gaps if not gap), 0.0), rate)


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
    """Return the kind of decision that a form is, made of a token or of several with spaces between them."""
    if form.text == given:
        return "unchanged"
    if form.span > 1:
        return "joiner"
    return "recased" if given.lower() == form.text.lower() else "inflected"


def posterior_of(text: str, choice: Choice) -> float:
    """Return a unit's posterior of being in a gap, with or without a capital."""
    total = choice.units.get(text, 0.0)
    bare = text.strip(" ")
    if bare[:1].isalpha():
        lower, upper = bare[:1].lower() + bare[1:], bare[:1].upper() + bare[1:]
        total = sum(choice.units.get(space + other, 0.0) for space in ("", " ") for other in {lower, upper})
    return min(1.0, total)


def _posterior_of_form(text: str, choice: Choice) -> float:
    return next((chance for form, chance in choice.forms if form == text), 0.0)


def _rated(
    kind: str, place: int, what: Insertion | Form | None, posterior: float | None, rate: Rate | None
) -> Decision:
    confidence = posterior if rate is None or posterior is None else rate(kind, posterior)
    return Decision(kind, place, what, posterior, confidence)

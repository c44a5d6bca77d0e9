"""House style: spellings and marks that are a matter of taste, set the same way throughout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from restore.errors import RestoreError
from restore.lattice.forms import Form
from restore.lattice.gaps import ENDED, Insertion, Place

Unit = Form | Insertion

_STOP = Insertion(".", "mark", Place.END)

_DOTTED = {"US": "U.S.", "UK": "U.K.", "UN": "U.N.", "EU": "E.U.", "DC": "D.C."}
_CHOICES = {"abbreviations": ("plain", "dotted"), "quotes": ("straight", "curly"), "dash": ("tight", "spaced")}
_PROBE = "table"
_NEAR = 3
"""How many input tokens a list's items may be apart for the serial comma."""


@dataclass
class Lists:
    """What has been seen of lists so far.

    Attributes:
        since: input tokens since a gap that was just a comma.
    """

    since: int = _NEAR + 1


@dataclass(frozen=True)
class Style:
    """Matters of taste; None leaves each as the model has it.

    Attributes:
        abbreviations: `plain` (US) or `dotted` (U.S.).
        quotes: `straight` or `curly`, apostrophes included.
        dash: `tight` (word\u2014word) or `spaced` (word \u2014 word).
        serial_comma: whether a list's last `and` or `or` has a comma before it.

    Raises:
        RestoreError: a value is none of these.
    """

    abbreviations: str | None = None
    quotes: str | None = None
    dash: str | None = None
    serial_comma: bool | None = None

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if value is not None and value not in allowed:
                raise RestoreError(f"style: {name} {value!r} is unknown; choose {' or '.join(allowed)}")

    def apply(
        self,
        units: Sequence[Unit],
        same: Callable[[str, str], bool],
        lists: Lists | None = None,
        following: Unit | None = None,
    ) -> list[Unit]:
        """Return units in this style.

        Args:
            units: a stretch of text, which ends after a form or at the end of the text.
            same: tells whether two forms strip to the same; a form whose styled spelling would not stays as it is.
            lists: what is known of the text before it, if it does not begin there; is brought up to its end.
            following: the unit after them, which is not among those returned.
        """
        styled: list[Unit] = []
        for unit, after in zip(units, [*units[1:], following], strict=False):
            dotted = isinstance(after, Insertion) and after.text.startswith(".")
            styled.append(self._form(unit, same, dotted) if isinstance(unit, Form) else self._insertion(unit, same))
            ended = after is None or (isinstance(after, Insertion) and after.kind == "break")
            if ended and isinstance(unit, Form) and unit.text.endswith(".") and not styled[-1].text.endswith("."):
                styled.append(_STOP)  # the abbreviation's own served for the sentence's
            if len(styled) > 1:
                styled[-1] = _spaced(styled[-2], styled[-1])
        return styled if self.serial_comma is None else _serial(styled, self.serial_comma, lists or Lists())

    def _form(self, form: Form, same: Callable[[str, str], bool], dotted: bool) -> Form:
        """Return a form in this style; `dotted` tells whether a full stop follows, which serves for the form's own."""
        text = form.text
        if self.abbreviations == "dotted":
            text = _DOTTED.get(text, text)
            text = text[:-1] if dotted and text != form.text else text
        elif self.abbreviations == "plain":
            text = {dotted: plain for plain, dotted in _DOTTED.items()}.get(text, text)
        if self.quotes == "curly" and not form.kept:
            text = text.replace("'", "\u2019")
        if text == form.text or not same(text, form.text):
            return form
        return replace(form, text=text, unstyled=form.plain)

    def _insertion(self, item: Insertion, same: Callable[[str, str], bool]) -> Insertion:
        text, place = item.text, item.leads_to
        if self.quotes == "curly":
            text = text.replace('"', "\u201c" if item.leads_to is Place.OPEN else "\u201d").replace("'", "\u2019")
        if self.dash == "spaced" and text == "\u2014":
            text, place = " \u2014", Place.COMMA
        elif self.dash == "tight" and text == " \u2014":
            text, place = "\u2014", Place.DASH
        if text == item.text or not same(_among_words(text, place), _among_words(item.text, item.leads_to)):
            return item
        return replace(item, text=text, leads_to=place, unstyled=item.plain)


def _among_words(text: str, place: Place) -> str:
    """Return an insertion between two words: a channel may keep the one spelling and not the other."""
    return f"{_PROBE}{text}{'' if place.touching else ' '}{_PROBE}"


def _spaced(before: Unit, unit: Unit) -> Unit:
    """Return a unit with the space, or without, that a dash before it asks for since it was set in style."""
    if not (isinstance(before, Insertion) and isinstance(unit, Insertion) and before.unstyled):
        return unit
    text = unit.text
    if before.leads_to is Place.DASH:
        text = text.removeprefix(" ")
    elif before.text == " \u2014" and (unit.kind == "word" or unit.leads_to.touching) and not text.startswith(" "):
        text = " " + text
    return unit if text == unit.text else replace(unit, text=text, unstyled=unit.plain)


def _serial(units: Sequence[Unit], wanted: bool, lists: Lists) -> list[Unit]:
    """Put a comma before a list's last conjunction, or take it out: where a comma alone stands shortly before."""
    comma = Insertion(",", "mark", Place.COMMA)
    out: list[Unit] = []
    gap: list[Insertion] = []
    for unit in units:
        if isinstance(unit, Insertion):
            gap.append(unit)
            continue
        texts = [item.text for item in gap]
        in_list = lists.since <= _NEAR
        if wanted and in_list and texts in ([" and"], [" or"]):
            gap.insert(0, comma)
        elif not wanted and in_list and texts in ([",", " and"], [",", " or"]):
            del gap[0]
        lists.since = 1 if texts == [","] else lists.since + 1
        if any(item.leads_to in ENDED for item in gap):
            lists.since = _NEAR + 1
        out += [*gap, unit]
        gap = []
    return [*out, *gap]

"""House style: spellings and marks that are a matter of taste, set the same way throughout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from restore.errors import RestoreError
from restore.lattice.forms import Form
from restore.lattice.gaps import Insertion, Place

Unit = Form | Insertion

_DOTTED = {"US": "U.S.", "UK": "U.K.", "UN": "U.N.", "EU": "E.U.", "DC": "D.C."}
_CHOICES = {"abbreviations": ("plain", "dotted"), "quotes": ("straight", "curly"), "dash": ("tight", "spaced")}
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

    def apply(self, units: Sequence[Unit], same: Callable[[str, str], bool], lists: Lists | None = None) -> list[Unit]:
        """Return units in this style.

        Args:
            units: a stretch of text, which ends after a form or at the end of the text.
            same: tells whether two forms strip to the same; a form whose styled spelling would not stays as it is.
            lists: what is known of the text before it, if it does not begin there; is brought up to its end.
        """
        styled = [self._form(unit, same) if isinstance(unit, Form) else self._insertion(unit) for unit in units]
        return styled if self.serial_comma is None else _serial(styled, self.serial_comma, lists or Lists())

    def _form(self, form: Form, same: Callable[[str, str], bool]) -> Form:
        text = form.text
        if self.abbreviations == "dotted":
            text = _DOTTED.get(text, text)
        elif self.abbreviations == "plain":
            text = {dotted: plain for plain, dotted in _DOTTED.items()}.get(text, text)
        if self.quotes == "curly" and not form.kept:
            text = text.replace("'", "\u2019")
        return replace(form, text=text) if text != form.text and same(text, form.text) else form

    def _insertion(self, item: Insertion) -> Insertion:
        text = item.text
        if self.quotes == "curly":
            text = text.replace('"', "\u201c" if item.leads_to is Place.OPEN else "\u201d").replace("'", "\u2019")
        if self.dash == "spaced" and text == "\u2014":
            return replace(item, text=" \u2014", leads_to=Place.COMMA)
        if self.dash == "tight" and text == " \u2014":
            return replace(item, text="\u2014", leads_to=Place.DASH)
        return replace(item, text=text) if text != item.text else item


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
        if any(item.leads_to in (Place.END, Place.BREAK) for item in gap):
            lists.since = _NEAR + 1
        out += [*gap, unit]
        gap = []
    return [*out, *gap]

"""The result: the restored text, and how it came from the input, edit by edit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from restore.lattice.forms import Form
from restore.lattice.gaps import Insertion
from restore.posterior import Choice
from restore.repair import Repair
from restore.source import TokenStream


@dataclass(frozen=True, slots=True)
class Edit:
    """One change. Edits are in order and do not overlap; between them, input and output are the same.

    Attributes:
        kind: `inserted` (a word or mark), `break` (a paragraph), `inflected` (another form of the word), `recased` (the
            same word in other capitals) or `joined` (two tokens made one word or number).
        source_start, source_end: the place in the input, in characters.
        start, end: the place in the text, in characters.
        before, after: what stood there, and what stands there now.
        confidence: how probable it is that the original had exactly this there; None where nothing was guessed.
        place: which of the restoration's choices it belongs to.
    """

    kind: str
    source_start: int
    source_end: int
    start: int
    end: int
    before: str
    after: str
    confidence: float | None = None
    place: int = 0


@dataclass(frozen=True, slots=True)
class Alternative:
    """Something else that might stand in a place: its text, and how probable it is."""

    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class Kept:
    """An input token that no text could have been stripped to, and which therefore stands as it was.

    Attributes:
        text: the token.
        source_start: its place in the input, in characters.
        start, end: its place in the text, in characters.
    """

    text: str
    source_start: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Span:
    """Where an input token, or several joined ones, stand in input and output, in characters."""

    source_start: int
    source_end: int
    start: int
    end: int


@dataclass(frozen=True)
class Restoration:
    """A restored text with its history. Immutable.

    Attributes:
        text: the restored text.
        source: the input, as it was given.
        edits: every difference between the two.
        kept: tokens that the channel could not have produced.
        spans: for each input token its place in both; tokens restored as one unit share one.
        repairs: corrections made to the input before it was restored.
        channel, engine: the names of the channel and of the model that were used.
        choices: what there was to choose from, for each gap and the form after it; the last gap has no form.
        notes: what a reader should know, such as that the input does not look stripped.
        score: the text's log-probability under the engine, in nats, search weights included.
    """

    text: str
    source: str
    edits: tuple[Edit, ...]
    kept: tuple[Kept, ...] = ()
    spans: tuple[Span, ...] = field(default=(), repr=False)
    repairs: tuple[Repair, ...] = ()
    channel: str = ""
    engine: str = ""
    choices: tuple[Choice, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()
    score: float = 0.0

    def replay(self) -> str:
        """Rebuild the text from the input and the edits."""
        parts, place = [], 0
        for edit in self.edits:
            parts += [self.source[place : edit.source_start], edit.after]
            place = edit.source_end
        return "".join([*parts, self.source[place:]])

    def undo(self) -> str:
        """Rebuild the input from the text and the edits."""
        parts, place = [], 0
        for edit in self.edits:
            parts += [self.text[place : edit.start], edit.before]
            place = edit.end
        return "".join([*parts, self.text[place:]])

    def alternatives(self, edit: Edit, n: int = 5) -> tuple[Alternative, ...]:
        """Return what else might stand where an edit is, the most probable first, the edit's own reading included.

        For an insertion these are whole contents of the gap (an empty text is nothing at all); for another edit, forms.
        """
        choice = self.choices[edit.place]
        if edit.kind in ("inflected", "recased"):
            return tuple(Alternative(form, chance) for form, chance in choice.forms[:n])
        return tuple(Alternative("".join(units), chance) for units, chance in choice.gaps[:n])

    @property
    def confidence(self) -> float:
        """The mean probability of the document's choices: of each gap's content, and of each form."""
        chances = [chance for choice in self.choices for _, chance in (*choice.gaps[:1], *choice.forms[:1])]
        return sum(chances) / len(chances) if chances else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data, ready for JSON."""
        return {
            "text": self.text,
            "restored": True,
            "note": "restored, not the original",
            "channel": self.channel,
            "engine": self.engine,
            "confidence": self.confidence,
            "edits": [asdict(edit) for edit in self.edits],
            "kept": [asdict(kept) for kept in self.kept],
            "repairs": [asdict(repair) for repair in self.repairs],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return self.text


class Assembler:
    """Puts the decoder's units together into a text, keeping the edits."""

    def __init__(self, source: str, tokens: TokenStream) -> None:
        self._source = source
        self._tokens = tokens
        self.choices: Sequence[Choice] = ()
        self._parts: list[str] = []
        self._length = 0
        self._place = 0  # how much of the input has been used
        self._next = 0  # the next input token
        self._choice = 0  # the choice that the next gap and form belong to
        self._gap: list[Insertion] = []
        self.edits: list[Edit] = []
        self.kept: list[Kept] = []
        self.spans: list[Span] = []

    def add(self, what: Form | Insertion) -> None:
        """Add the next unit of the output."""
        if isinstance(what, Insertion):
            self._gap.append(what)
            return
        first, last = self._tokens[self._next], self._tokens[self._next + what.span - 1]
        self._close_gap(first.start)
        start = self._length
        given = self._source[first.start : last.end]
        self._change(_kind(given, what), last.end, what.text, self._chance_of_form(what.text))
        span = Span(first.start, last.end, start, self._length)
        self.spans.extend([span] * what.span)
        if what.kept:
            self.kept.append(Kept(given, first.start, start, self._length))
        self._next += what.span
        self._choice += 1

    def finish(self) -> str:
        """Add what is left of the input, and return the text."""
        for insertion in self._gap:
            self._insert(insertion, self._place)
        self._gap = []
        self._copy(len(self._source))
        return "".join(self._parts)

    def _close_gap(self, upto: int) -> None:
        """Write the gap's insertions around the white space that the input has there."""
        gap, self._gap = self._gap, []
        space = self._source[self._place : upto]
        breaks = [place for place, item in enumerate(gap) if item.kind == "break"] if "\n" in space else []
        if breaks or self._next == 0:
            # The input's own line break serves as the paragraph break; white space at its start stays there.
            at = breaks[-1] if breaks else 0
            for insertion in gap[:at]:
                self._insert(insertion, self._place)
            self._copy(upto)
            rest = gap[at + 1 :] if breaks else gap
            for place, insertion in enumerate(rest, 1):
                last = place == len(rest) and not insertion.leads_to.touching
                self._insert(insertion, upto, " " if last else "")
        elif gap and gap[-1].leads_to.touching:
            for insertion in gap[:-1]:
                self._insert(insertion, self._place)
            self._insert(gap[-1], upto)
        else:
            for insertion in gap:
                self._insert(insertion, self._place)
            if not space:  # between the halves of a glued pair
                self._change("inserted", upto, " ", None)
            self._copy(upto)

    def _insert(self, insertion: Insertion, upto: int, space: str = "") -> None:
        kind = {"join": "joined", "break": "break"}.get(insertion.kind, "inserted")
        units = self.choices[self._choice].units if self._choice < len(self.choices) else {}
        self._change(kind, upto, insertion.text + space, units.get(insertion.text))

    def _chance_of_form(self, text: str) -> float | None:
        forms = self.choices[self._choice].forms if self._choice < len(self.choices) else ()
        return next((chance for form, chance in forms if form == text), None)

    def take(self) -> str:
        """Return the text since the last call, and forget it and the history of it."""
        text = "".join(self._parts)
        self._parts.clear()
        self.choices = ()
        self._choice = 0
        self.edits.clear()
        self.kept.clear()
        self.spans.clear()
        return text

    def _copy(self, upto: int) -> None:
        self._append(self._source[self._place : upto])
        self._place = upto

    def _change(self, kind: str, upto: int, after: str, chance: float | None) -> None:
        before = self._source[self._place : upto]
        if before != after:
            end = self._length + len(after)
            self.edits.append(Edit(kind, self._place, upto, self._length, end, before, after, chance, self._choice))
        self._append(after)
        self._place = upto

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)


def _kind(given: str, form: Form) -> str:
    if form.span > 1:
        return "joined"
    return "recased" if given.lower() == form.text.lower() else "inflected"

"""The result: the restored text, and how it came from the input, edit by edit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from restore.decisions import Decision, Rate, of_form, of_insertion, of_nothing
from restore.flags import Flag
from restore.lattice.forms import Form
from restore.lattice.gaps import Insertion
from restore.posterior import Choice
from restore.readability import Readability, measure
from restore.readings import Reading, nbest
from restore.repair import Repair
from restore.source import TokenStream

RESTORED, UNCHANGED = "restored, not the original", "returned unchanged"
"""What a reader is told of a text."""


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
        place: the number of the input token that it belongs to, or that follows it: its choice.
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
        decisions: everything that was chosen, changes or not, each with its probability.
        flags: places where what was dropped, or put in, may turn the sense.
        calibrated: whether confidences are calibrated for this very engine, model and channel.
        notes: what a reader should know, such as that the input does not look stripped.
        seams: the numbers of the input tokens before which windows of the search met, if it took more than one.
        score: the log-probability of the best path that the search found, in nats, search weights included: that of the text
            itself where posteriors are off and one window holds it; where windows overlap, the overlap counts twice.
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
    decisions: tuple[Decision, ...] = field(default=(), repr=False)
    flags: tuple[Flag, ...] = ()
    calibrated: bool = False
    seams: tuple[int, ...] = field(default=(), repr=False)

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

        For an insertion these are whole contents of the gap (an empty text is nothing at all); for another edit, forms. There are
        none where `Config.confidence` was off.
        """
        if edit.place >= len(self.choices):  # without confidences nothing was remembered
            return ()
        choice = self.choices[edit.place]
        joint = edit.kind == "joined" and edit.before.strip()  # else a joiner between two tokens
        if edit.kind in ("inflected", "recased") or joint:
            return tuple(Alternative(form, chance) for form, chance in choice.forms[:n])
        return tuple(Alternative("".join(units), chance) for units, chance in choice.gaps[:n])

    def nbest(self, n: int = 5) -> tuple[tuple[Reading, ...], ...]:
        """Return the n best readings of each sentence of the text, the text's own first; they differ in words.

        A reading's probability is that of all its words, by the search's posteriors, as if places were independent. One
        reading of each sentence, put together, strips back to the input.
        """
        return nbest(self.text, self.decisions, self.choices, n)

    @property
    def restored(self) -> bool:
        """Whether it was restored at all: a text that was never stripped, or has no words, is returned unchanged."""
        return bool(self.spans or self.edits)

    @property
    def label(self) -> str:
        """What a reader must know first: that it is restored, not the original, or that it was returned unchanged."""
        return RESTORED if self.restored else UNCHANGED

    @property
    def confidence(self) -> float | None:
        """The mean probability that a decision is right: the share of them to expect as in the original.

        None where nothing was decided, or the search kept no count.
        """
        chances = [decision.confidence for decision in self.decisions if decision.confidence is not None]
        return sum(chances) / len(chances) if chances else None

    def readability(self) -> Readability:
        """Return readability formulas of the input and of the text, with a caution.

        Raises:
            RestoreError: the extra `readability` is not installed.
        """
        return measure(self.source, self.text)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data, ready for JSON."""
        return {
            "text": self.text,
            "restored": self.restored,
            "note": self.label,
            "channel": self.channel,
            "engine": self.engine,
            "confidence": self.confidence,
            "calibrated": self.calibrated,
            "edits": [asdict(edit) for edit in self.edits],
            "flags": [flag.to_dict() for flag in self.flags],
            "kept": [asdict(kept) for kept in self.kept],
            "repairs": [asdict(repair) for repair in self.repairs],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        """Show itself in a notebook, with the guesses marked."""
        from restore.render.page import render_fragment

        return render_fragment(self)


class Assembler:
    """Puts the decoder's units together into a text, keeping the history.

    Args:
        source: the input text.
        tokens: its tokens.
        rate: turns posteriors into probabilities; None leaves them as they are.

    Attributes:
        choices: what there was to choose from, by number of input token; empty if that was not kept.
    """

    def __init__(self, source: str, tokens: TokenStream, rate: Rate | None = None) -> None:
        self._source = source
        self._tokens = tokens
        self._rate = rate
        self.choices: Sequence[Choice] = ()
        self._parts: list[str] = []
        self._length = 0
        self._place = 0  # how much of the input has been used
        self._next = 0  # the next input token
        self._gap: list[Insertion] = []
        self.edits: list[Edit] = []
        self.decisions: list[Decision] = []
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
        decision = of_form(given, what, self._next, self._choice, self._rate)
        self._change(_kind(given, what), last.end, what.text, decision.confidence)
        self._decide(decision, start)
        span = Span(first.start, last.end, start, self._length)
        self.spans.extend([span] * what.span)
        if what.kept:
            self.kept.append(Kept(given, first.start, start, self._length))
        self._next += what.span

    def finish(self) -> str:
        """Add what is left of the input, and return the text."""
        if not self._gap and self._next < len(self.choices):
            self._decide(of_nothing(self._next, self._choice, self._rate), self._length)
        for insertion in self._gap:
            self._insert(insertion, self._place)
        self._gap = []
        self._copy(len(self._source))
        return "".join(self._parts)

    def _close_gap(self, upto: int) -> None:
        """Write the gap's insertions around the white space that the input has there."""
        gap, self._gap = self._gap, []
        space, start = self._source[self._place : upto], self._length
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
        if not gap:
            self._decide(of_nothing(self._next, self._choice, self._rate), start)

    def _insert(self, insertion: Insertion, upto: int, space: str = "") -> None:
        kind = {"join": "joined", "break": "break"}.get(insertion.kind, "inserted")
        decision, start = of_insertion(insertion, self._next, self._choice, self._rate), self._length
        self._change(kind, upto, insertion.text + space, decision.confidence)
        self._decide(decision, start)

    @property
    def _choice(self) -> Choice | None:
        """What there was to choose from in the next gap and for the form after it."""
        return self.choices[self._next] if self._next < len(self.choices) else None

    def _decide(self, decision: Decision, start: int) -> None:
        self.decisions.append(decision._replace(start=start, end=self._length))

    def take(self) -> str:
        """Return the text since the last call, and forget it and the history of it."""
        text = "".join(self._parts)
        self._parts.clear()
        self.choices = ()
        self.edits.clear()
        self.decisions.clear()
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
            self.edits.append(Edit(kind, self._place, upto, self._length, end, before, after, chance, self._next))
        self._append(after)
        self._place = upto

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)


def _kind(given: str, form: Form) -> str:
    if form.span > 1:
        return "joined"
    return "recased" if given.lower() == form.text.lower() else "inflected"

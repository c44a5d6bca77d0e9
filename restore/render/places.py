"""A restoration cut into places: the words, and what stands between them, each with what else might stand there.

The places' texts, put together, are the restored text. Every renderer shows these places, so that a guess is marked
alike in a page, in a terminal and in a notebook.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby

from restore.channel import Channel, channel_names, get_channel
from restore.flags import Flag
from restore.lattice.gaps import Side, side_of
from restore.posterior import Choice
from restore.repair import Repair
from restore.restoration import Edit, Restoration

LEVELS = (0.9, 0.7, 0.5, 0.3)
"""A guess of at least the first confidence has level 1, ... and one below the last has level 5."""
LEAST = 0.005
"""Alternatives less probable than this are not shown."""
MOST_OPTIONS = 6
LONG_WARNING = 160
"""A warning about more characters, such as a whole speech in quotation marks, is shown at both its ends only."""
_PREFIX = 3


@dataclass(frozen=True, slots=True)
class Option:
    """A text that might stand in a place, and how probable it is."""

    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class Place:
    """A word of the restored text, or the gap before, between or after words.

    Attributes:
        kind: `word` or `gap`.
        text: what stands there; a gap's white space included.
        given: what the input has there.
        source_start: where that stands in the input, in characters.
        edits: how the one was made of the other.
        options: what might stand there, the most probable first, the place's own text included; empty if nothing
            else is known. Each may be put in place of `text`: the result still strips to the input.
        chosen: which option is the place's own text.
        confidence: the least confidence of its edits; None where nothing was guessed.
        repair: the correction of the input that was made here.
        kept: the channel could not have produced this token.
        warnings: messages about it, such as that a dropped word may have turned the sense round.
        warned: whether a warning covers it, or ends there if it is long; it is spelled out at the first place that it covers.
    """

    kind: str
    text: str
    given: str
    source_start: int
    edits: tuple[Edit, ...] = ()
    options: tuple[Option, ...] = ()
    chosen: int = 0
    confidence: float | None = None
    repair: Repair | None = None
    kept: bool = False
    warnings: tuple[str, ...] = ()
    warned: bool = False

    @property
    def level(self) -> int:
        """How uncertain the guess is, from 1 to 5; 0 for what was given."""
        if self.confidence is None:
            return 0
        return 1 + sum(self.confidence < bound for bound in LEVELS)

    @property
    def blank(self) -> bool:
        """Whether nothing but white space stands there, and no paragraph was begun."""
        return not self.text.strip() and not self.edits


def places_of(restoration: Restoration, channel: Channel | None = None) -> tuple[Place, ...]:
    """Cut a restoration into its places, in order. Gaps and words take turns, and the first and last are gaps.

    Args:
        restoration: what to cut.
        channel: the channel that it was restored for; needed only if it does not come with restore.
    """
    if channel is None or channel.name != restoration.channel:
        channel = get_channel(restoration.channel) if restoration.channel in channel_names() else None
    places = [*_Cutter(restoration).cut()]
    if channel is not None:
        places = [_checked(places, index, channel) for index in range(len(places))]
    return tuple(_with_warnings(restoration, places))


def _checked(places: Sequence[Place], index: int, channel: Channel) -> Place:
    """Leave out of a place's options those that the channel would strip to something else, between its neighbours."""
    place = places[index]
    if len(place.options) < 2:
        return place
    near = range(max(0, index - 2), min(len(places), index + 3))
    left = "".join(places[at].text for at in near if at < index)
    right = "".join(places[at].text for at in near if at > index)
    wanted = channel.strip(left + place.text + right)
    options = tuple(
        option
        for number, option in enumerate(place.options)
        if number == place.chosen or channel.strip(left + option.text + right) == wanted
    )
    return replace(place, options=options, chosen=[option.text for option in options].index(place.text))


class _Cutter:
    """Cuts a restoration into places, without looking at warnings."""

    def __init__(self, restoration: Restoration) -> None:
        self._text, self._source = restoration.text, restoration.source
        self._choices = restoration.choices
        self._edits = _Finder(restoration.edits)
        self._repairs = restoration.repairs
        self._repaired = [repair.source_start for repair in restoration.repairs]
        self._kept = {kept.start for kept in restoration.kept}
        rows = [(span, len([*same])) for span, same in groupby(restoration.spans)]
        self._spans = [span for span, _ in rows]
        self._widths = [width for _, width in rows]
        # There is a choice for each input token, of which a form may span several, and one for the end.
        self._first = [0, *accumulate(self._widths)]
        self._known = len(restoration.choices) == len(restoration.spans) + 1

    def cut(self) -> Iterator[Place]:
        """Yield the places in order."""
        for number in range(len(self._spans)):
            yield self._gap(number)
            yield self._word(number)
        yield self._gap(len(self._spans))

    def _choice(self, number: int) -> Choice | None:
        return self._choices[self._first[number]] if self._known else None

    def _token(self, number: int) -> str | None:
        """Return what the input has for a word; None past the last."""
        if number == len(self._spans):
            return None
        span = self._spans[number]
        return self._source[span.source_start : span.source_end]

    def _gap(self, number: int) -> Place:
        """Return the gap before a word, or after the last."""
        source_start, start = 0, 0
        left: str | None = None
        if number:
            before = self._spans[number - 1]
            source_start, start, left = before.source_end, before.end, self._text[before.start : before.end]
        source_end, end = len(self._source), len(self._text)
        if number < len(self._spans):
            source_end, end = self._spans[number].source_start, self._spans[number].start
        given = self._source[source_start:source_end]
        place = Place("gap", self._text[start:end], given, source_start, self._edits.within(start, end, True))
        choice = self._choice(number)
        if choice is None:
            return place
        right = self._token(number)
        return _with_options(place, [Option(gap_text(units, given, left, right), p) for units, p in choice.gaps])

    def _repair(self, place: int) -> Repair | None:
        """Return the repair of what the input has at a place."""
        number = bisect_right(self._repaired, place) - 1
        return self._repairs[number] if number >= 0 and place < self._repairs[number].source_end else None

    def _word(self, number: int) -> Place:
        span, given = self._spans[number], self._token(number) or ""
        place = Place(
            "word",
            self._text[span.start : span.end],
            given,
            span.source_start,
            self._edits.within(span.start, span.end, False),
            repair=self._repair(span.source_start),
            kept=span.start in self._kept,
        )
        choice = self._choice(number)
        if choice is None:
            return place
        tokens, following = given.split(), self._token(number + 1) or ""
        fitting = [pair for pair in choice.forms if _fits(pair[0], tokens, following, self._widths[number])]
        return _with_options(place, [Option(form, chance) for form, chance in fitting])


class _Finder:
    """Finds the edits of a place."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        self._edits = edits
        self._starts = [edit.start for edit in edits]

    def within(self, start: int, end: int, gap: bool) -> tuple[Edit, ...]:
        """Return the edits of a gap or of a word. One that leaves nothing belongs to the gap that it stands in."""
        first = bisect_right(self._starts, start - 1)
        found = []
        for edit in map(self._edits.__getitem__, range(first, len(self._edits))):
            if edit.start > end or edit.end > end:
                break
            if edit.start < end or (gap and edit.start == edit.end):
                found.append(edit)
        return tuple(found)


def _with_options(place: Place, options: Sequence[Option]) -> Place:
    """Give a place its options, its own text among them, and its confidence."""
    chances = [edit.confidence for edit in place.edits if edit.confidence is not None]
    confidence = min(chances) if chances else None
    merged: dict[str, float] = {}
    for option in options:
        merged[option.text] = merged.get(option.text, 0.0) + option.probability
    shown = {
        text: chance
        for text, chance in sorted(merged.items(), key=lambda pair: -pair[1])[:MOST_OPTIONS]
        if chance >= LEAST or text == place.text
    }
    if place.text not in shown:
        shown[place.text] = merged.get(place.text, confidence if confidence is not None else 0.0)
    ranked = sorted(shown.items(), key=lambda pair: -pair[1])
    texts = [text for text, _ in ranked]
    rows = tuple(Option(text, min(chance, 1.0)) for text, chance in ranked)
    return replace(place, options=rows, chosen=texts.index(place.text), confidence=confidence)


def gap_text(units: Sequence[str], space: str, left: str | None, right: str | None) -> str:
    """Write out a gap's content between two words.

    Args:
        units: the insertions, in order, each with the space before it, if any.
        space: the white space that the input has in the gap.
        left: the form before the gap; None at the start of the text.
        right: the input token after it; None at the end of the text.

    Returns:
        The text from the end of the one word to the start of the other. It is what `Assembler` writes.
    """
    content = "".join(units)
    if right is None:
        return content + space
    breaks = [at for at, unit in enumerate(units) if unit == "\n"] if "\n" in space else []
    if left is None or breaks:
        before, after = ("".join(units[: breaks[-1]]), units[breaks[-1] + 1 :]) if breaks else ("", units)
        closed = " " if after and not _touches(after, None if left is None else "", right, broken=True) else ""
        return before + space + "".join(after) + closed
    if units and _touches(units, left, right):
        return content
    return content + (space or " ")


def _touches(units: Sequence[str], left: str | None, right: str, broken: bool = False) -> bool:
    """Tell whether the next word follows the units of a gap without a space.

    The units' texts do not say it of marks that may also join (`,` in "6,000"): there the neighbours do, by the same
    rules as in `GapGrammar`.
    """
    last = units[-1]
    if last in ("\n", " (", ' "', "\u2014", "-", "/") or (len(last) == 2 and last[1] in "$\u00a3\u20ac"):
        return True
    if last == '"':
        return (len(units) == 1 and (left is None or broken)) or units[-2:-1] == ["\n"] or units[-2:-1] == ("\n",)
    if len(units) > 1 or not left or last not in (",", ".", ":"):
        return False
    before, after = side_of(left), side_of(right)
    if Side.WORD in (before, after):
        return False
    small = (Side.DIGITS1, Side.DIGITS2)
    return {
        ".": True,
        ",": before is not Side.DIGITS and after is Side.DIGITS3,
        ":": before in small and after is Side.DIGITS2,
    }[last]


def _fits(form: str, tokens: Sequence[str], following: str, width: int) -> bool:
    """Tell whether a form stands for just these input tokens, not for fewer, nor for the following one as well.

    Forms of different widths are weighed against each other in the search, but one cannot be put in place of another.
    """
    return _covers(form, tokens) if width > 1 else not (following and _covers(form, [*tokens, following]))


def _covers(form: str, tokens: Sequence[str]) -> bool:
    lower, at = form.lower(), 0
    for token in tokens:
        start = "".join(char for char in token.lower() if char.isalnum())[:_PREFIX]
        found = lower.find(start, at)
        if found < 0:
            return False
        at = found + len(start)
    return True


def _with_warnings(restoration: Restoration, places: Sequence[Place]) -> Iterator[Place]:
    """Attach each flag's message to the first place that it covers, and mark the others."""
    flags = sorted(restoration.flags, key=lambda flag: flag.start)
    waiting = deque(flags)
    covers = sorted(
        edge
        for flag in flags
        for edge in (
            ((flag.start, flag.end),)
            if flag.end - flag.start <= LONG_WARNING
            else ((flag.start, flag.start + 1), (flag.end - 1, flag.end))
        )
    )
    begun, reached = 0, 0  # how many of these start before a place's end, and the furthest end of them
    start = 0
    for number, place in enumerate(places):
        end = start + len(place.text)
        last = number == len(places) - 1
        # A gap takes what lies between its words, both ends included, so that a flag of no length finds a place.
        near: list[Flag] = []
        while waiting and (last or waiting[0].start <= end):
            near.append(waiting.popleft())
        here = [f for f in near if f.start < end or last or (place.kind == "gap" and f.start == f.end == end)]
        waiting.extendleft(flag for flag in reversed(near) if flag not in here)
        while begun < len(covers) and covers[begun][0] < end:
            reached = max(reached, covers[begun][1])
            begun += 1
        covered = reached > start
        messages = tuple(_message(flag) for flag in here)
        yield replace(place, warnings=messages, warned=bool(messages) or covered) if messages or covered else place
        start = end


def _message(flag: Flag) -> str:
    message = flag.message.rstrip(".")
    if flag.probability is not None:
        message += f" ({percent(flag.probability)})"
    if flag.alternatives:
        message += "; perhaps: " + ", ".join(
            f"\u201c{text.strip()}\u201d" for text in flag.alternatives if text.strip()
        )
    return message + "."


def percent(probability: float) -> str:
    """Write a probability for people."""
    if probability >= 0.995:
        return "over 99\u00a0%"
    return "under 1\u00a0%" if probability < 0.01 else f"{probability:.0%}".replace("%", "\u00a0%")

"""A text as the scorer reads it: kept tokens, and the gaps between them.

The channel says which tokens of a text it keeps. Each has a *form*, the whole unit of prose that it is a part of
(`officials` for `official`, `U.S.` for `u`, `O'Rourke` for `rourke`). What stands between two forms is a *gap*: the
words that the channel dropped, marks, sentence and paragraph breaks.

    They met in the U.S. on Monday. "He's non-violent," said O'Rourke.
    |  gap 0  |form|g.1|form  |    gap 2     |f3|  form  |  gap   | form |gap

(`restore.units.segment` cuts the units; a clitic such as `'s` counts as a word.) Texts are levelled first, so that
curly and straight quotes, CRLF and LF are the same thing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from restore.channel import Channel
from restore.evaluation.classes import opens_sentence
from restore.evaluation.marks import CLOSERS, ENDS, SingleQuotes, level, mark_class, squeeze
from restore.units import CLITICS, is_word, segment

_OPENING_MARKS = "([{\"'"
_CLITICS = frozenset(CLITICS)


@dataclass(slots=True)
class Gap:
    """What stands between two kept tokens.

    Attributes:
        words: the dropped words, in lower case, less a last full stop.
        word_offsets: where each stands in the text.
        marks: the classes of the marks, in order.
        sentences: offsets at which a sentence begins, here or with the form that follows.
        paragraphs: how many paragraph breaks there are.
    """

    words: list[str] = field(default_factory=list)
    word_offsets: list[int] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    sentences: list[int] = field(default_factory=list)
    paragraphs: int = 0


@dataclass(slots=True)
class Form:
    """A kept token and the form that it has in the text.

    Attributes:
        token: what the channel makes of it.
        run: the run of characters that the channel read, in lower case.
        start, end: the place of the form.
        text: the form.
        starts_sentence: whether it is the first word of a sentence.
    """

    token: str
    run: str
    start: int
    end: int
    text: str = ""
    starts_sentence: bool = False


@dataclass(slots=True)
class Reading:
    """A text read: `gaps[i]` stands before `forms[i]`, and the last gap after the last form."""

    text: str
    forms: list[Form]
    gaps: list[Gap]

    def gap_text(self, index: int) -> str:
        """Return the text of a gap as it is compared: what counts as equal in it is equal."""
        start = self.forms[index - 1].end if index else 0
        end = self.forms[index].start if index < len(self.forms) else len(self.text)
        text = squeeze(self.text[start:end])
        text = text if index else text.lstrip()
        return text if index < len(self.forms) else text.rstrip()


@dataclass(slots=True)
class _Sentences:
    """Where sentences begin, found on the way through the units.

    A sentence ends with its paragraph, and with a full stop, question or exclamation mark before white space. Where an
    ellipsis or a closing quotation mark or bracket comes between, only if no lower-case word follows ("Stop!" he said).
    """

    fresh: bool = True  # the next word is the first of its sentence
    seen: bool = False  # there has been a word
    ended: bool = False  # an end mark has stood since the last word
    broken: bool = False  # a paragraph has ended since the last word
    unsure: bool = False  # the end mark was an ellipsis, or something closed after it
    resume: tuple[int, int] | None = None  # offset and gap of the first unit after the end

    def mark(self, kind: str | None, bare: str, glued: bool, at: int, gap: int) -> None:
        """Take a mark into account."""
        if kind in ENDS:
            self.ended = True
            self.unsure = kind == "ellipsis"
        elif (self.ended or self.broken) and self.resume is None:
            if glued and bare in CLOSERS:
                self.unsure = True
            else:
                self.resume = (at, gap)

    def word(self, bare: str, at: int, gap: int) -> tuple[int, int] | None:
        """Take a word into account; return offset and gap of the sentence that begins with it, if one does."""
        ended = self.ended and not (self.unsure and bare[0].islower())
        begins = self.seen and (self.broken or ended)
        place = (self.resume or (at, gap)) if begins else None
        self.fresh = begins or not self.seen
        self.seen, self.ended, self.broken, self.unsure, self.resume = True, False, False, False, None
        return place


def read(text: str, channel: Channel) -> Reading:
    """Read a text with a channel's eyes."""
    flat = level(text)
    forms = [Form(t.text, text[t.start : t.end].lower(), t.start, t.end) for t in channel.iterate(text)]
    gaps = [Gap() for _ in range(len(forms) + 1)]
    quotes, sentences = SingleQuotes(flat, text), _Sentences()
    units = segment(flat)
    at, k, glued, last = 0, 0, False, len(forms)
    for index, unit in enumerate(units):
        bare = unit.lstrip(" ")
        start, at = at + len(unit) - len(bare), at + len(unit)
        if len(bare) != len(unit):
            glued = False
        if not bare or bare == "\n":
            glued = False
            if bare and sentences.seen:
                gaps[k].paragraphs += 1
                sentences.broken = True
            if bare:
                quotes.open = False
            continue
        while k < last and forms[k].end <= start:
            k += 1
        inside, first = False, k
        while k < last and forms[k].start < at:
            forms[k].start, inside = min(forms[k].start, start), True
            if forms[k].end > at:
                break
            forms[k].end = at
            k += 1
        word = is_word(bare) or bare in _CLITICS
        if word:
            place = sentences.word(bare, start, first)
            if place is not None:
                gaps[place[1]].sentences.append(place[0])
            if inside:
                forms[first].starts_sentence |= sentences.fresh
            else:
                gap = gaps[k]
                gap.words.append(bare.lower().rstrip("."))
                gap.word_offsets.append(start)
                if "'" in bare:
                    gap.marks.append("apostrophe")
            if bare[-1] == "." and _abbreviation_ends(units, index):
                gaps[k].marks.append("stop")
                sentences.mark("stop", ".", True, at - 1, k)
        elif not inside:
            kind = quotes.classify(start) if bare == "'" else mark_class(flat, start, bare)
            if kind is not None:
                gaps[k].marks.append(kind)
            sentences.mark(kind, bare, glued, start, k)
        glued = True
    for form in forms:
        form.text = flat[form.start : form.end]
    return Reading(flat, forms, gaps)


def _abbreviation_ends(units: list[str], index: int) -> bool:
    """Tell whether the full stop of an abbreviation (`U.S.`) ends a sentence too.

    It does if its paragraph ends there, or if a word follows that is capitalised for no other reason ("The").
    """
    for bare in _rest(units, index):
        if bare == "\n":
            return True
        if is_word(bare):
            return opens_sentence(bare)
        if bare not in _OPENING_MARKS and bare not in CLOSERS:
            return False
    return True


def _rest(units: list[str], index: int) -> Iterator[str]:
    for following in range(index + 1, len(units)):
        if bare := units[following].lstrip(" "):
            yield bare

"""Pieces: what the n-gram model counts, made from units of text.

A text is cut into units (`restore.units.segment`); each unit is one piece:

>>> from restore.units import segment
>>> text = 'The US deported 6,000 "non-citizens" (or so).'
>>> [spelling(unit, joiner) for unit, _, joiner in placed(segment(text))]
['The', 'US', 'deported', '6', ',+', '000', ' "', 'non', '-+', 'citizens', '"', ' (', 'or', 'so', ')', '.']

- A word's piece is the word without the space before it, cased as written. At a sentence start it is *truecased*:
  `The` becomes `the` where `the` is the commoner of the two away from sentence starts. Only a word with one
  capital, its first, is: `US` does not become `us`, and `I` stays.
- A mark's piece keeps the space before it: ` (` and `(` differ. A *joiner*, which is a mark directly followed by a
  letter or digit, ends with `+`: the comma in `6,000` is not the comma of prose. Openers are always followed so and
  take no `+`; a quotation mark directly before a word is the opening one, ` "`, whatever stands before it.
- Curly quotes count as straight ones, and the one-character ellipsis as `...`.
- A line break is `<p>`. Each paragraph ends with one, the last of a document too.
- What is not in the vocabulary becomes a class: by its shape (`<lower>`, `<Title>`, `<UPPER>`, `<Mixed>`,
  `<a1>` for letters with digits), by its digits (`<1>` to `<4>`, `<5>` for five or more), or `<mark>`.

>>> [shape(form) for form in ("zorbing", "Zorb", "ZORB", "McZorb", "B2B", "437", "123456", "\N{RIGHTWARDS ARROW}")]
['<lower>', '<Title>', '<UPPER>', '<Mixed>', '<a1>', '<3>', '<5>', '<mark>']

The vocabulary begins with `<s>` (a document's start, only ever a context), `<p>` and the classes; then come all other
pieces, the commonest away from sentence starts first: of two spellings the commoner has the lower id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from restore.units import OPENERS, QUOTES, is_word, segment, sentence_starts

START = "<s>"
BREAK = "<p>"
CLASSES = ("<lower>", "<Title>", "<UPPER>", "<Mixed>", "<a1>", "<1>", "<2>", "<3>", "<4>", "<5>", "<mark>")
SPECIALS = (START, BREAK, *CLASSES)
FIRST_CLASS, END_CLASS = SPECIALS.index(CLASSES[0]), len(SPECIALS)
LIMIT = 1 << 16  # ids are stored in two bytes

_BREAKS = ("\n", "\r\n")
_STRAIGHT = str.maketrans({"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u2026": "..."})
_LONGEST = 64  # longer units are not remembered: they would fill memory
_MEMO = 1 << 17  # units remembered by `Vocabulary.piece`, about 20 MB


def spelling(unit: str, joiner: bool) -> str:
    """Return the name of a unit's piece, before truecasing and without regard to any vocabulary."""
    if is_word(unit):
        return unit.strip().translate(_STRAIGHT)
    if unit in _BREAKS:
        return BREAK
    mark = unit.translate(_STRAIGHT)
    bare = mark.strip()
    if not joiner or bare in OPENERS:
        return mark
    return " " + bare if bare in QUOTES else mark + "+"


def shape(form: str) -> str:
    """Return the class of a piece that the vocabulary does not have."""
    if not form[:1].isalnum():
        return "<mark>"
    if form.isdecimal():
        return f"<{min(len(form), 5)}>"
    if any(letter.isdigit() for letter in form):
        return "<a1>"
    if form.islower():
        return "<lower>"
    if form.isupper():
        return "<UPPER>"
    return "<Title>" if form[0].isupper() and form[1:].islower() else "<Mixed>"


def lowered(form: str) -> str | None:
    """Return the lower-case word that a form at a sentence start may stand for: `The` gives `the`, `US` None."""
    rest = form[1:]
    return form.lower() if form[0].isupper() and rest == rest.lower() and form != "I" else None


def placed(units: Sequence[str]) -> Iterator[tuple[str, bool, bool]]:
    """Yield (unit, initial, joiner) for the units of a text, but for loose white space and repeated breaks."""
    following = [unit[:1].isalnum() for unit in units[1:]] + [False]
    before = ""
    for unit, initial, glued in zip(units, sentence_starts(units), following, strict=True):
        if unit.isspace() and (unit not in _BREAKS or before in _BREAKS):
            continue
        yield unit, initial, glued and not is_word(unit)
        before = unit


class Vocabulary:
    """The pieces a model knows, and the id of each unit of text."""

    def __init__(self, pieces: Iterable[str]) -> None:
        """Take the pieces in the order of their ids.

        Raises:
            ValueError: they do not begin with the special pieces, repeat one, or are too many.
        """
        self.pieces = tuple(pieces)
        self._ids = {piece: number for number, piece in enumerate(self.pieces)}
        self._memo: dict[tuple[str, bool, bool], int] = {}
        if self.pieces[: len(SPECIALS)] != SPECIALS:
            raise ValueError("its vocabulary does not begin with the special pieces")
        if len(self._ids) != len(self.pieces):
            raise ValueError("its vocabulary has a piece twice")
        if len(self.pieces) > LIMIT:
            raise ValueError(f"its vocabulary has {len(self.pieces)} pieces, and {LIMIT} is the most")

    def __len__(self) -> int:
        return len(self.pieces)

    def id(self, piece: str) -> int:
        """Return the id of a piece by its name, such as `<p>`; KeyError if there is none."""
        return self._ids[piece]

    def piece(self, unit: str, *, initial: bool, joiner: bool) -> int:
        """Return the id of a unit's piece.

        Args:
            unit: a unit of `restore.units.segment`, with or without the space before it.
            initial: it stands at a sentence start.
            joiner: it is a mark directly followed by a letter or digit.
        """
        key = (unit, initial, joiner)
        number = self._memo.get(key)
        if number is None:
            if len(self._memo) >= _MEMO:
                self._memo = {}
            number = self._find(spelling(unit, joiner), initial)
            if len(unit) <= _LONGEST:
                self._memo[key] = number
        return number

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text's pieces; a document's end with a break, which its text does not have."""
        return [self.piece(unit, initial=initial, joiner=joiner) for unit, initial, joiner in placed(segment(text))]

    def _find(self, form: str, initial: bool) -> int:
        number = self._ids.get(form)
        if initial and (lower := lowered(form)) is not None:
            other = self._ids.get(lower)
            # The lower id is the commoner one.
            if other is not None and (number is None or other < number):
                return other
        return self._ids[shape(form)] if number is None else number

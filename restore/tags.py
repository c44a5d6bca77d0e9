"""Tags: what the tagger says of each gap and each token of the input.

A gap of the original text has one mark, the first word it holds and the last, and the set of all its words. A token has an
edit, which makes the form's spelling of the token's, and a casing. Training reads these off the original text; the decoder
off the insertions and forms of a hypothesis (`restore.opinion`).
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


class Mark(enum.IntEnum):
    """What stands in a gap besides words: the last that fits, in this order."""

    NONE = 0
    OTHER = 1  # quotation marks, brackets, signs
    COMMA = 2  # also semicolon, colon and dash
    END = 3
    BREAK = 4
    JOIN = 5  # what joins two tokens, and nothing else


class Case(enum.IntEnum):
    """How a form is cased."""

    LOWER = 0
    TITLE = 1
    UPPER = 2
    MIXED = 3


Floats = npt.NDArray[np.float32]

NO_WORD, OTHER_WORD = "", "?"
SAME, OTHER_EDIT = "=", "?"
"""The edits that change nothing, and too much."""

PRONOUNS = {"she": frozenset({"she", "her", "hers", "herself"}), "he": frozenset({"he", "his", "him", "himself"})}
"""What speaks of a woman and of a man."""

_WORD = re.compile(r"[A-Za-z]+(?:['\u2019][A-Za-z]+)?|['\u2019](?:s|re|ve|ll|d|m|t)\b")
_END = re.compile(r"[.!?\u2026][\"'\u201d\u2019)\]]*(?=\s|$|[\"\u201c(])")
COMMA = re.compile(r"[,;:\u2014\u2013]| - |--")
_MARK = re.compile(r"[^\w\s'\u2019]")
_DOTTED = re.compile(r"\.(?:[A-Za-z]\.)+")  # what is left of U.S. beyond its token
_PARTED = re.compile(r"[\s\u2014\u2013]")


@dataclass(frozen=True, slots=True)
class Tags:
    """What the tagger says of n tokens and the gaps before them, as log-probabilities in nats.

    Attributes:
        marks: [n, marks] by `Mark`.
        first, last: [n, words] the first and last word of the gap.
        held: [n, words] the log-odds that a word is among those of the gap.
        edits: [n, edits].
        cases: [n, cases] by `Case`.
    """

    marks: Floats
    first: Floats
    last: Floats
    held: Floats
    edits: Floats
    cases: Floats


def mark_of_gap(gap: str) -> Mark:
    """Return the mark of the text between two tokens.

    >>> mark_of_gap(", and "), mark_of_gap('." The '), mark_of_gap("-"), mark_of_gap(" of the ")
    (<Mark.COMMA: 2>, <Mark.END: 3>, <Mark.JOIN: 5>, <Mark.NONE: 0>)
    """
    gap = _DOTTED.sub("", gap, count=1) if gap[:1] == "." else gap
    if "\n" in gap:
        return Mark.BREAK
    if gap and not _PARTED.search(gap) and not _WORD.search(gap):
        return Mark.JOIN
    for pattern, mark in ((_END, Mark.END), (COMMA, Mark.COMMA), (_MARK, Mark.OTHER)):
        if pattern.search(gap):
            return mark
    return Mark.NONE


def words_of_gap(gap: str) -> list[str]:
    """Return the words of the text between two tokens.

    >>> words_of_gap("'s, but it's the "), words_of_gap(".S. has ")
    (["'s", 'but', "it's", 'the'], ['has'])
    """
    gap = _DOTTED.sub("", gap, count=1) if gap[:1] == "." else gap
    return [word.lower().replace("\u2019", "'") for word in _WORD.findall(gap)]


def case_of(surface: str) -> Case | None:
    """Return the casing of a form; None if it has no letters.

    >>> case_of("US"), case_of("iPhone"), case_of("I"), case_of("1990s")
    (<Case.UPPER: 2>, <Case.MIXED: 3>, <Case.TITLE: 1>, <Case.LOWER: 0>)
    """
    letters = [char for char in surface if char.isalpha()]
    capitals = [char.isupper() for char in letters]
    if not letters:
        return None
    if not any(capitals):
        return Case.LOWER
    if len(letters) > 1 and all(capitals):
        return Case.UPPER
    return Case.TITLE if capitals[0] and not any(capitals[1:]) else Case.MIXED


def edit_of(token: str, surface: str) -> str:
    """Return what makes a form's spelling of a token's.

    >>> edit_of("policy", "Policies"), edit_of("u", "US"), edit_of("go", "go")
    ('-y+ies', '-+s', '=')
    """
    lower = surface.lower()
    if lower == token:
        return SAME
    same = 0
    while same < min(len(lower), len(token)) and lower[same] == token[same]:
        same += 1
    if len(token) - same > 4 or len(lower) - same > 5:
        return OTHER_EDIT
    return f"-{token[same:]}+{lower[same:]}"

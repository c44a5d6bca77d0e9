"""Units: the pieces in which restored prose is built and compared, words and marks with their spacing.

A text is cut into units without loss, `"".join(segment(text)) == text`:

>>> segment("Officials, who'd met (in D.C.), deport 6,000 non-citizens.")[:11]
['Officials', ',', ' who', "'d", ' met', ' (', 'in', ' D.C.', ')', ',', ' deport']
>>> segment("6,000 non-citizens.")
['6', ',', '000', ' non', '-', 'citizens', '.']

A word unit carries the space before it; so does a mark that stands after a space. Possessives and contracted verbs
(`'s 'd 'll 're 've 'm`) are units of their own, `don't` is one word, and so are abbreviations (`D.C.`, `p.m.`, `Dr.`).
The cuts fall where the tokenisers of GPT-2's kind cut too, so that a unit can be encoded by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

CLITICS = ("'s", "'d", "'ll", "'re", "'ve", "'m")

# Abbreviations that are seldom the end of a sentence; initials and dotted capitals need no list.
_TITLES = "Mr|Mrs|Ms|Dr|St|Jr|Sr|Gov|Sen|Rep|Gen|Lt|Col|Maj|Capt|Sgt|Prof|Rev|Hon|Inc|Corp|Co|Ltd|vs|Vs"

_APOSTROPHE = "['\u2019]"
_CLITIC = rf"{_APOSTROPHE}(?:s|d|ll|re|ve|m)(?![^\W_])"
_UNIT = re.compile(
    rf"""
    \r?\n                                          # a line or paragraph break
    | {_CLITIC}                                    # 's 'd 'll 're 've 'm, after the word they belong to
    | [ ]?(?:
          (?:[^\W\d_]\.){{2,}}                     # U.S. p.m. D.C.
        | Ph\.D\.
        | (?:{_TITLES})\.(?![^\W_])      # Dr.
        | [A-Z]\.(?=[ ][A-Z])                      # John F. Kennedy
        | [^\W_]+(?:{_APOSTROPHE}(?!(?:s|d|ll|re|ve|m)(?![^\W_]))[^\W_]+)*   # words: don't, O'Rourke
        | \.\.\.
        | [^\w\s]|_                                # any other mark
      )
    | \s                                           # white space that belongs to nothing
    """,
    re.VERBOSE,
)
_WORD = re.compile(r"\s?[^\W_]")

SENTENCE_ENDS = frozenset(".?!") | {"...", "\u2026"}
OPENERS = frozenset("([{\u201c\u2018")
CLOSERS = frozenset(")]}\u201d\u2019")
QUOTES = frozenset("\"'")


def segment(text: str) -> list[str]:
    """Cut a text into units whose concatenation is the text."""
    return _UNIT.findall(text)


def is_word(unit: str) -> bool:
    """Tell a word (with its space, if any) from a mark, a clitic or a break."""
    return _WORD.match(unit) is not None


def sentence_starts(units: Iterable[str]) -> Iterator[bool]:
    """Yield, for each unit, whether it stands where a sentence begins: nothing but marks since the last end or break."""
    start, before = True, ""
    for unit in units:
        if before in SENTENCE_ENDS and unit[:1].isalnum():
            start = False  # 3.5, example.com
        yield start
        bare = unit.strip(" ")
        if bare in SENTENCE_ENDS or bare in ("\n", "\r\n"):
            start = True
        elif bare not in OPENERS and bare not in CLOSERS and bare not in QUOTES and bare.strip():
            start = False
        before = bare

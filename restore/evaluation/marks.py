"""Marks: what each punctuation character stands for where it stands.

A character is not a mark by itself: the full stop of `3.5` joins, that of `etc.,` abbreviates, that of `end.` ends.
Every mark gets one of these classes:

comma, stop (`.` and `!`), question, colon, semicolon, ellipsis (`...` or one character), dash (of any length, or a
hyphen with space around it), hyphen (glued; an en dash between words too), apostrophe, quote (single and double),
bracket, joiner (`/`, and `, . :` inside numbers and names), symbol (all else: `$ % & @`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MARKS = (
    "comma", "stop", "question", "colon", "semicolon", "ellipsis", "dash", "hyphen", "apostrophe", "quote", "bracket",
    "joiner", "symbol",
)  # fmt: skip
ENDS = frozenset(("stop", "question", "ellipsis"))
CLOSERS = frozenset(")]}\"'")

# Abbreviations whose full stop ends no sentence when a number follows.
_BEFORE_NUMBERS = frozenset((
    "No", "Nos", "Jan", "Feb", "Mar", "Apr", "Jun", "Jul", "Aug", "Sep", "Sept", "Oct", "Nov", "Dec", "Fig", "Vol", "p",
    "pp", "c",
))  # fmt: skip

_SAME_LENGTH = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2212", "-"),
        **dict.fromkeys("\u2015\u2e3a", "\u2014"),
    }
)
_SPACE = re.compile(r"\s+")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_DASH = re.compile(r" ?\u2014 ?| \u2013 ")
_LAST_WORD = re.compile(r"([^\W_]+)$")
_CLOSING_QUOTE = re.compile(r"(?<=[\w.,!?\u2026])'(?![^\W_])")
_ELIDED = re.compile(r"'(?:\d|(?i:tis|twas|twere|em|til|cause)(?![^\W_]))")  # '90s, 'tis
_SIMPLE = {
    ",": "comma", ".": "stop", "!": "stop", "?": "question", ":": "colon", ";": "semicolon", "...": "ellipsis",
    "\u2026": "ellipsis", "-": "hyphen", "\u2013": "dash", "\u2014": "dash", '"': "quote", "`": "quote", "'": "quote",
    "(": "bracket", ")": "bracket", "[": "bracket", "]": "bracket", "{": "bracket", "}": "bracket", "/": "joiner",
}  # fmt: skip


def level(text: str) -> str:
    r"""Level what says nothing: curly quotes become straight, white space plain. Every offset stays what it was.

    A run of white space becomes spaces, or a line feed and spaces where it breaks a paragraph. In a text that has
    blank lines only those break paragraphs; in any other each line is a paragraph.

    >>> level("\u201cWho\u2019s there?\u201d\r\nNobody.")
    '"Who\'s there?"\n Nobody.'
    """
    text = text.translate(_SAME_LENGTH).replace("\r\n", "\n ").replace("\r", "\n")
    inner = text.strip()
    start, end = text.find(inner), len(text.rstrip())
    wanted = 2 if _BLANK_LINE.search(inner) else 1

    def plain(match: re.Match[str]) -> str:
        size = match.end() - match.start()
        inside = start < match.start() < end
        return "\n" + " " * (size - 1) if inside and match.group().count("\n") >= wanted else " " * size

    return _SPACE.sub(plain, text)


def squeeze(text: str) -> str:
    r"""Return a stretch of levelled text as it is compared: single spaces, `...`, dashes without space around them.

    >>> squeeze("One  -- two \u2013 three\u2026 ") == "One\u2014two\u2014three... "
    True
    """
    text = _SPACE.sub(lambda match: "\n" if "\n" in match.group() else " ", text)
    text = text.replace("\u2026", "...").replace("--", "\u2014").replace(" - ", "\u2014")
    return _DASH.sub("\u2014", text)


@dataclass
class SingleQuotes:
    """Tells apostrophes from single quotation marks; holds whether one is open."""

    text: str
    original: str
    open: bool = False

    def classify(self, at: int) -> str:
        """Return `quote` or `apostrophe` for the `'` at an offset; call in order of offsets."""
        if self.original[at] in "\u2018\u201a":
            self.open = True
            return "quote"
        before, after = self.text[at - 1 : at], self.text[at + 1 : at + 2]
        if before.isalnum() and after.isalnum():
            return "apostrophe"
        if _ELIDED.match(self.text, at):
            return "apostrophe"
        if after.isalnum():  # an opening quotation mark if one closes before the paragraph ends
            stop = self.text.find("\n", at)
            closes = _CLOSING_QUOTE.search(self.text, at + 1, len(self.text) if stop < 0 else stop)
            self.open = closes is not None
            return "quote" if self.open else "apostrophe"
        was_open, self.open = self.open, False
        return "apostrophe" if before.isalnum() and not was_open else "quote"


def mark_class(text: str, at: int, mark: str) -> str | None:
    """Return the class of the mark at an offset of a levelled text; None if it is no mark of its own.

    Single quotes are the caller's: they need `SingleQuotes`.

    >>> text = "It cost 3.5 billion, etc., in No. 6!!"
    >>> [(mark, mark_class(text, at, mark)) for at, mark in enumerate(text) if not mark.isalnum() and mark != " "]
    [('.', 'joiner'), (',', 'comma'), ('.', None), (',', 'comma'), ('.', None), ('!', 'stop'), ('!', None)]
    """
    before, after = text[at - 1 : at] if at else "", text[at + len(mark) : at + len(mark) + 1]
    kind = _SIMPLE.get(mark, "symbol")
    if mark in ",:":
        return "joiner" if before.isdigit() and after.isdigit() else kind
    if mark == ".":
        return _full_stop(text, at, before, after)
    if mark in "!?":
        return None if before == mark else kind
    if mark == "-":
        if before == "-":
            return None
        spaced = not before.strip() and not after.strip()
        return "dash" if after == "-" or spaced else "hyphen"
    if mark == "\u2013":
        return "hyphen" if before.isalnum() and after.isalnum() else "dash"
    return kind


def _full_stop(text: str, at: int, before: str, after: str) -> str | None:
    if after.isalnum():
        glued = before.islower() and after.isupper() and text[at + 2 : at + 3].islower()
        return "stop" if glued else "joiner"  # "punishments.They" is two sentences, "3.5" and "example.com" are not
    if after and after in ",;:":
        return None
    match, following = _LAST_WORD.search(text, max(0, at - 8), at), text[at + 1 : at + 3].strip()[:1]
    word = match.group(1) if match else ""
    if following.isdigit() and word in _BEFORE_NUMBERS:
        return None
    if following.islower() and len(word) == 1 and word.isupper() and word != "I":
        return None  # E. coli
    return "stop"

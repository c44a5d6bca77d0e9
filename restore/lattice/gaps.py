"""Gaps: what may stand between two input tokens, as a small grammar of insertions.

A gap is a string of insertions: words that the channel drops, marks, breaks. The grammar walks from position to
position, and a position says what may follow, so that sentences start with a capital and end with a mark, brackets and
quotation marks balance, and a joiner joins two tokens. Every insertion was put through the channel between two real
words: it is legal because it vanishes.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from restore.channel import Channel
from restore.lexicon import Lexicon
from restore.units import CLITICS

MAX_INSERTIONS = 8
"""A gap takes no more words once it has so many insertions; marks may still end what it began."""
FREQUENT = 8000
"""How many of the lexicon's most frequent forms are tried as insertions."""
WHOLE = 20_000
"""How many it numbers by frequency."""
_ABBREVIATION = re.compile(r"(?:[a-z]\.){2,}")
_VOWELS = frozenset("aeiouy")
_PROBES = ("table", "house", "paper", "statement", "documentation", "counterintelligence")
_NUMBERS = ("11", "47", "1234567")
"""What insertions are tried between: the first word, or number, of which the channel makes one token."""


class Place(enum.Enum):
    """Where in the grammar the text so far ends."""

    WORD = "after a word"
    CLITIC = "after a possessive or a contracted verb"
    COMMA = "after a comma, semicolon or colon"
    END = "after a sentence end"
    BREAK = "at the start of a paragraph, or of the text"
    OPEN = "after an opening mark, which the next word touches"
    DASH = "after a dash that the next word touches"
    CLOSE = "after a closing mark"
    END_CLOSE = "after a sentence end and a closing mark"
    JOIN = "after a joiner: the next token must follow at once"
    DOTTED = "after a word that ends in a full stop, such as U.S.: a sentence may end there without another"

    @property
    def touching(self) -> bool:
        """Whether the next word has no space before it."""
        return self in TOUCHING


TOUCHING = frozenset({Place.BREAK, Place.OPEN, Place.DASH, Place.JOIN})
"""Places after which the next word has no space before it."""
ENDED = frozenset({Place.END, Place.END_CLOSE, Place.BREAK})
"""Places after the end of a sentence."""
_WORDS = frozenset({Place.WORD, Place.DOTTED})


class Side(enum.Enum):
    """What a gap knows of the token on one side of it."""

    WORD = "word"
    DIGITS = "number"
    DIGITS1 = "number of one or two digits"
    DIGITS2 = "number of two digits, 00 to 59"
    DIGITS3 = "number of three digits"
    BREAK = "a blank line: the paragraph must end first"
    NONE = "nothing: the text starts or ends here"


def side_of(token: str | None) -> Side:
    """Return what a gap knows of a token; None stands for the start or end of the text."""
    if token is None:
        return Side.NONE
    if token[2:] in ("am", "pm"):
        token = token[:2]  # 3:30am
    if not (token.isascii() and token.isdigit()):
        return Side.WORD
    if len(token) == 2 and token < "60":
        return Side.DIGITS2
    return {1: Side.DIGITS1, 2: Side.DIGITS1, 3: Side.DIGITS3}.get(len(token), Side.DIGITS)


def digits_of(token: str) -> str:
    """Return what stands in a token for what is before it: the digits of 5m and of 000-mile, else all of it."""
    found = re.match(r"[0-9]+(?=[a-z-])", token)
    return found[0] if found else token


@dataclass(frozen=True, slots=True)
class Insertion:
    """Something to insert.

    Attributes:
        text: with the space before it, if any.
        kind: `word`, `mark`, `break`, `bracket`, `quote`, `sign` or `join`.
        leads_to: the place after it.
        logprob: a word's log-probability by the lexicon alone, in nats.
        merged: several marks at once, which some models write as one.
        unstyled: what it was before the house style changed it, if it did.
    """

    text: str
    kind: str
    leads_to: Place
    logprob: float = 0.0
    merged: bool = False
    unstyled: str = ""

    @property
    def plain(self) -> str:
        """The text as the model had it."""
        return self.unstyled or self.text


@dataclass(frozen=True, slots=True)
class Position:
    """A position in the grammar: all that decides what may follow.

    Attributes:
        place: where the text so far ends.
        initial: whether the next word starts a sentence.
        either: whether it may have a capital or not all the same: `"Why?" he said, "Not now."`
        bracket, quote: whether a bracket or a quotation mark is open.
        fresh: whether nothing has been inserted in this gap yet.
        room: whether the gap may take more words.
    """

    place: Place = Place.BREAK
    initial: bool = True
    bracket: bool = False
    quote: bool = False
    fresh: bool = True
    room: bool = True
    either: bool = False

    def after(self, insertion: Insertion, room: bool) -> Position:
        """Return the position after an insertion."""
        place = insertion.leads_to
        bracket, quote = self.bracket, self.quote
        if insertion.kind == "bracket":
            bracket = not bracket
        elif insertion.kind == "quote":
            quote = not quote
        initial, either = self.initial, self.either
        if place in ENDED:
            initial = True
            either = place is not Place.BREAK and (either or self._goes_on(insertion.text))
        elif insertion.kind not in ("bracket", "quote", "sign"):
            initial = either = False
        elif insertion.kind == "quote" and place is Place.OPEN:
            either = self.place is Place.COMMA
        return Position(place, initial, bracket, quote, False, room, either)

    def _goes_on(self, mark: str) -> bool:
        """Tell whether a sentence may go on after a mark that ends one: what is called out or asked in it, and dots."""
        return mark == "..." or (mark[:1] in "?!" and (self.quote or self.bracket))

    def after_form(self) -> Position:
        """Return the position after a token's form: the next gap is fresh."""
        return Position(Place.WORD, False, self.bracket, self.quote)

    @property
    def touching(self) -> bool:
        """Whether the next word has no space before it."""
        return self.place.touching


_MARKS = (
    Insertion(",", "mark", Place.COMMA),
    Insertion(";", "mark", Place.COMMA),
    Insertion(":", "mark", Place.COMMA),
)
_ENDS = (
    Insertion(".", "mark", Place.END),
    Insertion("?", "mark", Place.END),
    Insertion("!", "mark", Place.END),
    Insertion("...", "mark", Place.END),
)
_DASHES = (Insertion("\u2014", "mark", Place.DASH), Insertion(" \u2014", "mark", Place.COMMA))
_CLITICS = (
    *(Insertion(clitic, "word", Place.CLITIC) for clitic in CLITICS),
    Insertion("'", "mark", Place.CLITIC),
)
_BREAK = Insertion("\n", "break", Place.BREAK)
_OPEN_BRACKET, _CLOSE_BRACKET = Insertion(" (", "bracket", Place.OPEN), Insertion(")", "bracket", Place.CLOSE)
_OPEN_QUOTE, _CLOSE_QUOTE = Insertion(' "', "quote", Place.OPEN), Insertion('"', "quote", Place.CLOSE)
_START_QUOTE = Insertion('"', "quote", Place.OPEN)
_END_BRACKET, _END_QUOTE = Insertion(")", "bracket", Place.END_CLOSE), Insertion('"', "quote", Place.END_CLOSE)
_MERGED_QUOTES = (
    Insertion(',"', "quote", Place.COMMA, merged=True),
    Insertion('."', "quote", Place.END_CLOSE, merged=True),
    Insertion('?"', "quote", Place.END_CLOSE, merged=True),
    Insertion('!"', "quote", Place.END_CLOSE, merged=True),
    Insertion('",', "quote", Place.COMMA, merged=True),
    Insertion('".', "quote", Place.END, merged=True),
)
_MERGED_BRACKETS = (
    Insertion("),", "bracket", Place.COMMA, merged=True),
    Insertion(");", "bracket", Place.COMMA, merged=True),
    Insertion(").", "bracket", Place.END, merged=True),
)
_PERCENT = Insertion("%", "sign", Place.CLOSE)
_SIGNS = tuple(Insertion(f" {sign}", "sign", Place.JOIN) for sign in "$\u00a3\u20ac")
_START_SIGNS = tuple(Insertion(sign, "sign", Place.JOIN) for sign in "$\u00a3\u20ac")
_AMPERSAND = Insertion(" &", "mark", Place.COMMA)
_JOINERS = {joiner: Insertion(joiner, "join", Place.JOIN) for joiner in "-/,.:'"}
_OF_NUMBERS = ("join", "sign")
_ANY_DIGITS = frozenset({Side.DIGITS, Side.DIGITS1, Side.DIGITS2, Side.DIGITS3})


class GapGrammar:
    """The insertions that a channel allows, by position. Safe to share between threads."""

    def __init__(self, channel: Channel, lexicon: Lexicon) -> None:
        self._channel = channel
        self._word, self._probe = _probe(channel, _PROBES)
        self._digits, self._number = _probe(channel, _NUMBERS)
        self.words = dict(_dropped(channel, lexicon))
        """The words that the channel drops, with their log-probabilities in nats."""
        self._legal = lru_cache(maxsize=1 << 16)(self._vanishes)
        self._legal_beside = lru_cache(maxsize=1 << 8)(self._vanishes_beside)
        self.ends = self._legal(_ENDS[0])

    def menu(self, position: Position, left: Side, right: Side) -> tuple[Insertion, ...]:
        """Return what may be inserted at a position, between tokens of the given kinds."""
        if not self._probe:
            return ()
        sides = (left in _ANY_DIGITS, right in _ANY_DIGITS)
        return tuple(
            item
            for item in self._grammar(position, left, right)
            if self._legal(item) and (item.kind not in _OF_NUMBERS or not any(sides) or self._legal_beside(item, *sides))
        )

    def _vanishes(self, insertion: Insertion) -> bool:
        """Put an insertion between two words and see whether the channel makes it vanish."""
        if insertion.kind == "word" and insertion.leads_to in _WORDS:
            return self._stripped(f"{self._word} {insertion.text.strip()} {self._word}")
        if insertion.leads_to is Place.CLITIC and self._channel.word.fullmatch(self._word + insertion.text):
            return False  # it becomes a part of the word, and what is left of both depends on the word
        glue = "" if insertion.leads_to in TOUCHING and insertion is not _BREAK else " "
        if insertion.kind == "break" or insertion in (_START_QUOTE, _END_BRACKET, _END_QUOTE):
            return self._stripped(self._word + " " + insertion.text + glue + self._word) or self._stripped(
                self._word + insertion.text + glue + self._word
            )
        return self._stripped(self._word + insertion.text + glue + self._word)

    def _vanishes_beside(self, insertion: Insertion, left: bool, right: bool) -> bool:
        """Put what touches a number beside one, on the sides given: a channel may keep 3.5, which is not 3 and 5."""
        if not self._number:
            return True
        text = (self._digits if left else self._word) + insertion.text + ("" if insertion.leads_to in TOUCHING else " ")
        wanted = (self._number if left else self._probe) + (self._number if right else self._probe)
        return [token.text for token in self._channel.iterate(text + (self._digits if right else self._word))] == wanted

    def _stripped(self, text: str) -> bool:
        return [token.text for token in self._channel.iterate(text)] == self._probe * 2

    def _grammar(self, position: Position, left: Side, right: Side) -> Iterator[Insertion]:
        place = position.place
        if place is Place.JOIN:
            return
        ending = right in (Side.BREAK, Side.NONE)
        if position.fresh and place in _WORDS and left is not Side.NONE and not ending:
            yield from self._joiners(left, right)
        if place in _WORDS:
            yield from _CLITICS
            if position.fresh and left in _ANY_DIGITS:
                yield _PERCENT
            if position.room and not ending:
                yield _AMPERSAND
        if place in (*_WORDS, Place.CLITIC, Place.CLOSE):
            yield from _ENDS[place is Place.DOTTED :]
            if position.room:
                yield from (*_MARKS, *_DASHES)
            if position.bracket:
                yield _CLOSE_BRACKET
                yield from _MERGED_BRACKETS
            if position.quote:
                yield from (item for item in _MERGED_QUOTES if place is not Place.DOTTED or item.text[0] != ".")
        if place in (*_WORDS, Place.CLITIC, Place.COMMA, Place.CLOSE) and position.quote:
            yield _CLOSE_QUOTE
        if place is Place.END:
            if position.bracket:
                yield _END_BRACKET
            if position.quote:
                yield _END_QUOTE
        if position.room and not ending:
            yield from self._openers(position, right)
        if (
            right is not Side.NONE
            and (place in (Place.END, Place.END_CLOSE) or (place is Place.DOTTED and right is Side.BREAK))
            and not (position.bracket or position.quote)
        ):
            yield _BREAK
        if position.room or place in (Place.COMMA, Place.DASH, Place.OPEN):
            yield from self._words(position)

    def _openers(self, position: Position, right: Side) -> Iterator[Insertion]:
        place = position.place
        if place is Place.OPEN or place is Place.DASH:
            spaced: tuple[Insertion, ...] = ()
        elif place is Place.BREAK:
            spaced = () if position.quote else (_START_QUOTE,)
        else:
            spaced = (*(() if position.quote else (_OPEN_QUOTE,)), *(() if position.bracket else (_OPEN_BRACKET,)))
        yield from spaced
        if right in _ANY_DIGITS and place is not Place.DASH:
            yield from _START_SIGNS if place in TOUCHING else _SIGNS

    def _joiners(self, left: Side, right: Side) -> Iterator[Insertion]:
        yield _JOINERS["-"]
        yield _JOINERS["/"]
        if left in _ANY_DIGITS and right in _ANY_DIGITS:
            yield _JOINERS["."]
            if left is not Side.DIGITS and right is Side.DIGITS3:
                yield _JOINERS[","]
            if left in (Side.DIGITS1, Side.DIGITS2) and right is Side.DIGITS2:
                yield _JOINERS[":"]
        elif left is Side.WORD and right is Side.WORD:
            yield _JOINERS["'"]
            yield _JOINERS["."]

    def _words(self, position: Position) -> Iterator[Insertion]:
        space = "" if position.touching else " "
        seen = set()
        for word, logprob in self.words.items():
            upper = word[:1].upper() + word[1:]
            for text in (word, upper) if position.either else (upper if position.initial else word,):
                if text not in seen:
                    seen.add(text)
                    yield Insertion(space + text, "word", Place.DOTTED if text.endswith(".") else Place.WORD, logprob)


def _dropped(channel: Channel, lexicon: Lexicon) -> Iterator[tuple[str, float]]:
    """Yield the words that a channel drops: frequent ones, and the rarer of its stop words (hers, whereby), and a.m.

    Stop words that are rarer still, such as "mustn't", are left out: they are unknown to the n-gram model, which holds any word
    that it does not know for likely.
    """
    for place, entry in enumerate(lexicon.frequent(WHOLE)):
        common = place < FREQUENT or _is_stop_word(channel, lexicon, entry.form) or _ABBREVIATION.fullmatch(entry.form)
        if common and not channel.tokens(entry.form) and any(map(str.isalpha, entry.form)):
            yield entry.form, entry.logprob


def _is_stop_word(channel: Channel, lexicon: Lexicon, word: str) -> bool:
    """Tell whether a word is among a channel's stop words, and not a piece of another, such as `needn` of "needn't"."""
    spoken = len(word) > 2 and not _VOWELS.isdisjoint(word)
    return spoken and word in channel.stop_words and not lexicon.variants(f"{word}'t") and not word.endswith(CLITICS)


def _probe(channel: Channel, words: tuple[str, ...]) -> tuple[str, list[str]]:
    """Return the first of some words that is one token for a channel, and the token; no token if none is."""
    for word in words:
        tokens = [token.text for token in channel.tokens(word)]
        if len(tokens) == 1:
            return word, tokens
    return words[0], []

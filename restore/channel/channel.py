"""A channel: the known, deterministic way in which a text was stripped."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from restore.channel.wordmaps import WORD_MAPS, WordMap, word_map
from restore.errors import ChannelError

if sys.version_info >= (3, 11):
    from re import _parser  # type: ignore[attr-defined]
else:
    import sre_parse as _parser

ORDERS = ("drop-map", "map-drop")

CAPITAL_DOTTED_I = "\u0130"
DOTTED_I = CAPITAL_DOTTED_I.lower()
"""`i` and a dot above (U+0307): the only letter that becomes two characters in lower case."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token that the channel keeps, and the run of characters it came from.

    Attributes:
        text: the token as the channel writes it ("official").
        start, end: the run's place in the text that was stripped, in characters ("officials").
    """

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Channel:
    """How a text was stripped. A value: two channels with equal fields are the same channel.

    The steps, in this order: find the words; fold case; then drop and map, or map and drop.

    Attributes:
        name: what users call it.
        about: one line for people.
        characters: a regular expression for one character of a word; all else separates words.
        keep: characters kept where they stand inside a word, between two word characters (such as `'-`).
        lowercase: whether words are lower-cased.
        stop_words: the words to drop.
        stop_as_written: match stop words before lower-casing, so that "The" survives as `the`.
        min_length: shorter words are dropped, in characters.
        numbers: whether words of digits alone are kept.
        map: the name of the word map (`none`, `wordnet-noun`, `porter`, ...).
        order: `drop-map` (drop stop words, then map what is left) or `map-drop`.

    Raises:
        ChannelError: a field's value is out of its range.
    """

    name: str
    about: str = ""
    characters: str = "[A-Za-z0-9]"
    keep: str = ""
    lowercase: bool = True
    stop_words: frozenset[str] = field(default=frozenset(), repr=False)
    stop_as_written: bool = False
    min_length: int = 1
    numbers: bool = True
    map: str = "none"
    order: str = "drop-map"

    def __post_init__(self) -> None:
        object.__setattr__(self, "stop_words", frozenset(self.stop_words))
        if self.order not in ORDERS:
            raise ChannelError(f"channel {self.name!r}: order {self.order!r} is not one of {', '.join(ORDERS)}")
        if self.map not in WORD_MAPS:
            raise ChannelError(f"channel {self.name!r}: map {self.map!r} is not one of {', '.join(WORD_MAPS)}")
        if any(char.isspace() for char in self.keep):
            raise ChannelError(f"channel {self.name!r}: keep {self.keep!r} has white space, which is between words")
        if self.min_length < 1:
            raise ChannelError(f"channel {self.name!r}: min_length {self.min_length} is below 1")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", FutureWarning)
                one = re.compile(self.characters)
                width = tuple(_parser.parse(self.characters).getwidth())
                re.compile(self._pattern)
        except (re.error, FutureWarning, RecursionError, OverflowError) as error:
            raise ChannelError(f"channel {self.name!r}: characters {self.characters!r}: {error}") from error
        if one.fullmatch(" ") or width != (1, 1):
            raise ChannelError(
                f"channel {self.name!r}: characters {self.characters!r} must match one character, no space"
            )

    @property
    def _pattern(self) -> str:
        run = f"(?:{self.characters})+"
        return f"{run}(?:[{re.escape(self.keep)}]{run})*" if self.keep else run

    @cached_property
    def word(self) -> re.Pattern[str]:
        """The regular expression of one word."""
        return re.compile(self._pattern)

    @cached_property
    def word_map(self) -> WordMap:
        """The word map itself, loaded on first use."""
        return word_map(self.map)

    def is_word(self, piece: str) -> bool:
        """Tell whether a piece is one word for the channel, as it is or before its capitals were lost.

        The two differ for one letter alone: `İ` becomes two characters in lower case, of which the second is no letter
        (Unicode Standard, SpecialCasing.txt).
        """
        if self._matches(piece):
            return True
        return self.lowercase and DOTTED_I in piece and self._matches(piece.replace(DOTTED_I, CAPITAL_DOTTED_I))

    def _matches(self, piece: str) -> bool:
        # Not by a full match: where there is none, `re` may try every way to get there.
        found = self.word.match(piece)
        return found is not None and found.end() == len(piece)

    def image(self, run: str) -> str | None:
        """Return the token that one whole word becomes, or None if the channel drops it.

        The word is taken as it stands: that it is one word for the channel is the caller's concern.
        """
        if len(run) < self.min_length or (not self.numbers and run.isdigit()):
            return None
        token = run.lower() if self.lowercase else run
        dropped = run if self.stop_as_written else token
        if self.order == "drop-map":
            return None if dropped in self.stop_words else self.word_map.apply(token) or None
        token = self.word_map.apply(dropped)
        if token in self.stop_words:
            return None
        return (token.lower() if self.lowercase else token) or None

    def tokens(self, text: str) -> list[Token]:
        """Return the tokens that the channel keeps of `text`, in order, with their places."""
        return list(self.iterate(text))

    def iterate(self, text: str) -> Iterator[Token]:
        """Yield the tokens that the channel keeps of `text`, one by one."""
        image = self._cached_image
        for match in self.word.finditer(text):
            token = image(match.group())
            if token is not None:
                yield Token(token, match.start(), match.end())

    def strip(self, text: str) -> str:
        """Return the stripped text: the kept tokens, separated by single spaces."""
        return " ".join(token.text for token in self.iterate(text))

    @cached_property
    def _cached_image(self) -> Callable[[str], str | None]:
        # Long runs are rare and would fill memory: they are mapped each time.
        cached = lru_cache(maxsize=1 << 17)(self.image)
        return lambda run: cached(run) if len(run) <= 64 else self.image(run)

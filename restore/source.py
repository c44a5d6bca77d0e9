"""The input as the channel left it: its tokens, where they stand, and what else it still holds.

Input is cut at white space. A piece that is one word for the channel is a *token*. Else its outer marks are set aside
(`deport,` → `deport` and `,`) and kept where they are; a core that is still no single word for the channel (`café`,
`6,000` or an address under the `nltk` channel) is *opaque*: it stands in the output as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from restore.channel import Channel

_PIECE = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class SourceToken:
    """One white-space separated piece of the input.

    Attributes:
        before, core, after: the piece, cut into outer marks and what they enclose.
        start, end: the place of the whole piece in the input, in characters.
        word: whether the core is one word for the channel.
        break_before: whether a blank line stands before it, which ends a paragraph.
        dropped: a repair has told it apart as a word that the channel drops, and that stands as it is.
        initials: evidence that it is an initialism, as `restore.initials` finds it in the text around it, in nats.
    """

    before: str
    core: str
    after: str
    start: int
    end: int
    word: bool
    break_before: bool
    dropped: bool = False
    initials: float = 0.0

    @property
    def text(self) -> str:
        """The whole piece."""
        return self.before + self.core + self.after


class TokenStream:
    """Tokens by their number in the input, read as they are asked for and forgotten when they are done with."""

    def __init__(self, tokens: Iterable[SourceToken]) -> None:
        self._coming = iter(tokens)
        self._held: list[SourceToken] = []
        self._first = 0
        self._ended = False
        self.keep = False  # whether to forget nothing

    @property
    def first(self) -> int:
        """The number of the first token that is not forgotten."""
        return self._first

    def upto(self, number: int) -> int:
        """Read until there are so many tokens, or no more; return how many there are, at most `number`."""
        while not self._ended and self._first + len(self._held) < number:
            token = next(self._coming, None)
            if token is None:
                self._ended = True
            else:
                self._held.append(token)
        return min(number, self._first + len(self._held))

    def row(self, start: int, stop: int) -> list[SourceToken]:
        """Return the tokens from one number up to another, or as many of them as there are."""
        stop = self.upto(stop)
        return self._held[max(0, start - self._first) : max(0, stop - self._first)]

    def __getitem__(self, number: int) -> SourceToken:
        if self.upto(number + 1) <= number:
            raise IndexError(number)
        return self._held[number - self._first]

    def forget(self, before: int) -> None:
        """Drop the tokens before a number."""
        if not self.keep:
            del self._held[: max(0, before - self._first)]
            self._first = max(self._first, before)


def read_source(text: str, channel: Channel) -> Iterator[SourceToken]:
    """Yield the tokens of an input text, in order."""
    last = 0
    for match in _PIECE.finditer(text):
        piece, start, end = match.group(), match.start(), match.end()
        break_before = last > 0 and text.count("\n", last, start) > 1
        last = end
        if channel.is_word(piece):
            yield SourceToken("", piece, "", start, end, True, break_before)
            continue
        before, core, after = _outer(piece)
        word = bool(core) and channel.is_word(core)
        # A mark that the channel would have kept inside the word belongs to an opaque core.
        whole = (len(before), len(before) + len(core))
        if word and [(token.start, token.end) for token in channel.tokens(piece)] not in ([whole], []):
            before, core, after, word = "", piece, "", False
        yield SourceToken(before, core, after, start, end, word, break_before)


def _outer(piece: str) -> tuple[str, str, str]:
    start, end = 0, len(piece)
    while start < end and not piece[start].isalnum():
        start += 1
    while end > start and not piece[end - 1].isalnum():
        end -= 1
    return (piece[:start], piece[start:end], piece[end:]) if start < end else ("", piece, "")

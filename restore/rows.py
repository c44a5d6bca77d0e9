"""How a text is read for the tagger: in rows, and what is said of the same words is pooled.

Rows begin at fixed tokens, so that what a text is tagged with depends on the text alone. A row reads some tokens more on either
side of those that it tags.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from restore.discourse import Row, pooled
from restore.source import TokenStream
from restore.tags import Tags

STRIDE, CONTEXT = 96, 30
"""Tokens that a row tags; tokens that it reads on either side of them, no more than a search leaves unforgotten."""
KEPT = 14
"""Rows whose tags are kept: eight windows that are searched in step reach over ten."""
REACH = 8
"""Rows on either side of one with which it is pooled."""


class Rows:
    """What is said of one text, found as it is asked for and forgotten when it is done with.

    Args:
        tag: says what it takes some tokens to be, from one place in them up to another.
        tokens: the text.
        share: how much the same words elsewhere count (see `restore.discourse`).
    """

    def __init__(self, tag: Callable[[Sequence[str], int, int], Tags], tokens: TokenStream, share: float) -> None:
        self._tag = tag
        self._tokens = tokens
        self._share = share
        self._alone: dict[int, Row] = {}
        self._pooled: dict[int, Tags] = {}

    def __getitem__(self, number: int) -> Tags:
        """Return what is said of the tokens of a row, by its number; the text must have some."""
        if number not in self._pooled:
            self._pooled[number] = self._pool(number)
            _forget(self._pooled, number - KEPT)
            _forget(self._alone, number - KEPT - REACH)
        return self._pooled[number]

    def _pool(self, number: int) -> Tags:
        if not self._share:
            return self._row(number).tags
        around = range(max(0, number - REACH), number + REACH + 1)
        rows = [self._row(other) for other in around if self._tokens.upto(other * STRIDE + 1) > other * STRIDE]
        return pooled(rows, min(number, REACH), self._share)

    def _row(self, number: int) -> Row:
        """Return what is said of the tokens of a row by themselves."""
        if number not in self._alone:
            start = number * STRIDE
            first = max(self._tokens.first, start - CONTEXT)
            row = self._tokens.row(first, start + STRIDE + CONTEXT)
            texts = [(token.core if token.word else token.text).lower() for token in row]
            own, stop = start - first, min(start - first + STRIDE, len(texts))
            before = texts[own - 1] if own else ""
            self._alone[number] = Row(before, texts[own:stop], self._tag(texts, own, stop))
        return self._alone[number]


def _forget(rows: dict[int, Tags] | dict[int, Row], before: int) -> None:
    for old in [number for number in rows if number < before]:
        del rows[old]

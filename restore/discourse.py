"""One spelling a discourse: what the tagger says of a token is pooled with what it says of the same token near by in the text.

A word that comes twice in a text mostly has the same sense there (Gale, Church and Yarowsky 1992, "One sense per discourse"), and
so the same spelling and casing: who is a "president" stays one, and whose name is all capitals keeps them. Where one place tells
which it is and another does not, the former helps the latter. The same goes for what stands between the same two words
(Yarowsky 1993, "One sense per collocation"): "immigration" and "customs" have "and" between them, or have not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from restore.tags import Floats, Tags

ITSELF = 0.5
"""How much a place counts among the places of its own word, each other of which counts 1."""
LEAST = 1e-6
"""A probability, added lest what is out of the question elsewhere is so here."""


@dataclass(frozen=True, slots=True)
class Row:
    """Tokens that follow each other, and what the tagger says of them by themselves.

    Attributes:
        before: the token before the first of them; empty at a text's start.
        tokens: each in lower case, as the tagger reads it.
        tags: what the tagger says of them.
    """

    before: str
    tokens: Sequence[str]
    tags: Tags


def pooled(rows: Sequence[Row], own: int, share: float) -> Tags:
    """Return what is said of one of some rows, pooled with what is said of the same tokens in any of them.

    The opinion on a place, p, becomes p^(1 - share) q^share, over its sum, where q is the mean over all places of the same
    token (for edits and cases) or of the same two tokens (for the gap between them: marks, first and last words).

    Args:
        rows: rows that follow each other, in the text's order.
        own: which of them is asked about.
        share: how much the other places count, from 0 to 1.
    """
    tags = rows[own].tags
    tokens = [token for row in rows for token in row.tokens]
    pairs = [pair for row in rows for pair in zip([row.before, *row.tokens], row.tokens, strict=False)]
    start = sum(len(row.tokens) for row in rows[:own])
    stop = start + len(rows[own].tokens)
    spelt, between = _again(tokens, start, stop), _again(pairs, start, stop)

    def both(name: str, places: Sequence[Sequence[int]]) -> Floats:
        if not places:
            return getattr(tags, name)  # type: ignore[no-any-return]
        return _pooled(np.concatenate([getattr(row.tags, name) for row in rows]), places, start, stop, share)

    return replace(
        tags,
        **{name: both(name, spelt) for name in ("edits", "cases")},
        **{name: both(name, between) for name in ("marks", "first", "last")},
    )


def _again(items: Sequence[Hashable], start: int, stop: int) -> list[list[int]]:
    """Return the places of each item that occurs between two places, and more than once at all."""
    found: defaultdict[Hashable, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        found[item].append(place)
    return [found[item] for item in dict.fromkeys(items[start:stop]) if len(found[item]) > 1]


def _pooled(logprobs: Floats, places: Sequence[Sequence[int]], start: int, stop: int, share: float) -> Floats:
    made = logprobs[start:stop].copy()
    for same in places:
        probabilities = np.exp(logprobs[same])
        together = probabilities.sum(0)
        for place, own in zip(same, probabilities, strict=True):
            if start <= place < stop:
                mean = (together - (1 - ITSELF) * own) / (len(same) - 1 + ITSELF)
                mixed = (1 - share) * logprobs[place] + share * np.log(mean + LEAST)
                made[place - start] = mixed - np.logaddexp.reduce(mixed)
    return made

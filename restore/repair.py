"""Repair: typos and glued words in the input, mended only on strong evidence.

A token is looked at if no lexicon has it and the channel could not have made it of a word that one has. symspellpy's
dictionary says what it may have been meant for (within one edit, or two for long words) and where two words may have been
glued together. Each reading is then restored together with its neighbours, and the language model says how much likelier
the text is with it than with the token as a word that nobody knows, such as a name. A reading that wins by more
than `MARGIN` nats, after paying for the mistake it supposes, is taken, and is listed in the result.

A rare word of the lexicon is looked at, too, if it may be two words that the channel drops (`ofthe`) and symspellpy's
dictionary lacks it. Such a pair was glued before the text was stripped, so no word stood between the two. As some of these
tokens are names (Offit, Morea), the pair must win by more: by `KNOWN_MARGIN`, or, where a better model reads both restored
texts and agrees, by `BOTH_MARGIN` with what that one says added.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import numpy as np
import numpy.typing as npt

from restore.channel import Channel
from restore.lattice.forms import MAX_LENGTH, FormFinder
from restore.lexicon import Lexicon
from restore.source import SourceToken

MARGIN = 1.0
"""Nats by which a reading must win. Chosen on development text: odd documents, clean and damaged."""
KNOWN_MARGIN, BOTH_MARGIN = 8.0, 12.0
"""Nats by which two dropped words must win over a rare word that they spell together. The training text, 13.8 million words,
has 45 such tokens that are not repeated. By the n-gram model alone 14 win by 9 or more, and are glued; of the words and
names none wins by more than 6.1. Where it gives `MARGIN`, and what the neural model says is added, the words and names win
by 10.7 at most, but for HOWTO (17, 29)."""
RARE = -14.0
"""Log-probability, in nats, above which a word of the lexicon is never taken for two."""
EDIT_COST, GLUE_COST = 6.0, 2.0
"""Nats that a supposed edit, or a supposed lost space, costs: -log of how rare they are."""
LETTER, USUAL = 1.2, 7
"""Two words that fit a longer token by chance are rarer by so many nats a letter, beyond the usual length of a name."""
SHORTEST, LONG = 5, 8
"""Shorter tokens are never repaired; tokens of `LONG` characters or more may be two edits away."""
NEIGHBOURS = 4
"""Tokens on each side that the evidence takes into account."""
AROUND = 200_000
"""Characters on each side in which a token that comes again is hardly a slip."""
MOST_READINGS = 6
_DICTIONARY = "frequency_dictionary_en_82_765.txt"
LETTERS = 26


@dataclass(frozen=True, slots=True)
class Repair:
    """A correction made to the input before it was restored.

    Attributes:
        kind: `typo` or `glued`.
        source_start, source_end: the token's place in the input, in characters.
        before: the token.
        after: what it was read as; two words with a space between them for a glued pair.
        evidence: by how much the text is likelier with the reading, in nats, its cost paid.
    """

    kind: str
    source_start: int
    source_end: int
    before: str
    after: str
    evidence: float


@dataclass(frozen=True, slots=True)
class _Reading:
    kind: str
    words: tuple[str, ...]
    cost: float


class Speller:
    """symspellpy over the words that can be within two edits of a token.

    Loading symspellpy's whole dictionary takes seconds. Words within `d` edits differ in length by `d` at most and in
    their letter counts by `2 d` at most, so only those are put into a symspellpy dictionary, with the same result.
    """

    @cached_property
    def _words(self) -> tuple[list[tuple[str, int]], npt.NDArray[np.int16]]:
        text = (importlib.resources.files("symspellpy") / _DICTIONARY).read_text(encoding="utf-8-sig")
        rows = [line.split(" ") for line in text.splitlines()]
        words = [(row[0], int(row[1])) for row in rows if len(row) == 2]
        return words, _letter_counts([word for word, _ in words])

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(word for word, _ in self._words[0])

    def knows(self, word: str) -> bool:
        """Tell whether the dictionary has a word."""
        return word in self._known

    def near(self, token: str, edits: int) -> Iterator[tuple[str, int]]:
        """Yield the dictionary's words within so many edits of a token, nearest first, with their distance."""
        from symspellpy import SymSpell, Verbosity

        words, counts = self._words
        apart = np.abs(counts - _letter_counts([token])).sum(axis=1)
        speller = SymSpell(max_dictionary_edit_distance=edits, prefix_length=7)
        for index in np.flatnonzero(apart <= 2 * edits):
            speller.create_dictionary_entry(*words[index])
        for found in speller.lookup(token, Verbosity.ALL, max_edit_distance=edits):
            if found.distance:
                yield found.term, found.distance


def _is_plain(token: SourceToken) -> bool:
    """Tell whether a token is of a kind that is repaired at all: lower-case letters of English, not too few or many."""
    core = token.core
    return token.word and SHORTEST <= len(core) <= MAX_LENGTH and core.isascii() and core.isalpha() and core.islower()


def _times(text: str, token: SourceToken) -> int:
    """Return how often a token is in the text around it."""
    return text.count(token.core, max(0, token.start - AROUND), token.end + AROUND)


def _letter_counts(words: Sequence[str]) -> npt.NDArray[np.int16]:
    """Return how often each letter of `a` to `z` is in each word, [words, 26]."""
    letters = np.frombuffer("".join(words).encode("ascii", "replace"), np.uint8).astype(np.int64) - ord("a")
    rows = np.repeat(np.arange(len(words)), [len(word) for word in words])
    known = (letters >= 0) & (letters < LETTERS)
    counts = np.bincount(rows[known] * LETTERS + letters[known], minlength=LETTERS * len(words))
    return counts.reshape(len(words), LETTERS).astype(np.int16)


class Repairer:
    """Looks for repairs under a channel.

    Args:
        channel, finder, lexicon: say which tokens are known.
        judge: returns the best restoration of a row of tokens, and its score in nats. It may be told the number of a token
            that follows the one before it without a word between them.
        read: returns log P of a text by a better model, in nats; None where there is none.
    """

    def __init__(
        self,
        channel: Channel,
        finder: FormFinder,
        lexicon: Lexicon,
        judge: Callable[[Sequence[SourceToken], int | None], tuple[str, float]],
        read: Callable[[str], float] | None = None,
    ) -> None:
        self._channel = channel
        self._finder = finder
        self._lexicon = lexicon
        self._judge = judge
        self._read = read
        self._speller = Speller()

    def repair(self, tokens: Iterable[SourceToken], repairs: list[Repair], text: str = "") -> Iterator[SourceToken]:
        """Yield the tokens, those that need it mended, and add each repair to the list.

        Args:
            tokens: the input's tokens.
            repairs: what was mended is added to it.
            text: the whole input: a word that comes again near by is hardly a slip.
        """
        coming = iter(tokens)
        before: list[SourceToken] = []
        near = list(islice(coming, NEIGHBOURS + 1))
        while near:
            token = near[0]
            found = None
            known = not self.is_suspect(token)
            readings = self._dropped_pairs(token) if known else self._readings(token.core)
            once = _is_plain(token) and _times(text, token) < 2
            if once and (some := list(islice(readings, MOST_READINGS))):
                found = self._consider(before, token, near[1:], some, known)
            if found is None:
                yield token
            else:
                reading, evidence = found
                after = " ".join(reading.words)
                repairs.append(Repair(reading.kind, token.start, token.end, token.core, after, evidence))
                yield from self._as_read(token, reading)
            before = [*before, token][-NEIGHBOURS:]
            near = [*near[1:], *islice(coming, 1)]

    def is_suspect(self, token: SourceToken) -> bool:
        """Tell whether a token is a word that nothing explains."""
        return _is_plain(token) and not self._known(token.core)

    def _known(self, word: str) -> bool:
        if self._lexicon.variants(word) or self._lexicon.with_part(word):
            return True
        return any(self._finder.makes(entry.form, [word]) for entry in self._lexicon.preimage(self._channel.map, word))

    def _consider(
        self,
        before: Sequence[SourceToken],
        token: SourceToken,
        after: Sequence[SourceToken],
        readings: Sequence[_Reading],
        known: bool,
    ) -> tuple[_Reading, float] | None:
        """Return the reading that wins, with its evidence, if one does."""
        as_it_is, plain = self._judge([*before, token, *after], None)
        second = len(before) + 1 if known else None
        scored = []
        for reading in readings:
            text, score = self._judge([*before, *self._as_read(token, reading), *after], second)
            scored.append((score - plain - reading.cost, text, reading))
        evidence, text, best = max(scored, key=lambda one: one[0])
        if evidence > (KNOWN_MARGIN if known else MARGIN):
            return best, evidence
        if known and evidence > MARGIN and self._read is not None:
            evidence += self._read(text) - self._read(as_it_is)
            if evidence > BOTH_MARGIN:
                return best, evidence
        return None

    def _dropped_pairs(self, token: SourceToken) -> Iterator[_Reading]:
        """Yield the pairs of dropped words that a known but rare token may be.

        The channel leaves no such pair, but one that was glued before it.
        """
        word = token.core
        if not _is_plain(token) or max((entry.logprob for entry in self._lexicon.variants(word)), default=0.0) > RARE:
            return
        pairs = [pair for _, pair in self._splits(word) if all(self._channel.image(part) is None for part in pair)]
        if pairs and not self._speller.knows(word):
            yield from (_Reading("glued", pair, GLUE_COST) for pair in pairs)

    def _readings(self, token: str) -> Iterator[_Reading]:
        seen: set[str] = set()
        splits = sorted(self._splits(token), key=lambda pair: -pair[0])[:2]
        cost = GLUE_COST - LETTER * max(0, len(token) - USUAL)
        yield from (_Reading("glued", words, cost) for _, words in splits)
        for word, distance in self._speller.near(token, 2 if len(token) >= LONG else 1):
            for image in self._images(word):
                if image not in seen and image != token:
                    seen.add(image)
                    yield _Reading("typo", (image,), EDIT_COST * distance)

    def _images(self, word: str) -> Iterable[str]:
        image = self._channel.image(word)
        whole = [token.text for token in self._channel.tokens(word)] == [image]  # mustn't may be two words
        return (image,) if image is not None and whole else ()

    def _splits(self, token: str) -> Iterator[tuple[float, tuple[str, str]]]:
        for cut in range(1, len(token)):
            first, second = token[:cut], token[cut:]
            if min(cut, len(token) - cut) == 1 and "a" not in (first, second) and "i" not in (first, second):
                continue
            chances = [self._chance(part) for part in (first, second)]
            if all(chance is not None for chance in chances):
                yield sum(chance or 0.0 for chance in chances), (first, second)

    def _chance(self, part: str) -> float | None:
        """Return log P of a part as a word that the channel leaves in a text, or has dropped, or None if it is no word."""
        found = [entry.logprob for entry in self._lexicon.variants(part)]
        found += [entry.logprob for entry in self._lexicon.preimage(self._channel.map, part)]
        return max((logprob for logprob in found if logprob > -15.0), default=None)

    def _as_read(self, token: SourceToken, reading: _Reading) -> list[SourceToken]:
        """Return the tokens of a reading, with their places in the input."""
        token = replace(token, initials=0.0)
        if reading.kind == "typo":
            return [replace(token, core=reading.words[0])]
        first, second = reading.words
        cut = token.start + len(token.before) + len(first)
        left, right = (self._channel.image(word) for word in reading.words)
        return [
            replace(token, core=left or first, after="", end=cut, dropped=left is None),
            replace(token, core=right or second, before="", start=cut, break_before=False, dropped=right is None),
        ]

"""Initialisms: words of a text that are the initials of others in it, as `ice` of "Immigration and Customs Enforcement".

A word of a few letters is compared with the initials of the words around its first use, those that say something ("of" and
"and" are passed over). That they match may be chance, and mostly is where the words are far away and the letters common: so a
match counts by how surprising it is, by whether the same words come again, by whether they stand right beside the
word, where writers explain their abbreviations, and by how often the word is used. These are weighed by what they were worth
in text whose originals are known (`benchmarks/initials.py`): by how much likelier the word was in capitals. How often it is
in capitals elsewhere is left to the lexicon.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from restore.channel.presets import stop_list
from restore.source import SourceToken

SHORTEST, LONGEST = 3, 8
"""Letters of an initialism. Two match by chance all over a page."""
REACH = 2000
"""Words on each side of a first use among which its expansion is looked for."""
BESIDE = 2
"""Words that stand right beside another are at most so many further on."""
MOST_WORDS = 20_000
"""Words whose first use is remembered, those seen last: a text without end has no end of words."""
LETTERS = 26

BASE, SURPRISE, AGAIN, BESIDE_IT, USES = -1.3, 0.36, 1.5, 2.4, 0.3
"""What a match is worth, in nats: in itself, for each nat of surprise, where its words come again, where they stand beside
the word, and for each nat of the number of its uses. From every second document of the training text."""


class Match(NamedTuple):
    """A run of words whose initials spell a word.

    Attributes:
        start: where the run starts, by number of word.
        surprise: -log of the chance that one so near spells the word by accident, in nats.
        again: whether the same words come again.
        beside: whether they stand right beside the word.
        uses: how often the word is used.
    """

    start: int
    surprise: float
    again: bool
    beside: bool
    uses: int

    @property
    def evidence(self) -> float:
        """By how much likelier the word is an initialism than without it: the logarithm of the odds, in nats."""
        told = SURPRISE * self.surprise + AGAIN * self.again + BESIDE_IT * self.beside
        return BASE + told + USES * math.log(self.uses)


def weigh_initials(tokens: Iterable[SourceToken]) -> Iterator[SourceToken]:
    """Yield the tokens, with the evidence that each is an initialism (`SourceToken.initials`) where there is any.

    Not more than three times `REACH` words are held, whatever the length of the text.
    """
    words = stop_list("nltk")
    coming = iter(tokens)
    known: dict[str, float] = {}  # the word seen last is the last
    before: list[SourceToken] = []
    block = list(islice(coming, REACH))
    while block:
        after = list(islice(coming, REACH))
        row = [token for token in (*before, *block, *after) if token.core not in words]
        around = Around([token.core for token in row])
        place = sum(token.core not in words for token in before)
        for token in block:
            if token.core in words:
                yield token
                continue
            evidence = 0.0
            if token.word and may_be(token.core):
                evidence = known.pop(token.core, -1.0)
                if evidence < 0:
                    evidence = around.evidence(place)
                known[token.core] = evidence
                if len(known) > MOST_WORDS:
                    del known[next(iter(known))]
            yield replace(token, initials=evidence) if evidence else token
            place += 1
        before, block = block, after


def may_be(core: str) -> bool:
    """Tell whether a word has the shape of an initialism in stripped text."""
    return SHORTEST <= len(core) <= LONGEST and core.isascii() and core.isalpha() and core.islower()


class Around:
    """A row of words in which the expansions of initialisms are looked for.

    Args:
        words: the words of a text that say something, in order.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words
        self._initials = "".join(word[0].lower() if word[:1].isascii() and word[:1].isalpha() else "0" for word in words)
        self._counts = Counter(self._initials)
        self._uses = Counter(words)

    def evidence(self, place: int) -> float:
        """Return the evidence that the word at a place is an initialism, by its best match: 0 if there is none."""
        return round(max((match.evidence for match in self.matches(place) if match.evidence > 0), default=0.0), 1)

    def matches(self, place: int) -> list[Match]:
        """Return the runs within reach whose initials spell the word at a place, other than round that place."""
        word = self._words[place]
        low, high = max(0, place - REACH), place + REACH
        starts = []
        start = self._initials.find(word, low, high)
        while start >= 0:
            if not start <= place < start + len(word):
                starts.append(start)
            start = self._initials.find(word, start + 1, high)
        if not starts:
            return []
        whole = len(self._words) + LETTERS
        chance = math.prod((self._counts[letter] + 1) / whole for letter in word)
        runs = Counter(self._run(start, word) for start in starts)
        return [self._match(start, place, word, chance, runs) for start in starts]

    def _run(self, start: int, word: str) -> tuple[str, ...]:
        return tuple(self._words[start : start + len(word)])

    def _match(self, start: int, place: int, word: str, chance: float, runs: Counter[tuple[str, ...]]) -> Match:
        ahead = start > place
        apart = start - place if ahead else place - (start + len(word)) + 1
        # Whoever looks ahead has looked back as far.
        tried = apart * (2 if ahead else 1)
        surprise = -math.log(-math.expm1(-chance * tried))
        again = runs[self._run(start, word)] > 1
        return Match(start, surprise, again, apart <= BESIDE, self._uses[word])

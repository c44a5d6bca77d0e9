"""Sources: the words of English that a channel turns into a token, with their frequencies.

Where `Channel.image` goes from word to token, this goes back, for single words, by frequency and without regard to case.
"""

from __future__ import annotations

import math
from functools import lru_cache

from restore.channel.channel import Channel
from restore.channel.wordmaps import word_map
from restore.lexicon import Lexicon

LONGEST = 64
"""Longer tokens are no words, in characters; what is read for words need not look for them."""
UNSEEN = 1e-8
"""The share of running words of a word that the lexicon lacks."""
CAPITAL_SHARE = 0.1
"""The share of a stop word's occurrences that are capitalised, and so survive where stop words are matched as written."""


class Sources:
    """Finds the words that a token may have come from. Safe to share between threads."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self.share = lru_cache(maxsize=1 << 16)(self._share)
        self.words = lru_cache(maxsize=1 << 16)(self._words)

    def image(self, channel: Channel, token: str) -> float:
        """Return the share of running words that the channel turns into `token`, which is in lower case."""
        if channel.order == "map-drop" and token in channel.stop_words:
            return 0.0
        total = 0.0
        for word, share in self.words(channel.map, token).items():
            if len(word) < channel.min_length:
                continue
            if channel.order == "drop-map" and word in channel.stop_words:
                share *= CAPITAL_SHARE if channel.stop_as_written else 0.0
            total += share
        return total

    def _share(self, word: str) -> float:
        """Return the share of a word among running words, in any casing."""
        return sum(math.exp(entry.logprob) for entry in self._lexicon.variants(word)) or UNSEEN

    def _words(self, map_name: str, token: str) -> dict[str, float]:
        """Return the words, in lower case, that a word map takes to `token`, with their shares."""
        found: dict[str, float] = {}
        if word_map(map_name).apply(token) == token:
            found[token] = self.share(token)
        for entry in self._lexicon.preimage(map_name, token):
            word = entry.form.lower()
            found[word] = found.get(word, 0.0) + math.exp(entry.logprob)
        return found

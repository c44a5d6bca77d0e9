"""Shallow fusion: a second language model that weighs whole units beside the first.

The neural model reads the input, and knows what comes; the n-gram model has seen far more text, and knows which words
stand side by side. A unit's score is ln P of the one plus a share of ln P of the other, as in log-linear interpolation of
language models ("shallow fusion", Gulcehre et al. 2015, On Using Monolingual Corpora in Neural Machine Translation).
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache

from restore.models.words import WordModel

REMEMBERED = 1 << 16


class Second:
    """Walks the second model unit by unit. Safe to use from several threads.

    Args:
        model: the model.
        share: what its log-probabilities are multiplied by.
    """

    def __init__(self, model: WordModel, share: float) -> None:
        self._model = model
        self._share = share
        self.add = lru_cache(maxsize=REMEMBERED)(self._add)

    @property
    def name(self) -> str:
        """The second model's name with the checksum of its data."""
        return self._model.name

    def begin(self, prefix: str = "") -> Hashable:
        """Return the context after a text."""
        return self._model.begin((), prefix)  # type: ignore[no-any-return]

    def _add(
        self, context: Hashable, text: str, initial: bool, touched: bool, logprob: float
    ) -> tuple[float, Hashable]:
        """Return what a unit adds to the score, in nats, and the context after it.

        Args:
            context: what is before.
            text: the unit, with the space before it if it has one.
            initial: whether it starts a sentence.
            touched: whether a letter or digit follows it without a space.
            logprob: log P(text) by the lexicon, for words that the model lacks.
        """
        encoded = self._model.encode(text, initial=initial, touched=touched, logprob=logprob)
        if encoded is None:
            return 0.0, context
        score, context = self._model.walk(context, encoded.ids)
        return self._share * (score + encoded.bonus), context

"""Shallow fusion: an n-gram model's opinion of hypotheses, added to the scores that another model gives them.

The neural model was trained on a sample of the corpus, and the n-gram model has counted all of it: each knows what the other does
not. Their log-probabilities are summed with weights, as Gulcehre et al. (2015, "On Using Monolingual Corpora in Neural Machine
Translation") do it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from restore.models.base import Encoded
from restore.models.words import WordModel

REMEMBERED = 1 << 15
"""Continuations that are remembered: the hypotheses of a beam differ in little."""


class Fusion:
    """An n-gram model beside another model. Safe to use from several threads.

    Args:
        model: the n-gram model.
    """

    def __init__(self, model: WordModel) -> None:
        self.model = model
        self.checksum = model.checksum
        self.follow = lru_cache(maxsize=REMEMBERED)(self._follow)
        self.score = lru_cache(maxsize=REMEMBERED)(self._score)
        self._encoded = lru_cache(maxsize=REMEMBERED)(self._encode)

    def begin(self, prefix: str) -> Any:
        """Return the context after a text."""
        return self.model.begin((), prefix)

    def _follow(self, context: Any, text: str, initial: bool, touched: bool, logprob: float) -> tuple[float, Any]:
        """Return the log-probability of a text after a context, in nats, and the context after it.

        Args:
            context: from `begin` or `follow`.
            text: some units, with the space before the first.
            initial: whether the first starts a sentence.
            touched: whether a word follows the last without a space.
            logprob: the lexicon's log-probability of a word that the model does not know, in nats.
        """
        encoded = self._encoded(text, initial, touched, logprob)
        return (0.0, context) if encoded is None else self.model.follow(context, encoded)

    def _score(self, context: Any, text: str, initial: bool, touched: bool, logprob: float) -> float:
        """Return the log-probability alone, of which most are asked for."""
        encoded = self._encoded(text, initial, touched, logprob)
        return 0.0 if encoded is None else self.model.score(context, encoded)

    def _encode(self, text: str, initial: bool, touched: bool, logprob: float) -> Encoded | None:
        return self.model.encode(text, initial=initial, touched=touched, logprob=logprob)

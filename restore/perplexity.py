"""Perplexity: how an engine's own language model likes a text."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

from restore.models.base import Encoded, LanguageModel, Request, Trie
from restore.units import is_word, segment, sentence_starts

UNKNOWN = -12.0
"""log P of a word that the model lacks, in nats; it is told to models that spell such words by themselves."""


def perplexity(model: LanguageModel, source: str, text: str) -> float | None:
    """Return a language model's perplexity of a text, a unit: how many words it wavers between, as it were.

    Args:
        model: the model.
        source: the stripped text, which some models read first.
        text: the text to measure: the restored one, or the stripped one itself.

    Returns:
        The perplexity; None where there is nothing to measure. Of a long text, a model that sees a part at a time
        measures the beginning.
    """
    tokens = source.split()
    window = model.window
    if window is None:
        total, count = _measure(model, tokens, text, sys.maxsize)
    else:
        tokens = tokens[: window.width]
        total, count = _measure(model, tokens, text, 2 * len(tokens))
    return math.exp(-total / count) if count else None


def log_probability(model: LanguageModel, text: str) -> float:
    """Return ln P of a short text by itself, by a language model that is shown no source."""
    return _measure(model, (), text, sys.maxsize)[0]


def _measure(model: LanguageModel, source: Sequence[str], text: str, most: int) -> tuple[float, int]:
    """Return ln P of a text, up to so many words of it, and the number of units."""
    state: Any = model.begin(source)
    pending: int | None = None
    total, count, words = 0.0, 0, 0
    units = segment(text)
    for place, (unit, initial) in enumerate(zip(units, sentence_starts(units), strict=True)):
        words += is_word(unit)
        if words > most:
            break
        touched = place + 1 < len(units) and units[place + 1][:1].isalnum()
        encoded = model.encode(unit, initial=initial, touched=touched, logprob=UNKNOWN)
        for piece in encoded.ids if encoded is not None else ():
            single: Trie[Any] = Trie([(Encoded((piece,)), unit)])
            answer = model.expand([Request(state, pending, None, single, 1)])[0]
            state, pending = answer.state, piece
            total += float(answer.forms[0])
        count += encoded is not None
    return total, count

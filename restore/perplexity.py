"""Perplexity: how an engine's own language model likes a text."""

from __future__ import annotations

import math
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
    if window is not None:
        tokens = tokens[: window.width]
    state: Any = model.begin(tokens)
    pending: int | None = None
    total, count, words = 0.0, 0, 0
    units = segment(text)
    for place, (unit, initial) in enumerate(zip(units, sentence_starts(units), strict=True)):
        words += is_word(unit)
        if window is not None and words > 2 * len(tokens):
            break
        touched = place + 1 < len(units) and units[place + 1][:1].isalnum()
        encoded = model.encode(unit, initial=initial, touched=touched, logprob=UNKNOWN)
        for piece in encoded.ids if encoded is not None else ():
            single: Trie[Any] = Trie([(Encoded((piece,)), unit)])
            answer = model.expand([Request(state, pending, None, single, 1)])[0]
            state, pending = answer.state, piece
            total += float(answer.forms[0])
        count += encoded is not None
    return math.exp(-total / count) if count else None

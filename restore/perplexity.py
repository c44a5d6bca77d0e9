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
RUN = 32
"""Ids that a model is asked about at once, if it takes several."""


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
    ids: list[int] = []
    count, words = 0, 0
    units = segment(text)
    for place, (unit, initial) in enumerate(zip(units, sentence_starts(units), strict=True)):
        words += is_word(unit)
        if words > most:
            break
        touched = place + 1 < len(units) and units[place + 1][:1].isalnum()
        encoded = model.encode(unit, initial=initial, touched=touched, logprob=UNKNOWN)
        ids.extend(encoded.ids if encoded is not None else ())
        count += encoded is not None
    return _sum(model, model.begin(source), ids), count


def _sum(model: LanguageModel, state: Any, ids: Sequence[int]) -> float:
    """Return the summed log-probability of ids that follow a state, asking about as many at once as the model takes."""
    total, size = 0.0, RUN if model.takes_runs else 1
    pending: int | tuple[int, ...] | None = None
    for place in range(0, len(ids), size):
        first: Trie[Any] = Trie([(Encoded((ids[place],)), "")])
        answer = model.expand([Request(state, pending, None, first, 1)])[0]
        total += sum(answer.passed) + float(answer.forms[0])
        run = tuple(ids[place : place + size])
        state, pending = answer.state, run if model.takes_runs else run[0]
    if isinstance(pending, tuple):
        total += sum(model.expand([Request(state, pending, None, None, 1)])[0].passed)
    return total

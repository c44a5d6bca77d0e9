"""Evaluation: how close restored text comes to the original, in numbers that can be had again.

>>> result = score(["The officials met in Paris."], ["Officials met in the Paris."], "nltk")
>>> round(result.scores["function_word_f1"].value), round(result.scores["stop_f1"].value)
(50, 100)

docs/evaluation.md defines every score.
"""

from __future__ import annotations

from collections.abc import Sequence

from restore.channel import Channel, get_channel
from restore.evaluation.counts import count_document
from restore.evaluation.result import Result, compare, make_result, read_result
from restore.evaluation.scores import METRICS, RESAMPLES, Comparison, Metric, Score
from restore.evaluation.signature import make_signature

__all__ = ["METRICS", "Comparison", "Metric", "Result", "Score", "compare", "read_result", "score"]


def score(
    originals: Sequence[str],
    restored: Sequence[str],
    channel: str | Channel = "nltk",
    *,
    engine: str = "unnamed",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Result:
    """Score restored texts against their originals.

    Args:
        originals: the texts before they were stripped.
        restored: what a system made of each, in the same order.
        channel: how they were stripped.
        engine: the system's name, for the signature.
        resamples: how many bootstrap resamples give the intervals.
        seed: the seed of the resampling.

    Raises:
        ValueError: the two differ in number.
        ChannelError: no channel of that name.
    """
    if len(originals) != len(restored):
        raise ValueError(f"{len(originals)} originals but {len(restored)} restored texts")
    channel = get_channel(channel)
    rows = [count_document(original, text, channel) for original, text in zip(originals, restored, strict=True)]
    signature = make_signature(originals, channel, engine, documents=len(originals), seed=seed)
    return make_result(rows, signature, resamples=resamples, seed=seed)

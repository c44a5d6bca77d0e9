"""Scores: what is computed from summed counts, each with its name, formula and interval.

`METRICS` is the list of all scores. Every one is a function of column sums, so it is computed for the corpus and for
all bootstrap resamples at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from restore.evaluation.cases import CASES
from restore.evaluation.classes import WORD_CLASSES
from restore.evaluation.counts import COLUMNS
from restore.evaluation.marks import MARKS
from restore.evaluation.whole import BLEU_ORDER, CHRF_ORDER

Array: TypeAlias = NDArray[np.float64]
Sums: TypeAlias = Mapping[str, Array]

RESAMPLES = 1000
CONFIDENCE = 95.0
FEWEST_DOCUMENTS = 5
"""Of two documents that agree, every resample does."""
CHRF_BETA = 2


@dataclass(frozen=True)
class Score:
    """A score and its 95 % interval; not-a-number where it is undefined (nothing to find and nothing claimed)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Metric:
    """How one score is computed.

    Attributes:
        name: its stable name, such as `comma_f1`.
        label: its name for people.
        unit: `%` for shares; else what the number counts.
        compute: the score from sums of columns, over any number of resamples at once.
        better: 1 if more is better, -1 if less is, 0 for a mere figure.
    """

    name: str
    label: str
    unit: str
    compute: Callable[[Sums], Array]
    better: int = 1


def _divide(above: Array, below: Array) -> Array:
    quotient: Array = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
    return quotient


def _total(sums: Sums, columns: Iterable[str]) -> Array:
    total = np.zeros(1)
    for column in columns:
        total = total + sums[column]
    return total


def _share(right: str, total: str, scale: float = 100.0) -> Callable[[Sums], Array]:
    return lambda sums: scale * _divide(sums[right], sums[total])


def _found(name: str, label: str, *groups: str) -> Iterator[Metric]:
    """Yield F1, precision and recall over one or more groups of counts, summed."""

    def share(sums: Sums, *of: str) -> Array:
        match = _total(sums, [f"{group}.match" for group in groups])
        return 100 * _divide(len(of) * match, _total(sums, [f"{group}.{which}" for group in groups for which in of]))

    yield Metric(f"{name}_f1", f"{label} F1", "%", lambda sums: share(sums, "system", "reference"))
    yield Metric(f"{name}_precision", f"{label} precision", "%", lambda sums: share(sums, "system"))
    yield Metric(f"{name}_recall", f"{label} recall", "%", lambda sums: share(sums, "reference"))


def _case_class(sums: Sums) -> Array:
    return 100 * _divide(_total(sums, [f"case.{case}.{case}" for case in CASES]), sums["cased.total"])


def chrf(sums: Sums) -> Array:
    """Return chrF2 as sacrebleu computes it: F2 of n-gram precision and recall, each averaged over n = 1 to 6."""
    precision = recall = orders = np.zeros_like(sums["chrf.1.match"])
    for n in range(1, CHRF_ORDER + 1):
        match, system, reference = (sums[f"chrf.{n}.{which}"] for which in ("match", "system", "reference"))
        counted = (system > 0) & (reference > 0)
        precision = precision + np.where(counted, match / np.maximum(system, 1), 0)
        recall = recall + np.where(counted, match / np.maximum(reference, 1), 0)
        orders = orders + counted
    precision, recall = precision / np.maximum(orders, 1), recall / np.maximum(orders, 1)
    factor = CHRF_BETA**2
    below = factor * precision + recall
    score = 100 * np.divide((1 + factor) * precision * recall, below, out=np.zeros_like(below), where=below > 0)
    return np.where(sums["chrf.1.reference"] > 0, score, np.nan)


def bleu(sums: Sums) -> Array:
    """Return BLEU-4 as sacrebleu computes it: exponential smoothing of orders without a match, brevity penalty."""
    system, reference = sums["bleu.system"], sums["bleu.reference"]
    logs, smooth = np.zeros_like(system), np.ones_like(system)
    possible = np.full(np.shape(system), False)
    for n in range(1, BLEU_ORDER + 1):
        match, total = sums[f"bleu.{n}.match"], sums[f"bleu.{n}.total"]
        possible |= match > 0
        smooth = np.where((match == 0) & (total > 0), smooth * 2, smooth)
        precision = np.where(match > 0, match, 1 / smooth) / np.maximum(total, 1)
        logs = logs + np.where(total > 0, np.log(precision), -np.inf) / BLEU_ORDER
    brevity = np.minimum(0, 1 - reference / np.maximum(system, 1))
    return np.where(reference > 0, np.where(possible, 100 * np.exp(logs + brevity), 0.0), np.nan)


def _per_thousand(what: str) -> Metric:
    label = f"words {what}"
    return Metric(f"words_{what}", label, "per 1,000", _share(f"token.{what}", "form.total", 1000), better=-1)


def _metrics() -> Iterator[Metric]:
    yield from _found("function_word", "function word", "word")
    for name in WORD_CLASSES:
        yield from _found(f"function_word_{name}", f"{name} words", f"word.{name}")
    yield Metric("exact_gap", "exact gaps", "%", _share("gap.right", "gap.total"))
    yield Metric("exact_gap_either", "exact gaps with a word", "%", _share("gap.either.right", "gap.either.total"))
    yield Metric("exact_gap_text", "exact gaps, marks too", "%", _share("gap.text.right", "gap.text.total"))
    for name in MARKS:
        yield from _found(name, name, f"mark.{name}")
    yield from _found("punctuation_micro", "comma, stop, question micro", "mark.comma", "mark.stop", "mark.question")
    yield from _found("sentence", "sentence boundary", "sentence")
    yield from _found("paragraph", "paragraph boundary", "paragraph")
    yield Metric("capital_accuracy", "case of tokens", "%", _share("cased.right", "cased.total"))
    yield from _found("capital", "capital", "capital")
    yield Metric(
        "capital_accuracy_inner", "case inside sentences", "%", _share("cased.inner.right", "cased.inner.total")
    )
    yield from _found("capital_inner", "capital inside sentences", "capital.inner")
    yield Metric("capital_class_accuracy", "case class of tokens", "%", _case_class)
    for case in CASES[1:]:
        yield from _found(f"capital_{case}", f"{case} case", f"capital.{case}")
    yield Metric("form_accuracy", "surface form", "%", _share("form.right", "form.total"))
    yield Metric(
        "form_accuracy_inflected", "inflected form", "%", _share("form.inflected.right", "form.inflected.total")
    )
    yield Metric("form_accuracy_numbers", "numbers", "%", _share("form.number.right", "form.number.total"))
    yield Metric("chrf", "chrF2", "", chrf)
    yield Metric("bleu", "BLEU", "", bleu)
    yield Metric("wer", "word error rate", "%", _share("wer.errors", "wer.words"), better=-1)
    yield Metric("exact_sentence", "exact sentences", "%", _share("sentence.exact", "sentence.total"))
    yield Metric("promise_failures", "broken promises", "documents", lambda sums: sums["broken"], better=-1)
    yield from map(_per_thousand, ("lost", "invented", "changed", "reordered"))
    yield Metric("search_errors", "search errors", "%", _share("search.errors", "search.documents"), better=-1)
    yield Metric("oracle_recall_gaps", "gaps within reach", "%", _share("oracle.gaps", "oracle.gaps.total"))
    yield Metric("oracle_recall_tokens", "forms within reach", "%", _share("oracle.tokens", "oracle.tokens.total"))


METRICS = tuple(_metrics())

MEASURES = MappingProxyType(
    {
        "words_per_second": ("restored words a second", "words/s"),
        "seconds": ("time to restore", "s"),
        "peak_memory_mb": ("peak memory", "MB"),
    }
)
"""What is measured of a run rather than counted in documents: name to label and unit. These have no intervals."""


def _sums(matrix: Array) -> Sums:
    return dict(zip(COLUMNS, matrix.T, strict=True))


def resample(documents: int, resamples: int, seed: int) -> Array:
    """Draw bootstrap samples: how often each document stands in each resample (Efron 1979).

    Returns:
        An array of shape (resamples, documents); every row sums to `documents`.
    """
    if not documents:
        return np.zeros((resamples, 0))
    generator = np.random.default_rng(seed)
    draws = generator.multinomial(documents, np.full(documents, 1 / documents), size=resamples)
    return draws.astype(np.float64)


def compute_scores(rows: Array, weights: Array) -> dict[str, Score]:
    """Compute every score over the rows, with percentile intervals over resampled documents.

    Args:
        rows: counts of shape (documents, columns).
        weights: what `resample` returned for this number of documents.
    """
    whole, samples = _sums(rows.sum(axis=0, keepdims=True)), _sums(weights @ rows)
    edge = (100 - CONFIDENCE) / 2
    scores = {}
    for metric in METRICS:
        value = float(metric.compute(whole)[0])
        drawn = metric.compute(samples)
        drawn = drawn[~np.isnan(drawn)]
        low, high = np.percentile(drawn, (edge, 100 - edge)) if drawn.size else (np.nan, np.nan)
        scores[metric.name] = Score(value, float(low), float(high))
    return scores


@dataclass(frozen=True)
class Comparison:
    """One score of two systems over the same documents.

    Attributes:
        ours, theirs: the two scores.
        difference: ours less theirs, with its interval over paired resamples.
        p: how likely so large a difference is between equals, two-sided.
    """

    ours: float
    theirs: float
    difference: Score
    p: float | None


def compare_rows(ours: Array, theirs: Array, weights: Array) -> dict[str, Comparison]:
    """Compare two systems by a paired bootstrap over documents (Koehn 2004).

    Both are resampled by the same draws. The p-value is twice the share of resamples on whose side the sign of the
    difference turns, with one added to both counts so that it is never 0. Fewer documents than `FEWEST_DOCUMENTS`
    make resamples that say nothing: there is none.
    """
    whole = [_sums(rows.sum(axis=0, keepdims=True)) for rows in (ours, theirs)]
    samples = [_sums(weights @ rows) for rows in (ours, theirs)]
    edge = (100 - CONFIDENCE) / 2
    found = {}
    for metric in METRICS:
        left, right = (float(metric.compute(sums)[0]) for sums in whole)
        drawn = metric.compute(samples[0]) - metric.compute(samples[1])
        drawn = drawn[~np.isnan(drawn)]
        if np.isnan(left) or np.isnan(right) or not drawn.size:
            continue
        low, high = np.percentile(drawn, (edge, 100 - edge))
        turned = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
        p = min(1.0, 2 * (turned + 1) / (drawn.size + 1)) if len(ours) >= FEWEST_DOCUMENTS else None
        found[metric.name] = Comparison(left, right, Score(left - right, float(low), float(high)), p)
    return found

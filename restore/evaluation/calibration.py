"""How far confidences can be trusted: calibration by kind, what a document's confidence predicts, risk and coverage.

All of it is computed from judged decisions (`restore.evaluation.decisions`). Expected calibration error is taken over 15
bins of equal mass (Naeini et al. 2015; Nguyen and O'Connor 2015): decisions in order of confidence, cut into as many equal
parts, the mean over parts of |mean confidence - share right|. Decisions of equal confidence stand in an order of chance.
Intervals are percentile bootstraps over documents. It is never 0 in a sample: a perfect predictor's bins scatter, too, by
about sqrt(p (1 - p) / n) each. So the error that a predictor of just these confidences would show if they were the truth
stands beside it, its *floor*, by simulation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from restore.decisions import INSERTED, KINDS
from restore.evaluation.scores import CONFIDENCE, RESAMPLES, resample

Array: TypeAlias = NDArray[np.float64]

BINS = 15
FEWEST = 300
"""Kinds with fewer decisions are pooled."""
POOLED = "rare kinds"
THRESHOLDS = tuple(number / 20 for number in range(20))


class Judged(NamedTuple):
    """One decision: its kind, the search's posterior, the confidence made of it, and whether it was right."""

    kind: str
    posterior: float
    confidence: float
    right: bool


class Bin(NamedTuple):
    """A part of the decisions of a kind: its mean confidence, share right, and how many they are."""

    confidence: float
    right: float
    events: int


def _sorted(predicted: Array, seed: int) -> NDArray[np.intp]:
    tie = np.random.default_rng(seed).permutation(len(predicted))
    return np.lexsort((tie, predicted))


def _binned(predicted: Array, right: Array, weights: Array, bins: int) -> tuple[Array, Array, Array]:
    """Return, for each bin of sorted decisions, the sums of weight, of confidence and of rights."""
    upto = np.cumsum(weights)
    numbers = np.minimum(bins - 1, ((upto - weights / 2) * bins / max(upto[-1], 1e-9)).astype(np.int64))
    columns = (weights, weights * predicted, weights * right)
    mass, confidence, hits = (np.bincount(numbers, column, minlength=bins).astype(np.float64) for column in columns)
    return mass, confidence, hits


def calibration_error(
    predicted: Array, right: Array, documents: NDArray[np.int64], *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float, float]:
    """Return the expected calibration error and its interval over resampled documents.

    Args:
        predicted: confidences.
        right: 1 for a decision that was right, else 0.
        documents: the number of each decision's document, from 0.
        resamples: how many bootstrap resamples give the interval.
        seed: the seed of the resampling, and of the order among equals.
    """
    order = _sorted(predicted, seed)
    predicted, right, documents = predicted[order], right[order], documents[order]

    def error(weights: Array) -> float:
        mass, confidence, hits = _binned(predicted, right, weights, BINS)
        return float(np.abs(confidence - hits).sum() / mass.sum()) if mass.sum() else float("nan")

    drawn = [error(draw[documents]) for draw in resample(int(documents.max()) + 1, resamples, seed)]
    edge = (100 - CONFIDENCE) / 2
    low, high = np.nanpercentile(drawn, (edge, 100 - edge)) if drawn else (np.nan, np.nan)
    return error(np.ones(len(predicted))), float(low), float(high)


def error_floor(predicted: Array, *, draws: int = 100, seed: int = 0) -> float:
    """Return the calibration error to expect of confidences that are the true probabilities, from their scatter alone."""
    predicted = predicted[_sorted(predicted, seed)]
    generator = np.random.default_rng(seed)
    ones = np.ones(len(predicted))
    errors = []
    for _ in range(draws):
        right = (generator.random(len(predicted)) < predicted).astype(np.float64)
        _, confidence, hits = _binned(predicted, right, ones, BINS)
        errors.append(float(np.abs(confidence - hits).sum() / len(predicted)))
    return float(np.mean(errors))


def reliability(predicted: Array, right: Array, seed: int = 0) -> list[Bin]:
    """Return the bins of a reliability diagram."""
    order = _sorted(predicted, seed)
    columns = _binned(predicted[order], right[order], np.ones(len(order)), BINS)
    return [
        Bin(float(confidence / mass), float(hits / mass), int(mass))
        for mass, confidence, hits in zip(*columns, strict=True)
        if mass
    ]


def calibration_by_kind(
    documents: Sequence[Sequence[Judged]],
    base_rates: Mapping[str, float],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Return, for each kind of decision, how well posteriors, confidences and the base rate alone are calibrated.

    Args:
        documents: each document's decisions.
        base_rates: by kind, the share that was right where the curves were fitted: what a constant predictor says.
        resamples: how many bootstrap resamples give the intervals.
        seed: the seed of the resampling.

    Returns:
        By kind: `events`, `right` (a share), `ece` and `brier` with `before` (the posterior), `after` (the confidence)
        and `constant` each, the calibrated confidence's `floor`, and the `bins` of the reliability diagram. Kinds under 300
        events are pooled.
    """
    counts = {kind: sum(event.kind == kind for events in documents for event in events) for kind in KINDS}
    groups: dict[str, tuple[str, ...]] = {kind: (kind,) for kind in KINDS if counts[kind] >= FEWEST}
    rare = tuple(kind for kind in KINDS if 0 < counts[kind] < FEWEST)
    if rare:
        groups[POOLED] = rare
    groups["inserted"] = INSERTED
    rows = {}
    for name, kinds in groups.items():
        table = [
            (event.posterior, event.confidence, base_rates.get(event.kind, 0.5), event.right, number)
            for number, events in enumerate(documents)
            for event in events
            if event.kind in kinds
        ]
        if not table:
            continue
        before, after, constant, right, number = np.array(table, dtype=np.float64).T
        places = number.astype(np.int64)
        errors, squares = {}, {}
        for label, predicted in (("before", before), ("after", after), ("constant", constant)):
            value, low, high = calibration_error(predicted, right, places, resamples=resamples, seed=seed)
            errors[label] = {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4)}
            squares[label] = round(float(((predicted - right) ** 2).mean()), 4)
        rows[name] = {
            "kinds": list(kinds),
            "events": len(table),
            "right": round(float(right.mean()), 4),
            "ece": errors,
            "floor": round(error_floor(after, seed=seed), 4),
            "brier": squares,
            "bins": {
                "before": [tuple(bin_) for bin_ in reliability(before, right, seed)],
                "after": [tuple(bin_) for bin_ in reliability(after, right, seed)],
            },
        }
    return rows


def rank_correlation(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return Spearman's rank correlation; equals share their mean rank; pairs that hold a not-a-number are left out.

    It is not-a-number itself for fewer than 3 pairs.

    >>> round(rank_correlation([0.1, 0.5, 0.9], [10.0, 30.0, 20.0]), 2)
    0.5
    """
    pairs = [(one, other) for one, other in zip(ours, theirs, strict=True) if one == one and other == other]
    if len(pairs) < 3:
        return float("nan")
    left, right = (_ranks(values) for values in zip(*pairs, strict=True))
    spread = float(left.std() * right.std())
    return float(((left - left.mean()) * (right - right.mean())).mean() / spread) if spread else float("nan")


def _ranks(values: Sequence[float]) -> Array:
    _, back, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means: Array = last - (counts - 1) / 2
    ranks: Array = means[back.ravel()]
    return ranks


def risk_coverage(
    documents: Sequence[Sequence[Judged]], thresholds: Sequence[float] = THRESHOLDS
) -> list[dict[str, float]]:
    """Return the points of the risk-coverage curve for `--min-confidence`.

    Only insertions that may be left out count: marks that end sentences stay whatever their confidence. Each is judged by
    itself, where `--min-confidence` takes a closing bracket with its opening one, and a clitic with its word; forms that stand
    for several tokens, which it never leaves out, are counted among the joiners.

    Args:
        documents: each document's decisions, with nothing left out.
        thresholds: the least confidences to try.

    Returns:
        For each threshold: `coverage`, the share of insertions that stay; `risk`, the share of those that are wrong;
        `kept_right`, the share of the right insertions that stay.
    """
    events = [event for events in documents for event in events if event.kind in INSERTED and event.kind != "sentence"]
    confidence = np.array([event.confidence for event in events])
    right = np.array([event.right for event in events])
    points = []
    for threshold in thresholds:
        stays = confidence >= threshold
        kept = int(stays.sum())
        points.append(
            {
                "min_confidence": threshold,
                "coverage": round(kept / max(1, len(events)), 4),
                "risk": round(float(1 - right[stays].mean()), 4) if kept else 0.0,
                "kept_right": round(float((right & stays).sum() / max(1, right.sum())), 4),
            }
        )
    return points

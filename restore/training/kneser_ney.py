"""Interpolated modified Kneser-Ney estimates over a stream of ids, with cut-offs, pruning and weights; numpy only.

The estimate is the modified Kneser-Ney smoothing of Chen & Goodman, "An Empirical Study of Smoothing Techniques for
Language Modeling" (Harvard TR-10-98, 1998). With h a context and h' the same less its first word,

    P(w | h) = (a(hw) - D(a(hw))) / sum_v a(hv)  +  gamma(h) P(w | h')

where a(x) is the count of x at the highest order and for whatever begins a document, and elsewhere the number of
distinct words seen before x; D has one value each for counts of 1, 2 and 3 or more, estimated for each order from the
counts of counts. The lowest order falls back on the uniform distribution.

- **Kept n-grams.** Only some n-grams are kept, by cut-off (what occurs less is dropped) and then by how much the model
  would lose without each (as in Stolcke, "Entropy-based Pruning of Backoff Language Models", 1998). What is not kept
  gives its share to gamma, so that P sums to one whatever is dropped. An n-gram is kept with its prefix and its suffix.
- **Weights.** A token of weight 0.5 counts half: the discounts stay those of the whole counts, but the share of an
  n-gram is W(hw) (1 - D(a)/a) / sum_v W(hv), with W the sum of its tokens' weights (at lower orders, the sum over the
  words before it of their mean weight). All weights 1 give the formula above.

N-grams are packed into uint64 keys, sixteen bits a word and the last word lowest, so four words at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

HIGHEST_ORDER = 4
BITS = np.uint64(16)
_FALLBACK = (0.5, 1.0, 1.5)  # discounts where a corpus is too small to estimate them, as in KenLM

Keys = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Counts:
    """The n-grams of one order as they were met, sorted by key."""

    keys: Keys
    mass: Floats
    """Occurrences in the text, each by its weight."""
    share: Floats
    """The discounted share of the n-gram in its context: (a(hw) - D) / sum_v a(hv), or what weights make of it."""


@dataclass(frozen=True)
class Level:
    """The kept n-grams of one order, sorted by key. The first order has every id."""

    keys: Keys
    logprob: Floats
    """ln P(last word | words before), nats."""
    backoff: Floats
    """ln gamma of the n-gram as a context, nats; 0 where no kept n-gram continues it."""


def estimate(
    stream: npt.NDArray[np.uint16],
    size: int,
    order: int,
    *,
    start: int = 0,
    cutoffs: Sequence[float] = (),
    threshold: float = 0.0,
    weights: npt.NDArray[np.float32] | None = None,
) -> list[Level]:
    """Estimate a model.

    Args:
        stream: the ids of all documents, one after the other, each beginning with `start`.
        size: the number of ids.
        order: the length of the longest n-grams, 2 to 4.
        start: the id that begins a document; it is a context, never predicted.
        cutoffs: for each order from the second, the fewest occurrences, by weight, for which an n-gram is kept; default 0.
        threshold: drop what loses the model less than this many nats a word.
        weights: of each token of the stream; default 1.
    """
    if not 2 <= order <= HIGHEST_ORDER:
        raise ValueError(f"order must be 2 to {HIGHEST_ORDER}, not {order}")
    counts = count(stream, order, start, weights)
    minima = (0, *cutoffs, *[0] * order)[:order]
    kept = [table.mass >= minimum for table, minimum in zip(counts, minima, strict=True)]
    kept[0][:] = True
    _close(counts, kept)
    if threshold > 0:
        kept = _prune(counts, kept, size, start, threshold)
    return fit(counts, kept, size, start)


def count(
    stream: npt.NDArray[np.uint16], order: int, start: int, weights: npt.NDArray[np.float32] | None = None
) -> list[Counts]:
    """Count the n-grams of every order up to `order` and discount them."""
    tables: list[Counts] = []
    above: tuple[Keys, Floats] | None = None  # the n-grams one order up, with their mean weight
    for length in range(order, 0, -1):
        packed, last = _pack(stream, length, start)
        if weights is None:
            keys, raw = np.unique(packed, return_counts=True)
            weight = raw.astype(np.float64)
        else:
            keys, raw, weight = _sum_by(packed, weights[last])
        del packed
        adjusted, mass, mean = raw.copy(), weight.copy(), weight / raw
        if above is not None:
            inner = ~_begins(keys, length, start)
            _, adjusted[inner], weight[inner] = _sum_by(above[0] & _low(length), above[1])
        above = keys, mean if length == order else weight / adjusted
        share = weight * (1 - _discounts(adjusted)[np.minimum(adjusted, 3)] / adjusted)
        tables.append(Counts(keys, mass, share / _spread(_starts(keys), weight)))
    return tables[::-1]


def fit(counts: Sequence[Counts], kept: Sequence[Mask], size: int, start: int) -> list[Level]:
    """Return the model of the kept n-grams: their probabilities and the back-off weights of their contexts."""
    levels: list[Level] = []
    probability = np.zeros(size)
    probability[counts[0].keys.astype(np.int64)] = counts[0].share
    possible = np.ones(size)
    possible[start] = 0  # the start of a document is never predicted
    probability += (1 - probability.sum()) * possible / possible.sum()
    keys = np.arange(size, dtype=np.uint64)
    for length, (table, mask) in enumerate(zip(counts[1:], kept[1:], strict=True), 2):
        longer, share = table.keys[mask], table.share[mask]
        starts = _starts(longer)
        contexts = np.searchsorted(keys, longer[starts] >> BITS)
        gamma = np.ones(keys.size)
        if longer.size:
            gamma[contexts] = np.maximum(1 - np.add.reduceat(share, starts), 1e-9)
        levels.append(_level(keys, probability, gamma))
        lower = probability[np.searchsorted(keys, longer & _low(length - 1))]
        probability = share + np.repeat(gamma[contexts], np.diff(starts, append=longer.size)) * lower
        keys = longer
    levels.append(_level(keys, probability, np.ones(keys.size)))
    return levels


def _level(keys: Keys, probability: Floats, gamma: Floats) -> Level:
    return Level(keys, np.log(np.maximum(probability, 1e-43)), np.log(gamma))


def logprobs(levels: Sequence[Level], stream: npt.NDArray[np.uint16], start: int = 0) -> Floats:
    """Return ln P (nats) of each token of a stream but the starts of documents, in order."""
    rows = np.flatnonzero(stream != start)
    total = np.full(stream.size, np.nan)
    total[rows] = levels[0].logprob[stream[rows]]
    for length, level in enumerate(levels[1:], 2):
        keys, last = _pack(stream, length, start)
        total[last] += _lookup(levels[length - 2].keys, levels[length - 2].backoff, keys >> BITS)
        found = _lookup(level.keys, level.logprob, keys, np.nan)
        hit = ~np.isnan(found)
        total[last[hit]] = found[hit]
    return total[rows]


def _lookup(keys: Keys, values: Floats, wanted: Keys, default: float = 0.0) -> Floats:
    if not keys.size:
        return np.full(wanted.size, default)
    place = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    return np.where(keys[place] == wanted, values[place], default)


def _close(counts: Sequence[Counts], kept: list[Mask]) -> None:
    """Drop every n-gram whose prefix or suffix is dropped; single words never are."""
    for length in range(3, len(counts) + 1):
        keys = counts[length - 1].keys
        below, alive = counts[length - 2].keys, kept[length - 2]
        rows = np.flatnonzero(kept[length - 1])
        for part in (keys[rows] >> BITS, keys[rows] & _low(length - 1)):
            place = np.minimum(np.searchsorted(below, part), below.size - 1)
            kept[length - 1][rows] &= alive[place] & (below[place] == part)


def _prune(counts: Sequence[Counts], kept: list[Mask], size: int, start: int, threshold: float) -> list[Mask]:
    """Drop, from the highest order down, what loses less than `threshold` nats a word and carries no other n-gram."""
    levels = fit(counts, kept, size, start)
    words = counts[0].mass.sum()
    pruned = [mask.copy() for mask in kept]
    for length in range(len(counts), 1, -1):
        table, mask, level, below = counts[length - 1], kept[length - 1], levels[length - 1], levels[length - 2]
        rows = np.flatnonzero(mask)
        starts = _starts(level.keys)
        contexts = np.searchsorted(below.keys, level.keys[starts] >> BITS)
        sizes = np.diff(starts, append=level.keys.size)
        occurrences = np.add.reduceat(table.mass, _starts(table.keys))
        seen = np.searchsorted(table.keys[_starts(table.keys)] >> BITS, level.keys[starts] >> BITS)
        given = np.repeat(occurrences[seen] / words, sizes)  # P(h)
        probability = np.exp(level.logprob)
        lower = np.exp(below.logprob[np.searchsorted(below.keys, level.keys & _low(length - 1))])
        gamma = np.repeat(np.exp(below.backoff[contexts]), sizes)
        left = np.repeat(np.maximum(1 - np.add.reduceat(probability, starts), 1e-12), sizes)  # P(not explicit | h)
        after = gamma + table.share[rows]
        loss = given * (probability * (level.logprob - np.log(after * lower)) - left * np.log(after / gamma))
        weak = loss < threshold
        if length < len(counts):
            above = counts[length].keys[pruned[length]]
            for part in (above >> BITS, above & _low(length)):
                weak[np.searchsorted(level.keys, part)] = False
        pruned[length - 1][rows[weak]] = False
    return pruned


def _pack(stream: npt.NDArray[np.uint16], length: int, start: int) -> tuple[Keys, npt.NDArray[np.intp]]:
    """Return the key of each n-gram in the stream, and where its last word stands; none reaches over a start."""
    places = max(stream.size - length + 1, 0)
    keys = np.zeros(places, dtype=np.uint64)
    whole = np.ones(places, dtype=np.bool_)
    for offset in range(length):
        word = stream[offset : offset + places]
        keys <<= BITS
        keys |= word
        if offset or length == 1:
            whole &= word != start
    rows = np.flatnonzero(whole)
    return keys[rows], rows + (length - 1)


def _low(length: int) -> np.uint64:
    """Return the mask of a key's last `length` words."""
    return np.uint64((1 << 16 * length) - 1)


def _begins(keys: Keys, length: int, start: int) -> Mask:
    return (keys >> np.uint64(16 * (length - 1))) == np.uint64(start) if length > 1 else np.zeros(keys.size, np.bool_)


def _starts(keys: Keys) -> npt.NDArray[np.intp]:
    """Return where each context's n-grams begin."""
    contexts = keys >> BITS
    return np.flatnonzero(np.r_[keys.size > 0, contexts[1:] != contexts[:-1]][: keys.size])


def _spread(starts: npt.NDArray[np.intp], values: Floats) -> Floats:
    """Return, for each n-gram, the sum of `values` over its context."""
    return np.repeat(np.add.reduceat(values, starts), np.diff(starts, append=values.size))


def _sum_by(keys: Keys, values: npt.NDArray[np.floating]) -> tuple[Keys, npt.NDArray[np.int64], Floats]:
    """Return the distinct keys, how often each stands, and the sum of its values."""
    if np.all(values == 1):
        found, times = np.unique(keys, return_counts=True)
        return found, times, times.astype(np.float64)
    rows = np.argsort(keys, kind="stable")
    keys = keys[rows]
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    sums = np.add.reduceat(values[rows].astype(np.float64), starts)
    return keys[starts], np.diff(starts, append=keys.size), sums


def _discounts(adjusted: npt.NDArray[np.int64]) -> Floats:
    """Return D for counts 0 (none), 1, 2 and 3 or more: estimated as Chen & Goodman do."""
    n1, n2, n3, n4 = (float(np.count_nonzero(adjusted == times)) for times in range(1, 5))
    if not (n1 and n2 and n3 and n4):
        return np.array([0.0, *_FALLBACK])
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    sound = zip(found, _FALLBACK, (1, 2, 3), strict=True)
    return np.array([0.0, *(value if 0 < value < times else default for value, default, times in sound)])

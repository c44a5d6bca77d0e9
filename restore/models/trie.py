"""The trie of an n-gram model as it stands in its bundle, mapped into memory and checked.

A bundle of format "restore-ngram", version 1, has two files. `vocabulary.txt` (UTF-8) has one piece a line, in the order
of the ids. `ngram.safetensors` has the trie, level by level. The n-grams of a level stand sorted by their pieces, so
those that continue one context stand together, sorted by their last piece:

    class.logprob            float32 [11]   ln of each class's share of all pieces in the training text, nats
    1.logprob, 1.backoff     float32 [V]    ln P and ln back-off of each piece, nats
    1.children               uint32  [V]    how many n-grams of level 2 begin with the piece
    n.piece                  uint16  [N]    the last piece of each n-gram of level n = 2, 3...
    n.logprob                uint8   [N]    its ln P, as a place in
    n.logprob.table          float32 [256]  nats
    n.context                uint64  [N/64] a bit for each n-gram, lowest first: do n-grams of level n + 1 continue it?
    n.backoff, n.children    uint8, uint16 [number of such bits]   of those n-grams, in order, as for level 1
    n.backoff.table          float32 [256]  nats

The highest level has no `context`, `backoff` and `children`. For example, with "the US sent" in mind:

    1.children  the 3 | a 1 | ...                       the children of "the" are 0 to 2 in level 2, that of "a" is 3
    2.piece     UN  US  end | man | ...                 a binary search in 0 to 2 finds US at 1
    2.context    0   1   1  |  0  | ...                 its bit is set, and none before it: its place is 0
    2.children       2   1        | ...                 so its children are 0 and 1 in level 3
    3.piece         said  sent | of | ...               a binary search there finds "sent" at 1: "the US sent" is known
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from restore.models.pieces import CLASSES

FORMAT, VERSION = "restore-ngram", 1
TENSORS, VOCABULARY = "ngram.safetensors", "vocabulary.txt"
CODES = 256
NAT = 1 << 36
"""One nat in a cost."""

Floats = npt.NDArray[np.float32]
Arrays = Mapping[str, npt.NDArray[Any]]


def costs(logprobs: Floats) -> npt.NDArray[np.int64]:
    """Return log-probabilities (nats) as costs: whole numbers of `NAT` for each nat, with the low 16 bits zero.

    Sums of whole numbers are exact, whatever their order; and the low bits have room for a piece, so that numbers
    `cost | piece` sort by cost and then by piece.
    """
    with np.errstate(invalid="ignore"):  # a damaged table is found out by its checksum
        return np.rint(logprobs.astype(np.float64) * -(1 << 20)).astype(np.int64) << 16


class Ngrams:
    """The n-grams of one level: last pieces and costs, as arrays and, for single look-ups, as views."""

    __slots__ = ("code_view", "codes", "costs", "piece_view", "pieces", "values")

    def __init__(self, pieces: npt.NDArray[np.uint16], codes: npt.NDArray[np.uint8], table: Floats) -> None:
        self.pieces = pieces
        self.codes = codes
        self.costs = costs(table)  # by code
        self.piece_view = pieces.data
        self.code_view = codes.data
        self.values: list[int] = self.costs.tolist()

    def row(self, piece: int, low: int, high: int) -> int:
        """Return where a piece stands from one place up to another, or -1."""
        row = bisect_left(self.piece_view, piece, low, high)
        return row if row < high and self.piece_view[row] == piece else -1

    def cost(self, piece: int, low: int, high: int) -> int | None:
        """Return the cost of a piece that stands from one place up to another, or None."""
        row = bisect_left(self.piece_view, piece, low, high)
        return self.values[self.code_view[row]] if row < high and self.piece_view[row] == piece else None

    def between(self, low: int, high: int) -> dict[int, int]:
        """Return the costs by piece from one place up to another."""
        values = self.values
        return dict(zip(self.piece_view[low:high], [values[code] for code in self.code_view[low:high]], strict=True))


class Contexts:
    """The n-grams of one level as contexts: where the children of each stand, and what backing off costs."""

    __slots__ = ("_bits", "_bounds", "_codes", "_ranks", "_table")

    def __init__(
        self,
        bounds: npt.NDArray[np.uint32],
        table: Floats,
        codes: npt.NDArray[np.uint8] | None = None,
        bits: npt.NDArray[np.uint64] | None = None,
        ranks: npt.NDArray[np.uint32] | None = None,
    ) -> None:
        self._bounds = bounds.data
        self._table: list[int] = costs(table).tolist()
        self._codes = None if codes is None else codes.data
        self._bits = None if bits is None else bits.data
        self._ranks = None if ranks is None else ranks.data  # set bits before each of `bits`

    def children(self, row: int) -> tuple[int, int, int] | None:
        """Return where the children of the n-gram at `row` begin and end, and the back-off cost; None without any."""
        place = row
        if self._bits is not None and self._ranks is not None:
            word, bit = self._bits[row >> 6], 1 << (row & 63)
            if not word & bit:
                return None
            place = self._ranks[row >> 6] + (word & (bit - 1)).bit_count()
        low, high = self._bounds[place], self._bounds[place + 1]
        if low == high:
            return None
        return low, high, self._table[place if self._codes is None else self._codes[place]]


@dataclass(frozen=True)
class Trie:
    """All levels: `ngrams[n - 2]` are the n-grams of level n, `contexts[n - 1]` those of level n as contexts."""

    unigrams: Floats
    ngrams: list[Ngrams]
    contexts: list[Contexts]
    class_logprob: Floats


def read_trie(arrays: Arrays, size: int) -> Trie:
    """Check the arrays of `ngram.safetensors` against each other and against the number of pieces.

    Raises:
        ValueError: saying what is wrong with which array.
    """
    order = 2
    while f"{order + 1}.piece" in arrays:
        order += 1
    unigrams, backoffs = _finite(arrays, "1.logprob", size), _finite(arrays, "1.backoff", size)
    bounds = _bounds(_take(arrays, "1.children", np.uint32, size))
    contexts = [Contexts(bounds, backoffs)]
    ngrams: list[Ngrams] = []
    for level in range(2, order + 1):
        pieces = _take(arrays, f"{level}.piece", np.uint16, int(bounds[-1]))
        _check_pieces(f"{level}.piece", pieces, bounds, size)
        codes = _take(arrays, f"{level}.logprob", np.uint8, pieces.size)
        ngrams.append(Ngrams(pieces, codes, _finite(arrays, f"{level}.logprob.table", CODES)))
        if level < order:
            bits = _take(arrays, f"{level}.context", np.uint64, (pieces.size + 63) // 64)
            ranks = _ranks(bits)
            bounds = _bounds(_take(arrays, f"{level}.children", np.uint16, int(ranks[-1])))
            known = _take(arrays, f"{level}.backoff", np.uint8, int(ranks[-1]))
            if pieces.size % 64 and int(bits[-1]) >> pieces.size % 64:
                raise ValueError(f"array {level}.context has bits beyond the last n-gram")
            contexts.append(Contexts(bounds, _finite(arrays, f"{level}.backoff.table", CODES), known, bits, ranks))
    return Trie(unigrams, ngrams, contexts, _finite(arrays, "class.logprob", len(CLASSES)))


def _take(arrays: Arrays, name: str, kind: type[np.generic], size: int) -> npt.NDArray[Any]:
    array = arrays.get(name)
    if array is None:
        raise ValueError(f"array {name} is missing")
    if array.dtype != kind or array.shape != (size,):
        raise ValueError(f"array {name} is {array.dtype} {array.shape} instead of {np.dtype(kind)} ({size},)")
    return np.ascontiguousarray(array, dtype=kind)  # a copy only where the machine is big-endian


def _finite(arrays: Arrays, name: str, size: int) -> Floats:
    array = _take(arrays, name, np.float32, size)
    if not (np.isfinite(array) & (array <= 0)).all():
        raise ValueError(f"array {name} has what is not a logarithm of a probability")
    return array


def _bounds(children: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    """Return where the children of each context begin, and at last where all end."""
    bounds = np.zeros(children.size + 1, dtype=np.uint32)
    if children.sum(dtype=np.uint64) > np.iinfo(np.uint32).max:
        raise ValueError("there are more n-grams than 32 bits can number")
    np.cumsum(children, dtype=np.uint32, out=bounds[1:])
    return bounds


def _ranks(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
    """Return how many bits are set before each word, and at last in all."""
    times = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint32)
    ranks = np.zeros(bits.size + 1, dtype=np.uint32)
    np.cumsum(times[bits.view(np.uint8)].reshape(-1, 8).sum(axis=1, dtype=np.uint32), out=ranks[1:])
    return ranks


def _check_pieces(name: str, pieces: npt.NDArray[np.uint16], bounds: npt.NDArray[np.uint32], size: int) -> None:
    if not pieces.size:
        return
    if int(pieces.max()) >= size:
        raise ValueError(f"array {name} has the id {int(pieces.max())}, but there are {size} pieces")
    rising = np.empty(pieces.size + 1, dtype=np.bool_)
    np.greater(pieces[1:], pieces[:-1], out=rising[1:-1])
    rising[bounds] = True
    if not rising.all():
        raise ValueError(f"array {name} is not sorted")

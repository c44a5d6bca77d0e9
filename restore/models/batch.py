"""One run of the network: from pieces and what each of them sees to the arrays that the graph takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from restore.models.pool import Slots

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

HIDDEN = np.float32(-1e9)
"""What is added to the score of a piece that is not seen."""


@dataclass(slots=True)
class Feed:
    """Pieces of one text that are fed in one run, one after the other.

    Attributes:
        lane: the place of the text's lane among those of the run.
        pieces: what is fed.
        position: the position of the first of them in its text.
        prompt: how many of the lane's first slots they all see.
        seen: the other slots that they all see.
        wanted: from which of them on the successors are wanted, by number among the pieces.
        source: how many of the first of them see each other both ways (see `restore.models.neural`).
    """

    lane: int
    pieces: tuple[int, ...]
    position: int
    prompt: int
    seen: Slots
    wanted: int = 0
    source: int = 0


@dataclass(slots=True)
class Batch:
    """The arrays of a run, but for the keys and values. See `restore.training.graph`.

    Attributes:
        pieces: all pieces, [n].
        lanes, places: for each piece, its lane, and its number among the pieces of that lane, [n].
        heads: for each feed, the first of its rows among the log-probabilities.
    """

    pieces: Integers
    lanes: Integers
    places: Integers
    positions: Integers
    rows: Integers
    back: Integers
    head: Integers
    past_mask: Floats
    new_mask: Floats
    heads: list[int] = field(default_factory=list)


def sees(size: int, source: int) -> npt.NDArray[np.bool_]:
    """Tell which of a text's first pieces each of them sees, [size, size]: those up to it, and within the source all of it."""
    seen = np.tri(size, dtype=np.bool_)
    seen[:source, :source] = True
    return seen


def batch_of(feeds: Sequence[Feed], lanes: int, slots: int, heads_a_group: int, positions: int) -> Batch:
    """Lay out feeds for one run.

    Args:
        feeds: what is fed.
        lanes: how many lanes the run has.
        slots: how many slots each of them has.
        heads_a_group: how many query heads share a key-value head: masks are repeated for each.
        positions: positions beyond so many are taken for the last.
    """
    sizes = [len(feed.pieces) for feed in feeds]
    filled = [0] * lanes
    firsts = []
    for feed, size in zip(feeds, sizes, strict=True):
        firsts.append(filled[feed.lane])
        filled[feed.lane] += size
    most = max(filled)
    total = sum(sizes)
    past = np.full((lanes, 1, 1, most, slots), HIDDEN, np.float32)
    new = np.full((lanes, 1, 1, most, most), HIDDEN, np.float32)
    lane_of = np.repeat([feed.lane for feed in feeds], sizes)
    places = np.empty(total, np.int64)
    placed = np.zeros((lanes, most), np.int64)
    head: list[int] = []
    heads = []
    row = 0
    for feed, size, first in zip(feeds, sizes, firsts, strict=True):
        end = first + size
        past[feed.lane, 0, 0, first:end, : feed.prompt] = 0
        past[feed.lane, 0, 0, first:end, feed.seen] = 0
        new[feed.lane, 0, 0, first:end, first:end][sees(size, feed.source)] = 0
        places[row : row + size] = range(first, end)
        placed[feed.lane, first:end] = range(feed.position, feed.position + size)
        heads.append(len(head))
        head.extend(range(row + feed.wanted, row + size))
        row += size
    rows = np.zeros((lanes, most), np.int64)
    rows[lane_of, places] = np.arange(total)
    return Batch(
        pieces=np.array([piece for feed in feeds for piece in feed.pieces]),
        lanes=lane_of,
        places=places,
        positions=np.minimum(placed, positions - 1),
        rows=rows,
        back=lane_of * most + places,
        head=np.array(head),
        past_mask=_repeated(past, heads_a_group),
        new_mask=_repeated(new, heads_a_group),
        heads=heads,
    )


def _repeated(mask: Floats, times: int) -> Floats:
    """Repeat a mask [d, 1, 1, r, c] for each head of a group, as [d, 1, times * r, c]."""
    lanes, _, _, rows, columns = mask.shape
    return np.ascontiguousarray(np.broadcast_to(mask, (lanes, 1, times, rows, columns))).reshape(
        lanes, 1, times * rows, columns
    )

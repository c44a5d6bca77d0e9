"""The keys and values of all texts in work: one slot a piece, so that hypotheses fork without copying.

    Pool   [2 * layers, lanes, groups, slots, width] float32
             k0 v0 k1 ...  │             │
                           a text       a piece of it, in any order: what a piece sees is said by numbers of slots

A *lane* holds one text, or window of one: the prompt in its first slots, then whatever its hypotheses have written, each
piece once. Hypotheses are a tree of *nodes*: a node owns the slots of the pieces that it added to its parent's.

**Who frees slots.** Rounding makes a network sensitive to the order in which sums are taken, and that is the order of
slots. So that a text's slots depend on that text alone, and not on when Python happens to collect garbage, they are
freed by a rule: when a lane is full, a node goes whose text, and all that grew from it, has not been asked about for
`KEPT_ROUNDS` rounds. Should it be asked about after all, its pieces are fed again. A lane itself is freed when nothing
refers to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from math import prod
from weakref import ref

import numpy as np
import numpy.typing as npt

from restore.models.shape import Shape

SLOT_STEP = 32
"""By how many slots a pool grows; a run reads all slots of its lanes, used or not."""

MOST_WASTE = 1.5
"""How many times the room that is needed may be used: moving the lanes costs about as much as a run does."""

KEPT_ROUNDS = 12
"""For how many rounds a text may go unasked; a form that stands for several input tokens waits for a few."""

RECALLED = 8
"""By how many of its last pieces a text is told from others of its lane: see `NeuralModel.key`."""

Slots = npt.NDArray[np.int32]
NONE_SEEN: Slots = np.empty(0, np.int32)


class Pool:
    """The keys and values themselves."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._entered: list[ref[Lane]] = []
        self._memory = np.zeros(0, np.float32)
        self.data = self._memory.reshape(2 * shape.layers, 0, shape.groups, 0, shape.head_width)

    def _move(self, places: Sequence[int], lanes: int, slots: int) -> None:
        """Change the room to another size, in the memory that it has if that is large enough.

        Memory that is new costs as much as some runs do: the system clears it, page by page.

        Args:
            places: the places of the lanes to keep, in the order in which they are to stand.
            lanes: how many texts there is to be room for.
            slots: how many pieces of each.
        """
        shape = self._shape
        sizes = (2 * shape.layers, lanes, shape.groups, slots, shape.head_width)
        size, old = prod(sizes), self.data
        if size > self._memory.size:
            self._memory = np.zeros(2 * size, np.float32)  # what is not used yet takes none
        self.data = self._memory[:size].reshape(sizes)
        kept = min(slots, old.shape[3])
        # A layer that grows reaches into the old ones after it, one that shrinks into none but its own and those before it.
        layers = range(2 * shape.layers)
        for layer in reversed(layers) if size > old.size else layers:
            self.data[layer, : len(places), :, :kept] = old[layer, places, :, :kept]  # copied before it is written

    @property
    def lanes(self) -> int:
        """How many texts there is room for."""
        return int(self.data.shape[1])

    @property
    def slots(self) -> int:
        """How many pieces of each text there is room for."""
        return int(self.data.shape[3])

    def live(self) -> list[Lane]:
        """Return the lanes that have a place, in its order."""
        lanes = [lane for one in self._entered if (lane := one()) is not None]
        if len(lanes) < len(self._entered):
            self._entered = [ref(lane) for lane in lanes]
        return lanes

    def fit(self, lanes: int = 0, slots: int = 0) -> None:
        """Make room for so many more texts of so many pieces each, and use no more than is needed if there is far more.

        All of the room is read in each run, and reading it takes a good part of the run's time. The memory is kept for later.
        """
        live = self.live()
        wanted = len(live) + lanes, _rounded(max([slots, *(lane.room for lane in live)], default=0))
        if wanted[0] > self.lanes or wanted[1] > self.slots or self.lanes * self.slots > MOST_WASTE * wanted[0] * wanted[1]:
            wanted = wanted[0], wanted[1] + SLOT_STEP  # the next step will be needed soon
            self._move([lane.number for lane in live], *wanted)
            for number, lane in enumerate(live):
                lane.number = number

    def enter(self, lane: Lane) -> int:
        """Return the number of a place for a lane, which it has for as long as anybody refers to it."""
        live = self.live()
        taken = {one.number for one in live}
        number = next(number for number in count() if number not in taken)
        self._entered = [ref(one) for one in sorted([*live, lane], key=lambda one: number if one is lane else one.number)]
        return number


def _rounded(slots: int) -> int:
    return -(-slots // SLOT_STEP) * SLOT_STEP


class Node:
    """A text so far, as what it adds to a shorter one.

    Attributes:
        parent: the shorter text; None for the prompt alone.
        pieces, slots: the pieces added, and the slots of their keys and values; no slots once they are freed.
        seen: the slots of all pieces after the prompt, in order; empty once they are freed.
        length: how many pieces there are, the prompt's included but for its last.
        recent: the last pieces after the prompt, `RECALLED` of them at most.
        round: when it was last asked about, in rounds of its lane.
        sweep: the last sweep of the lane that found it in use.
    """

    __slots__ = ("length", "parent", "pieces", "recent", "round", "seen", "slots", "sweep")

    def __init__(
        self,
        parent: Node | None,
        pieces: tuple[int, ...],
        slots: list[int],
        seen: Slots,
        length: int,
        recent: tuple[int, ...] = (),
    ) -> None:
        self.parent = parent
        self.pieces = pieces
        self.slots = slots
        self.seen = seen
        self.length = length
        self.recent = recent
        self.round = 0
        self.sweep = 0

    @property
    def freed(self) -> bool:
        """Whether its pieces must be fed again before anything can be added."""
        return self.parent is not None and not self.slots


class Lane:
    """One text in work.

    Attributes:
        prompt: the pieces that every hypothesis begins with. All but the last stand in the first slots once it is filled;
            the last is fed with the first request, whose answer is what follows it.
        root: the node of the prompt.
        pool, number: where it is, and its place there, once it is filled.
        serial: distinguishes the lanes of a process.
    """

    __slots__ = (
        "__weakref__", "_free", "_nodes", "_room", "_round", "_sweep", "_used", "number", "pool", "prompt", "root", "serial",
    )  # fmt: skip

    _serials = count()

    def __init__(self, prompt: tuple[int, ...]) -> None:
        self.pool: Pool | None = None
        self.prompt = prompt
        self.root = Node(None, (), [], NONE_SEEN, len(prompt) - 1)
        self.number = -1
        self.serial = next(self._serials)
        self._nodes: list[Node] = []  # those with slots
        self._free: list[int] = []  # the lowest last
        self._used = len(prompt) - 1
        self._room = _rounded(len(prompt) + SLOT_STEP // 2)
        self._round = self._sweep = 0

    @property
    def filled(self) -> bool:
        """Whether the prompt is in the pool."""
        return self.number >= 0

    @property
    def room(self) -> int:
        """How many slots it needs to begin with."""
        return self._room

    def enter(self, pool: Pool) -> int:
        """Take a place in a pool, which must have room; return it."""
        self.pool = pool
        self.number = pool.enter(self)
        return self.number

    def begin_round(self) -> None:
        """Count a round of requests."""
        self._round += 1

    def ask(self, node: Node) -> tuple[Node, tuple[int, ...]]:
        """Note that a node is asked about; return the nearest that has its slots still, and the pieces since."""
        pieces: tuple[int, ...] = ()
        while node.freed:
            assert node.parent is not None
            pieces = node.pieces + pieces
            node = node.parent
        node.round = self._round
        return node, pieces

    def add(self, parent: Node, pieces: tuple[int, ...]) -> Node:
        """Return a new node with slots for pieces that are added to those of a parent that has its slots."""
        slots = self._take(len(pieces))
        seen = np.concatenate([parent.seen, np.array(slots, np.int32)])
        recent = parent.recent + (pieces if parent.parent else pieces[1:])  # the first is the prompt's last
        node = Node(parent, pieces, slots, seen, parent.length + len(pieces), recent[-RECALLED:])
        node.round = self._round
        self._nodes.append(node)
        return node

    def _take(self, number: int) -> list[int]:
        """Return free slots, the lowest first."""
        while len(self._free) + self._room - self._used < number:
            self._free_unasked()
            if len(self._free) < max(number, SLOT_STEP // 2):
                self._room += SLOT_STEP
                assert self.pool is not None
                self.pool.fit()
        slots = [self._free.pop() for _ in range(min(number, len(self._free)))]
        fresh = number - len(slots)
        slots.extend(range(self._used, self._used + fresh))
        self._used += fresh
        return slots

    def _free_unasked(self) -> None:
        """Free the slots of nodes that were not asked about of late, nor any that grew from them."""
        self._sweep += 1
        for node in self._nodes:
            if node.round > self._round - KEPT_ROUNDS:
                here: Node | None = node
                while here is not None and here.sweep < self._sweep:
                    here.sweep = self._sweep
                    here = here.parent
        kept = []
        for node in self._nodes:
            if node.sweep == self._sweep:
                kept.append(node)
            else:
                self._free.extend(node.slots)
                node.slots = []
                node.seen = NONE_SEEN
        self._nodes = kept
        self._free.sort(reverse=True)


class State:
    """A text so far, with its lane: what the model gives to the decoder.

    Attributes:
        lane, node: the text.
        unfed: pieces of it that have not been fed yet: the prompt's last, at the start.
    """

    __slots__ = ("lane", "node", "unfed")

    def __init__(self, lane: Lane, node: Node, unfed: tuple[int, ...] = ()) -> None:
        self.lane = lane
        self.node = node
        self.unfed = unfed

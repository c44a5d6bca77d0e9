"""The keys and values of all texts in work: one slot a piece, so that hypotheses fork without copying.

    Pool   [2 * layers, lanes, groups, slots, width] float32
             k0 v0 k1 ...  │             │
                           a text       a piece of it, in any order: what a piece sees is said by numbers of slots

A *lane* holds one text, or window of one: the prompt in its first slots, then whatever its hypotheses have written, each
piece once. A *state* is a node of the tree of hypotheses: it owns the slots of the pieces that it added, knows the
numbers of all it sees, and holds its parent. When nothing refers to a state any more, its slots are free; when the
last state of a lane is gone, so is the lane. Nobody has to say so: Python's reference counts do.
"""

from __future__ import annotations

from itertools import count

import numpy as np
import numpy.typing as npt

from restore.models.shape import Shape

SLOT_STEP = 64
"""By how many slots a pool grows; a run reads all slots of its lanes, used or not."""

Slots = npt.NDArray[np.int32]
NONE_SEEN: Slots = np.empty(0, np.int32)


class Pool:
    """The keys and values themselves."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._free: set[int] = set()
        self.data = self._empty(0, 0)

    def _empty(self, lanes: int, slots: int) -> npt.NDArray[np.float32]:
        shape = self._shape
        return np.zeros((2 * shape.layers, lanes, shape.groups, slots, shape.head_width), np.float32)

    @property
    def lanes(self) -> int:
        """How many texts there is room for."""
        return int(self.data.shape[1])

    @property
    def slots(self) -> int:
        """How many pieces of each text there is room for."""
        return int(self.data.shape[3])

    def take(self, slots: int) -> int:
        """Return the number of a free lane with room for so many pieces."""
        if len(self._free) == self.lanes:  # nobody is at work: start afresh, at the size that is needed
            self.data = self._empty(1, _rounded(slots))
            self._free = {0}
        if not self._free:
            lanes = self.lanes
            self._resize(2 * lanes, self.slots)
            self._free.update(range(lanes, 2 * lanes))
        self.reserve(slots)
        lane = min(self._free)
        self._free.remove(lane)
        return lane

    def give(self, lane: int) -> None:
        """Take a lane back."""
        self._free.add(lane)

    def reserve(self, slots: int) -> None:
        """Make room for so many pieces in each lane."""
        if slots > self.slots:
            self._resize(self.lanes, _rounded(slots))

    def _resize(self, lanes: int, slots: int) -> None:
        data = self._empty(lanes, slots)
        data[:, : self.lanes, :, : self.slots] = self.data
        self.data = data


def _rounded(slots: int) -> int:
    return -(-slots // SLOT_STEP) * SLOT_STEP


class Lane:
    """One text in work.

    Attributes:
        prompt: the pieces that every hypothesis begins with. All but the last stand in the first slots once `filled`;
            the last is fed with the first request, whose answer is what follows it.
        number: the lane's place in the pool, once it is filled.
        names: for (name of a text, next piece), the name of the longer text; 0 is the prompt alone.
        serial: distinguishes the lanes of a pool for ever.
    """

    __slots__ = ("__weakref__", "_free", "_used", "names", "number", "pool", "prompt", "serial")

    _serials = count()

    def __init__(self, pool: Pool, prompt: tuple[int, ...]) -> None:
        self.pool = pool
        self.prompt = prompt
        self.number = -1
        self.serial = next(self._serials)
        self.names: dict[tuple[int, int], int] = {}
        self._free: list[int] = []
        self._used = len(prompt) - 1

    @property
    def filled(self) -> bool:
        """Whether the prompt is in the pool."""
        return self.number >= 0

    def enter(self) -> int:
        """Take a place in the pool; return it."""
        self.number = self.pool.take(self._used + SLOT_STEP // 2)
        return self.number

    def take(self, pieces: int) -> list[int]:
        """Return the numbers of so many free slots."""
        slots = [self._free.pop() for _ in range(min(pieces, len(self._free)))]
        fresh = pieces - len(slots)
        slots.extend(range(self._used, self._used + fresh))
        self._used += fresh
        self.pool.reserve(self._used)
        return slots

    def give(self, slots: list[int]) -> None:
        """Take slots back."""
        self._free.extend(slots)

    def named(self, name: int, piece: int) -> int:
        """Return the name of a text that is one piece longer than a named one."""
        return self.names.setdefault((name, piece), len(self.names) + 1)

    def __del__(self) -> None:
        if self.number >= 0:
            self.pool.give(self.number)


class State:
    """A text so far. Immutable, but for what it frees when it goes.

    Attributes:
        lane: the text's lane.
        seen: the slots of the pieces after the prompt, in order.
        unfed: pieces of the text that have not been fed yet: the prompt's last, at the start.
        length: how many pieces have been fed, the prompt's included.
        last: the last piece of the text.
        name: the same for two states of a lane that have the same pieces.
    """

    __slots__ = ("_own", "_parent", "lane", "last", "length", "name", "seen", "unfed")

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.seen = NONE_SEEN
        self.unfed: tuple[int, ...] = lane.prompt[-1:]
        self.length = len(lane.prompt) - 1
        self.last = lane.prompt[-1]
        self.name = 0
        self._own: list[int] = []
        self._parent: State | None = None  # held, so that its slots stay

    def after(self, pieces: tuple[int, ...], slots: list[int]) -> State:
        """Return the state after more pieces, for which it owns the slots given; its unfed ones are the first."""
        state = State.__new__(State)
        state.lane = self.lane
        state.seen = np.concatenate([self.seen, np.array(slots, np.int32)])
        state.unfed = ()
        state.length = self.length + len(pieces)
        state.last = pieces[-1]
        state.name = self.name
        for piece in pieces[len(self.unfed) :]:
            state.name = self.lane.named(state.name, piece)
        state._own = slots
        state._parent = self
        return state

    def __del__(self) -> None:
        if self._own:
            self.lane.give(self._own)

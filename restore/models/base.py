"""The language-model protocol: the only thing the decoder knows of a model.

A model walks along the restored text id by id. What an id is, a word or a piece of one, is the model's own affair: the
decoder builds tries of ids by asking the model to `encode` units, and walks them by asking it to `expand` states.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Encoded:
    """A string of units as ids, with what to add to their summed log-probability, in nats."""

    ids: tuple[int, ...]
    bonus: float = 0.0


class Trie(Generic[Item]):
    """A trie of ids: the items that end at each child, and the children's own tries.

    ids       [n] the ids that may come next
    items[c]  the items that are complete with ids[c], each with its bonus in nats
    next[c]   the trie of what may follow ids[c], or None
    potential the best bonus of all items in it: a search that counts it on the way in does not lose sight of them
    cache     whatever a model remembers about this node
    """

    __slots__ = ("_all", "cache", "ids", "items", "next", "potential")

    def __init__(self, entries: Iterable[tuple[Encoded, Item]]) -> None:
        items: dict[int, list[tuple[Item, float]]] = {}
        longer: dict[int, list[tuple[Encoded, Item]]] = {}
        for encoded, item in entries:
            first, rest = encoded.ids[0], encoded.ids[1:]
            items.setdefault(first, [])
            if rest:
                longer.setdefault(first, []).append((Encoded(rest, encoded.bonus), item))
            else:
                items[first].append((item, encoded.bonus))
        self.ids: npt.NDArray[np.int64] = np.fromiter(items, np.int64, len(items))
        self.items: list[list[tuple[Item, float]]] = list(items.values())
        self.next: list[Trie[Item] | None] = [Trie(longer[first]) if first in longer else None for first in items]
        bonuses = [bonus for ended in self.items for _, bonus in ended]
        bonuses += [following.potential for following in self.next if following is not None]
        self.potential: float = max(bonuses, default=0.0)
        self.cache: Any = None
        self._all: tuple[tuple[Item, float], ...] | None = None

    def all(self) -> tuple[tuple[Item, float], ...]:
        """Return all items that are in it, each with its bonus in nats."""
        if self._all is None:
            found: list[tuple[Item, float]] = []
            for ended, following in zip(self.items, self.next, strict=True):
                found.extend(ended)
                found.extend(following.all() if following is not None else ())
            self._all = tuple(found)
        return self._all


def pieces_of(pending: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """Return pending ids as a tuple."""
    if pending is None:
        return ()
    return pending if isinstance(pending, tuple) else (pending,)


@dataclass(slots=True)
class Request:
    """One state to move on and to look ahead from.

    Attributes:
        state: a state that the model gave.
        pending: the id to move on by; None at the start; several for a model that takes runs.
        insertions: the trie node whose best children are wanted, or None.
        forms: the trie node of which every child is wanted, or None.
        best: how many children of `insertions` are wanted.
    """

    state: Any
    pending: int | tuple[int, ...] | None
    insertions: Trie[Any] | None
    forms: Trie[Any] | None
    best: int


@dataclass(slots=True)
class Expansion:
    """What a model says of one request.

    Attributes:
        state: the state after the pending id.
        insertions: (child, log-probability) of the best children of the insertion node, best first.
        forms: the log-probabilities of all children of the form node, in nats.
        passed: the log-probabilities of the pending ids but the first, in nats.
    """

    state: Any
    insertions: Sequence[tuple[int, float]]
    forms: Sequence[float]
    passed: Sequence[float] = ()


def expansion_of(request: Request, state: Any, logprobs: npt.NDArray[np.float32], passed: Sequence[float]) -> Expansion:
    """Look up what a request asks for, for a model that knows the probabilities of all pieces.

    Args:
        request: it.
        state: its state, moved on.
        logprobs: ln P of each piece, [vocabulary].
        passed: ln P of the pending ids but the first.
    """
    insertions: list[tuple[int, float]] = []
    if request.insertions is not None:
        found = logprobs[request.insertions.ids]
        best = np.arange(len(found))
        if request.best < len(found):
            best = np.argpartition(found, -request.best)[-request.best :]
        best = best[np.lexsort((best, -found[best]))]
        insertions = list(zip(best.tolist(), found[best].tolist(), strict=True))
    forms: Sequence[float] = ()
    if request.forms is not None:
        forms = logprobs[request.forms.ids].tolist()
    return Expansion(state, insertions, forms, passed)


@dataclass(frozen=True, slots=True)
class Window:
    """How a long text is cut for a model that sees a part of the input at a time, in input tokens.

    Attributes:
        before: how much already restored text it is given.
        width: how much it restores at most before the next window.
        ahead: how much more it restores, to be thrown away: mistakes sit at a window's end.
        shown: how much further it only sees.
        first: the width of a text's first window, narrower so that the first prose is soon there.
        parts: how many windows are searched in step, where that is quicker (see `restore.windows`).
        least: how narrow they may be made so that there are more of them; if 0, as few as there can be are searched.
    """

    before: int
    width: int
    ahead: int
    shown: int = 0
    first: int = 96
    parts: int = 1
    least: int = 0

    @property
    def most(self) -> int:
        """The longest text that is restored in one window, in input tokens."""
        return self.width + self.ahead + self.shown


class Stream(Protocol):
    """One way to ask a model."""

    def expand(self, requests: Sequence[Request]) -> list[Expansion]:
        """Move each state on by its pending id, and look ahead from there."""


class LanguageModel(Stream, Protocol):
    """What the decoder asks of a language model. Log-probabilities are over the model's full vocabulary, in nats."""

    @property
    def name(self) -> str:
        """The engine and the checksum of its data, as results and signatures show them."""

    @property
    def window(self) -> Window | None:
        """How a long text is cut for the model, or None if it takes texts of any length."""

    @property
    def merges_marks(self) -> bool:
        """Whether runs of marks such as `."` have ids of their own."""

    @property
    def takes_runs(self) -> bool:
        """Whether `Request.pending` may be several ids at once (see `restore.models.runs`)."""

    @property
    def streams(self) -> Sequence[Stream]:
        """Ways to ask it at the same time, from a thread each: what is asked about one text goes through one of them."""

    def begin(self, source: Sequence[str], prefix: str = "") -> Any:
        """Return the state at the start of a text, or of a window of one.

        Args:
            source: the input tokens that the model may look at, from the first of the prefix on.
            prefix: the restored text that comes before, which the first tokens of the source stand for.
        """

    def encode(self, text: str, *, initial: bool, touched: bool, logprob: float) -> Encoded | None:
        """Return a string of units as ids, or None if the model cannot write it.

        Args:
            text: one insertion or form, with the space before it if it has one.
            initial: whether it starts a sentence.
            touched: whether a letter or digit follows it without a space.
            logprob: log P(text) among all running words by the lexicon, in nats, for words that the model lacks.
        """

    def key(self, state: Any, pending: int | tuple[int, ...] | None) -> Hashable | None:
        """Return a key such that hypotheses of equal keys have equal futures, or nearly so; None if there is no such key."""

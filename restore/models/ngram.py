"""The n-gram language model: back-off probabilities over pieces of text, looked up in a memory-mapped trie.

Text becomes pieces as `restore.models.pieces` explains. In short, for a document that begins "The US sent 6,000.",

    unit    'The'  ' US'  ' sent'  ' 6'  ','  '000'  '.'  line break
    piece    the    US     sent     6     ,+   000    .   <p>

(`The` is truecased as it stands at a sentence start; `,+` as a digit follows at once; `<p>` ends each paragraph, and so
each document). The model gives ln P(piece | context), in nats, where a context is the ids of the pieces before, `order - 1`
at most. A document begins with the context `start`.

The model is a back-off model in the usual form, made by `restore.training.kneser_ney` (interpolated modified Kneser-Ney,
Chen & Goodman 1998). With h a context and h' the same less its first piece,

    ln P(w | h) = what the trie has for hw, if it has it
                  backoff(h) + ln P(w | h') otherwise, where backoff(h) is 0 if the trie does not have h

The format of the bundle is explained in `restore.models.trie`.

Opening maps the file, checks every byte, and builds only running sums (4 bytes for each n-gram that others continue).
What has been looked up is remembered at its context. When what is remembered about contexts of one length has grown to
`CACHE_BYTES`, they and all longer contexts are forgotten: the longest come again the least, and weigh the most. A model
may be used from several threads at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from restore.bundle import BAD_FILE, open_bundle
from restore.errors import ResourceError
from restore.models.pieces import BREAK, END_CLASS, FIRST_CLASS, START, Vocabulary
from restore.models.trie import FORMAT, NAT, TENSORS, VERSION, VOCABULARY, Ngrams, Trie, costs, read_trie
from restore.tensors import map_tensors

CACHE_BYTES = 32_000_000
"""How much may be remembered about the contexts of each length, by estimate."""

Context = tuple[int, ...]
Pieces = npt.NDArray[np.int64]
LogProbs = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Best = tuple[tuple[int, ...], tuple[float, ...]]
Ranking = tuple[int, ...]
"""Numbers `cost | piece`, see `restore.models.trie.costs`: the likeliest first, equals by their ids."""

# Bytes for what is remembered, measured with tracemalloc: a number by piece, a number in a list, a context, an answer.
_KNOWN, _RANKED, _NODE, _ANSWER = 100, 40, 900, 300
_FEW = 64  # children that are quicker kept in a dict than searched
_SHARED = 1024  # a mask that allows more pieces has a pool of its own


class _Node:
    """A context that the trie has with children, and what is remembered about it."""

    __slots__ = (
        "answers", "backoff", "context", "deep", "few", "high", "known", "low", "lower", "next", "ngrams", "pooled", "ranked",
    )  # fmt: skip

    def __init__(
        self, context: Context, lower: _Node | None, deep: bool, ngrams: Ngrams, low: int, high: int, backoff: int
    ) -> None:
        self.context = context
        self.lower = lower or self  # the node of the next shorter context; the root, which has no context, is its own
        self.deep = deep  # no longer context is possible
        self.ngrams = ngrams
        self.low, self.high = low, high  # its children are ngrams[low:high]
        self.backoff = backoff  # what a piece costs more than after the shorter context if it is not a child
        self.few = lower is not None and high - low <= _FEW
        # Costs by piece: of exactly the children if they are few, else of whatever was asked for.
        self.known: dict[int, int] = ngrams.between(low, high) if self.few else {}
        self.next: dict[int, _Node] = {}  # by the piece that follows
        self.ranked: dict[int, Ranking] = {}  # by the number of the mask
        self.pooled: dict[int, npt.NDArray[np.int64]] = {}  # by the number of the pool, if children are many
        self.answers: dict[tuple[int, int], Best] = {}  # by the number of the mask and k


class _Pool:
    """Pieces that are ranked together. Masks have much in common, so a context ranks the pieces of all of them once."""

    __slots__ = ("allowed", "ids", "number", "slots", "unigrams")

    _numbers = count()

    def __init__(self, allowed: Mask, unigrams: npt.NDArray[np.int64]) -> None:
        self.number = next(self._numbers)
        self.allowed = allowed
        self.ids = np.flatnonzero(allowed)
        self.slots = np.full(allowed.size, self.ids.size, dtype=np.int32)  # place among the ids; one more for the rest
        self.slots[self.ids] = np.arange(self.ids.size)
        self.unigrams = np.append(unigrams[self.ids] | self.ids, 0)  # by place, `cost | piece` without context


class _Allowed:
    """A mask, prepared."""

    __slots__ = ("flags", "mask", "number", "pool", "size")

    _numbers = count()

    def __init__(self, mask: Mask, pool: _Pool) -> None:
        self.mask = mask  # held, so that no other array can have its identity
        self.number = next(self._numbers)
        self.flags = mask.tobytes()
        self.size = int(np.count_nonzero(mask))
        self.pool = pool


class NgramModel:
    """An n-gram model opened from its bundle.

    Attributes:
        order: the length of the longest n-grams.
        checksum: names the data in signatures.
        vocabulary: the pieces; `piece()` is its method of that name.
        start: the context at a document's start.
        end: the id of the break, which ends every paragraph and so every document.
        class_logprob: for a class of unknown words, ln of its share of all pieces (nats); 0 for every other piece.
            A word w outside the vocabulary has ln P(w | h) = ln P(class | h) + ln P_lexicon(w) - class_logprob[class].
    """

    def __init__(self, vocabulary: Vocabulary, trie: Trie, checksum: str = "") -> None:
        self.vocabulary = vocabulary
        self.piece = vocabulary.piece
        self.order = len(trie.contexts) + 1
        self.checksum = checksum
        self.start: Context = (vocabulary.id(START),)
        self.end = vocabulary.id(BREAK)
        self.class_logprob = np.zeros(len(vocabulary), dtype=np.float32)
        self.class_logprob[FIRST_CLASS:END_CLASS] = trie.class_logprob
        self._trie = trie
        self._unigrams = costs(trie.unigrams)
        self._known: dict[int, int] = dict(enumerate(self._unigrams.tolist()))
        self._nodes: dict[Context, _Node] = {}
        self._masks: dict[int, _Allowed] = {}
        self._spent = [0] * self.order
        self._pool = _Pool(np.zeros(len(vocabulary), dtype=np.bool_), self._unigrams)
        self._forget()

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> NgramModel:
        """Open a bundle made by `restore train ngram`.

        Raises:
            ResourceError: it is missing, damaged, or of another version.
        """
        bundle = open_bundle(folder, FORMAT, VERSION)
        listed, packed = bundle.file(VOCABULARY), bundle.file(TENSORS)
        try:
            vocabulary = Vocabulary(listed.read_text(encoding="utf-8").removesuffix("\n").split("\n"))
        except ValueError as error:
            raise ResourceError(BAD_FILE.format(path=listed, why=error)) from error
        try:
            trie = read_trie(map_tensors(packed), len(vocabulary))
        except ValueError as error:
            raise ResourceError(BAD_FILE.format(path=packed, why=error)) from error
        return cls(vocabulary, trie, bundle.checksum)

    def is_class(self, piece: int) -> bool:
        """Tell a class of unknown words from the pieces of the vocabulary."""
        return FIRST_CLASS <= piece < END_CLASS

    def push(self, context: Context, piece: int) -> Context:
        """Return the context after one more piece.

        It is cut to what can still matter, without loss: contexts that are equal have equal futures.
        """
        node = self._nodes.get(context) or self._find(context)
        if node.deep:
            node = node.lower
        return (node.next.get(piece) or self._after(node, piece)).context

    def logprob(self, context: Context, piece: int) -> float:
        """Return ln P(piece | context), nats."""
        return self._cost(self._nodes.get(context) or self._find(context), piece) / -NAT

    def scores(self, context: Context, pieces: Iterable[int]) -> list[float]:
        """Return ln P(piece | context), nats, for each of some ids."""
        node, cost = self._nodes.get(context) or self._find(context), self._cost
        return [cost(node, piece) / -NAT for piece in pieces]

    def logprobs(self, context: Context, pieces: npt.NDArray[Any]) -> LogProbs:
        """Return ln P(piece | context), nats, for an array of ids."""
        return np.array(self.scores(context, pieces.tolist()), dtype=np.float32)

    def best(self, context: Context, allowed: Mask, k: int) -> Best:
        """Return the k likeliest pieces after a context among those allowed, and their ln P (nats), best first.

        The answer is exact; equals stand in the order of their ids. Masks that allow some hundreds of pieces are quick.

        Args:
            context: as for `logprob`.
            allowed: a mask over all ids, known by its identity: make a new one instead of changing it.
            k: how many; fewer come back if fewer are allowed.
        """
        node = self._nodes.get(context) or self._find(context)
        chosen = self._masks.get(id(allowed)) or self._prepare(allowed)
        answer = node.answers.get((chosen.number, k))
        if answer is None:
            # Nothing longer builds on a deep node's ranking, so only the answer is worth keeping.
            ranked = self._merge(node, chosen, k) if node.deep and node.few else self._rank(node, chosen, k)[:k]
            pieces = [number & 0xFFFF for number in ranked]
            logprobs = [(number >> 16 << 16) / -NAT for number in ranked]
            answer = node.answers[chosen.number, k] = tuple(pieces), tuple(logprobs)
            self._spend(node, _ANSWER + 2 * _RANKED * k)
        return answer

    def continuations(self, context: Context, allowed: Mask, k: int) -> tuple[Pieces, LogProbs]:
        """Return what `best` returns as arrays."""
        pieces, logprobs = self.best(context, allowed, k)
        return np.array(pieces, dtype=np.int64), np.array(logprobs, dtype=np.float32)

    def _find(self, context: Context) -> _Node:
        """Return the node of the longest end of a context that the trie has with children."""
        node = self._nodes[()]
        for piece in context[1 - self.order :]:
            node = self._after(node, piece)
        return node

    def _after(self, node: _Node, piece: int) -> _Node:
        """Return the node of the context after one more piece."""
        if node.deep:
            node = node.lower
        after = node.next.get(piece)
        if after is None:
            row, after = piece, node
            if node.context:
                row, after = node.ngrams.row(piece, node.low, node.high), self._after(node.lower, piece)
            found = None if row < 0 else self._trie.contexts[len(node.context)].children(row)
            if found is not None:
                context = (*node.context, piece)
                size = len(context)
                after = _Node(context, after, size == self.order - 1, self._trie.ngrams[size - 1], *found)
                self._nodes[context] = after
                self._spend(after, _NODE + _KNOWN * len(after.known))
            node.next[piece] = after
            self._spend(node, _KNOWN)
        return after

    def _cost(self, node: _Node, piece: int) -> int:
        """Return the cost of a piece after a node's context."""
        total = 0
        while True:
            cost = node.known.get(piece)
            if cost is not None:
                return total + cost
            if not node.few:
                return total + self._search(node, piece)
            total += node.backoff
            node = node.lower

    def _search(self, node: _Node, piece: int) -> int:
        """Look for a piece among the many children of a node, and remember its cost."""
        if node.lower is node:
            raise IndexError(f"no piece has the id {piece}")
        cost = node.ngrams.cost(piece, node.low, node.high)
        if cost is None:
            cost = node.backoff + self._cost(node.lower, piece)
        node.known[piece] = cost
        self._spend(node, _KNOWN)
        return cost

    def _prepare(self, mask: Mask) -> _Allowed:
        """Prepare a mask and the pool that it is ranked in, which small masks share."""
        if np.count_nonzero(mask) > _SHARED:
            pool = _Pool(mask, self._unigrams)
        else:
            pool = self._pool
            if (mask & ~pool.allowed).any():
                both = mask | pool.allowed
                pool = _Pool(both if np.count_nonzero(both) <= 4 * _SHARED else mask, self._unigrams)
                self._forget()
                self._pool = pool
        allowed = self._masks[id(mask)] = _Allowed(mask, pool)
        self._spend(self._nodes[()], 2 * mask.size)
        return allowed

    def _rank(self, node: _Node, allowed: _Allowed, size: int) -> Ranking:
        """Return the likeliest allowed pieces after a node's context: `size` of them or more, or all."""
        ranked = node.ranked.get(allowed.number)
        if ranked is None or len(ranked) < min(size, allowed.size):
            ranked = self._merge(node, allowed, size) if node.few else self._sort(node, allowed, size)
            node.ranked[allowed.number] = ranked
            self._spend(node, _RANKED * len(ranked))
        return ranked

    def _merge(self, node: _Node, allowed: _Allowed, size: int) -> Ranking:
        """Rank after a node with few children: these, and the best after the next shorter context."""
        known, flags, backoff = node.known, allowed.flags, node.backoff
        ranked = [cost | piece for piece, cost in known.items() if flags[piece]]
        wanted = size + len(ranked)
        lower = self._rank(node.lower, allowed, wanted)[:wanted]
        ranked += [number + backoff for number in lower if (number & 0xFFFF) not in known]
        ranked.sort()
        return tuple(ranked[:size])

    def _sort(self, node: _Node, allowed: _Allowed, size: int) -> Ranking:
        """Rank after a node with many children; return twice as many as wanted, as longer contexts will want more."""
        pool = allowed.pool
        numbers = node.pooled.get(pool.number)
        if numbers is None:
            numbers = node.pooled[pool.number] = np.sort(self._numbers(node, pool)[:-1])
            self._spend(node, numbers.nbytes)
        return tuple(numbers[allowed.mask[numbers & 0xFFFF]][: max(2 * size, _FEW)].tolist())

    def _numbers(self, node: _Node, pool: _Pool) -> npt.NDArray[np.int64]:
        """Return `cost | piece` of each piece of a pool after a node's context, and at last what means nothing."""
        if node.lower is node:
            return pool.unigrams
        numbers = self._numbers(node.lower, pool) + node.backoff
        ngrams, children = node.ngrams, slice(node.low, node.high)
        pieces = ngrams.pieces[children]
        numbers[pool.slots[pieces]] = ngrams.costs[ngrams.codes[children]] | pieces
        return numbers

    def _spend(self, node: _Node, size: int) -> None:
        length = len(node.context)
        self._spent[length] += size
        if self._spent[length] > CACHE_BYTES:
            self._forget(length)

    def _forget(self, length: int = 0) -> None:
        """Forget contexts of a length and longer. A thread that still holds one goes on with it, and it stays right."""
        before = list(self._nodes.values())  # at once: other threads may be adding to them
        kept = {node.context: node for node in before if len(node.context) < length}
        if not length:
            kept[()] = _Node((), None, False, self._trie.ngrams[0], 0, 0, 0)
            kept[()].known = self._known
            self._masks = {}
        self._nodes = kept
        self._spent[length:] = [0] * (self.order - length)
        for node in before:
            if len(node.context) >= length - 1:
                node.next = {}  # leads to what is forgotten, and back in circles

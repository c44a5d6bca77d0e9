"""The n-gram model behind the language-model protocol: one id a unit."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from restore.models.base import Encoded, Expansion, Request, Trie, Window, pieces_of
from restore.models.ngram import NgramModel
from restore.units import is_word, segment, sentence_starts

WINDOW = Window(before=8, width=384, ahead=32)


class WordModel:
    """Walks an n-gram model for the decoder. A state is the model's context: the last few ids."""

    def __init__(self, model: NgramModel) -> None:
        self._model = model

    @property
    def name(self) -> str:
        """The engine's name with the checksum of its data."""
        return f"fast:{self._model.checksum}"

    @property
    def checksum(self) -> str:
        """What names its data in signatures."""
        return self._model.checksum

    @property
    def window(self) -> Window | None:
        """Wide windows, which only bound memory: the model looks back a few words."""
        return WINDOW

    @property
    def merges_marks(self) -> bool:
        """False: each mark is a unit."""
        return False

    @property
    def takes_runs(self) -> bool:
        """False: a unit's ids are few."""
        return False

    @property
    def streams(self) -> Sequence[WordModel]:
        """Itself: to count takes no time."""
        return (self,)

    def begin(self, source: Sequence[str], prefix: str = "") -> Any:
        """Return the context after the prefix; the n-gram model does not look at the input."""
        state = self._model.start
        units = segment(prefix)
        for place, (unit, initial) in enumerate(zip(units, sentence_starts(units), strict=True)):
            following = not is_word(unit) and place + 1 < len(units) and units[place + 1][:1].isalnum()
            state = self._model.push(state, self._model.piece(unit, initial=initial, joiner=following))
        return state

    def encode(self, text: str, *, initial: bool, touched: bool, logprob: float) -> Encoded | None:
        """Return the pieces of a string of units; a word outside the vocabulary is its class and its own share of it."""
        units = segment(text)
        ids, bonus = [], 0.0
        for place, unit in enumerate(units):
            following = not is_word(unit) and (units[place + 1][:1].isalnum() if place + 1 < len(units) else touched)
            piece = self._model.piece(unit, initial=initial and place == 0, joiner=following)
            ids.append(piece)
            if self._model.is_class(piece) and unit.strip(" ").isalpha():
                bonus += logprob - float(self._model.class_logprob[piece])
        return Encoded(tuple(ids), bonus) if ids else None

    def follow(self, state: Any, encoded: Encoded) -> tuple[float, Any]:
        """Return the log-probability of pieces after a context with what is to be added to it, in nats, and the context then."""
        logprob = self.score(state, encoded)
        for piece in encoded.ids:
            state = self._model.push(state, piece)
        return logprob, state

    def score(self, state: Any, encoded: Encoded) -> float:
        """Return the log-probability of pieces after a context with what is to be added to it, in nats."""
        logprob = encoded.bonus
        for place, piece in enumerate(encoded.ids):
            if place:
                state = self._model.push(state, encoded.ids[place - 1])
            logprob += self._model.logprob(state, piece)
        return logprob

    def expand(self, requests: Sequence[Request]) -> list[Expansion]:
        """Move each context on and look up what may follow."""
        return [self._expand(request) for request in requests]

    def _expand(self, request: Request) -> Expansion:
        model, state = self._model, request.state
        for piece in pieces_of(request.pending):
            state = model.push(state, piece)
        insertions: Sequence[tuple[int, float]] = ()
        if request.insertions is not None and len(request.insertions.ids):
            mask, children = _mask(request.insertions, len(model.class_logprob))
            ids, logprobs = model.best(state, mask, request.best)
            insertions = [(children[piece], logprob) for piece, logprob in zip(ids, logprobs, strict=True)]
        forms: Sequence[float] = ()
        if request.forms is not None:
            forms = model.scores(state, _ids(request.forms))
        return Expansion(state, insertions, forms)

    def key(self, state: Any, pending: int | tuple[int, ...] | None) -> Hashable | None:
        """Return the context: all that the future depends on."""
        for piece in pieces_of(pending):
            state = self._model.push(state, piece)
        return state  # type: ignore[no-any-return]


def _mask(node: Trie[Any], size: int) -> tuple[Any, dict[int, int]]:
    """Return a node's ids as a mask over the vocabulary, and the child of each id; remembered at the node."""
    if node.cache is None:
        mask = np.zeros(size, dtype=bool)
        mask[node.ids] = True
        node.cache = (mask, {int(piece): child for child, piece in enumerate(node.ids)})
    return node.cache  # type: ignore[no-any-return]


def _ids(node: Trie[Any]) -> list[int]:
    """Return a node's ids as a list; remembered at the node."""
    if node.cache is None:
        node.cache = node.ids.tolist()
    return node.cache  # type: ignore[no-any-return]

"""The neural model behind the language-model protocol: a small Llama that reads the stripped text, then writes the prose.

It reads and writes one sequence of pieces (`restore.training.pairs.Window` says how it is trained):

    <|im_start|> encode(" " + source) <|im_end|> encode(prefix) encode(restored text)

The pieces before <|im_end|> see each other both ways, all others only what is before them: a *prefix language model* (Raffel
et al. 2020, https://arxiv.org/abs/1910.10683, section 3.2.1). The source is known as a whole, so nothing need be hidden of it.

A unit's ids are the pieces that the tokenizer makes of it. Units are cut where the tokenizer cuts before it merges, so
the pieces of a text are those of its units, one after the other; runs of marks such as `."` are one piece, and one insertion.

All that several searches ask is answered in as few runs of the network as there is room for. Texts that are new are read
first, together.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from restore.bundle import BAD_FILE, open_bundle
from restore.errors import ResourceError
from restore.models.base import Encoded, Expansion, Request, Window, expansion_of, pieces_of
from restore.models.batch import Batch, Feed, Floats, Integers, batch_of
from restore.models.network import EMBEDDING, HEAD_WEIGHT, SCALE, Network, available_threads, unpack
from restore.models.pool import NONE_SEEN, RECALLED, Lane, Pool, State
from restore.models.shape import Shape
from restore.tensors import map_tensors

FORMAT, VERSION = "restore-neural", 2
GRAPH, TOKENIZER = "graph.onnx", "tokenizer.json"
START, SEPARATOR, END = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
SPECIALS = (START, SEPARATOR, END)
SEQUENCE_FIELD, SEQUENCE = "restore_sequence", 2
"""What training writes into the `config.json` of a model that has learnt the sequence above, and its version: in the first, the
source was read from left to right."""

WINDOW = Window(before=30, width=110, ahead=10, shown=15, first=12, parts=8, least=54)
"""Within what the model saw in training."""
STREAMS = 2
"""So many runs of the network at a time, a core each, are a fifth quicker than one after the other on all cores; and while one
stream runs, the search moves the hypotheses of the other on."""
MOST_ROWS = 128
"""Pieces in one run, when texts are written."""
MOST_PROMPT_ROWS = 1024
"""Pieces in one run, when texts are read."""
MOST_SOURCE, MOST_PREFIX = 768, 256
"""Pieces of a window's source and prefix, beyond which they are cut: several times what words need."""
MOST_CHARACTERS = 256
"""Characters of a token that are read at all: one of a megabyte is a token like any other."""
MOST_PIECES = 32
"""Pieces of one unit, beyond which the model is spared the rest of it."""


class NeuralModel:
    """Walks a Llama for the decoder. Safe to use from several threads; they take turns, but for those of different streams.

    Args:
        network, embedding, shape, tokenizer: the Llama.
        checksum: what names its data.
        streams: in how many ways it may be asked at the same time.
    """

    def __init__(
        self,
        network: Network,
        embedding: Embedding,
        shape: Shape,
        tokenizer: Tokenizer,
        checksum: str = "",
        streams: int = 1,
    ) -> None:
        self._network = network
        self._embedding = embedding
        self._shape = shape
        self._tokenizer = tokenizer
        self._checksum = checksum
        self._separator, self._end = special(tokenizer, SEPARATOR), special(tokenizer, END)
        if tokenizer.get_vocab_size() != shape.vocabulary:
            raise ValueError("the tokenizer is not the model's")
        self._pool = Pool(shape)
        self._lock = Lock()
        self._pieces = lru_cache(maxsize=1 << 16)(self._encoded)
        self._others = [NeuralModel(network, embedding, shape, tokenizer, checksum) for _ in range(streams - 1)]

    @classmethod
    def open(cls, folder: str | os.PathLike[str], threads: int | None = None) -> NeuralModel:
        """Open a bundle made by `restore.training.export`.

        Args:
            folder: the bundle's folder.
            threads: how many cores to use; all that there are if not given.

        Raises:
            ResourceError: it is missing, damaged, or of another version.
        """
        bundle = open_bundle(folder, FORMAT, VERSION)
        threads = threads or available_threads()
        graph = bundle.file(GRAPH).read_bytes()
        text = bundle.file(TOKENIZER).read_text(encoding="utf-8")
        arrays: dict[str, npt.NDArray[Any]] = {}
        for name in bundle.card["files"]:
            if name.endswith(".safetensors"):
                arrays.update(map_tensors(bundle.file(name)))
        try:
            shape = Shape.from_dict(bundle.card.get("shape") or {})
            tokenizer = Tokenizer.from_str(text)
            constants = unpack(arrays, shape, threads)
            embedding = Embedding(constants)
            streams = min(STREAMS, threads)
            network = Network(graph, constants, threads - streams + 1)
            return cls(network, embedding, shape, tokenizer, bundle.checksum, streams)
        except Exception as error:  # tokenizers and the runtime raise plain exceptions
            raise ResourceError(BAD_FILE.format(path=bundle.folder, why=str(error))) from error

    @property
    def name(self) -> str:
        """The engine's name with the checksum of its data."""
        return f"neural:{self._checksum}"

    @property
    def streams(self) -> Sequence[NeuralModel]:
        """It, and others that share its network: each has keys and values of its own."""
        return self, *self._others

    @property
    def window(self) -> Window | None:
        """How a long text is cut for the model."""
        return WINDOW

    @property
    def merges_marks(self) -> bool:
        """Runs of marks have ids of their own."""
        return True

    @property
    def takes_runs(self) -> bool:
        """Pieces without a choice between them are fed at once."""
        return True

    def begin(self, source: Sequence[str], prefix: str = "") -> State:
        """Return the state at the start of a text or window. It is read when it is first asked about."""
        lane = Lane(prompt_of(self._tokenizer, source, prefix))
        return State(lane, lane.root, lane.prompt[-1:])

    def encode(self, text: str, *, initial: bool, touched: bool, logprob: float) -> Encoded | None:
        """Return the pieces of a unit, or of a run of marks."""
        return self._pieces(text)

    def _encoded(self, text: str) -> Encoded | None:
        ids = plain_pieces(self._tokenizer, text)[:MOST_PIECES]
        return Encoded(ids) if ids else None

    def key(self, state: State, pending: int | tuple[int, ...] | None) -> Hashable | None:
        """Return the last pieces of a text, and the window that it is of: what lies further back changes little in what follows.

        So of two hypotheses that differ only long ago the better one stands for both, as when lattices are rescored by models
        that recall all of a text (Liu et al. 2014, https://doi.org/10.1109/ICASSP.2014.6854535).
        """
        return state.lane.serial, (*state.node.recent, *pieces_of(pending))[-RECALLED:]

    def expand(self, requests: Sequence[Request]) -> list[Expansion]:
        """Feed what is pending and look ahead, all requests in as few runs as there is room for."""
        with self._lock:
            lanes = list({request.state.lane.serial: request.state.lane for request in requests}.values())
            self._read(lanes)
            assert all(lane.pool is self._pool for lane in lanes), "a text is asked about through one stream"
            self._pool.fit()
            for lane in lanes:
                lane.begin_round()
            alike: dict[Hashable, _Asked] = {}
            order = []
            for request in requests:
                one = _Asked(request)
                order.append(alike.setdefault(one.key, one))
                order[-1].requests.append(request)
            asked = list(alike.values())
            expansions: dict[Hashable, Iterator[Expansion]] = {}
            at = 0
            while at < len(asked):
                end, rows = at, 0
                while end < len(asked) and (end == at or rows + len(asked[end].pieces) <= MOST_ROWS):
                    rows += len(asked[end].pieces)
                    end += 1
                expansions.update(zip([one.key for one in asked[at:end]], self._write(asked[at:end]), strict=True))
                at = end
            return [next(expansions[one.key]) for one in order]

    def logprobs(self, source: Sequence[str], prefix: str, target: str) -> Floats:
        """Return ln P of each piece of a target text, and of the text's end after it, in nats."""
        prompt = prompt_of(self._tokenizer, source, prefix)
        pieces = (*prompt, *plain_pieces(self._tokenizer, target), self._end)
        shape = self._shape
        feed = Feed(0, pieces[:-1], 0, 0, NONE_SEEN, len(prompt) - 1, prompt.index(self._separator))
        nothing = np.zeros((2 * shape.layers, 1, shape.groups, 1, shape.head_width), np.float32)
        found, _ = self._run(batch_of([feed], 1, 1, shape.heads // shape.groups, shape.positions), nothing)
        rows: Floats = found[np.arange(len(found)), np.array(pieces[len(prompt) :])]
        return rows

    def _read(self, lanes: Sequence[Lane]) -> None:
        """Feed the prompts of new lanes, all but the last piece of each."""
        waiting = [lane for lane in lanes if not lane.filled]
        while waiting:
            number, longest = 0, 0
            for lane in waiting:
                longest = max(longest, len(lane.prompt))
                if number and longest * (number + 1) > MOST_PROMPT_ROWS:
                    break
                number += 1
            feeds = [
                Feed(place, lane.prompt[:-1], 0, 0, NONE_SEEN, source=lane.prompt.index(self._separator))
                for place, lane in enumerate(waiting[:number])
            ]
            for feed in feeds:
                feed.wanted = len(feed.pieces) - (feed is feeds[0])  # the graph wants at least one
            shape = self._shape
            nothing = np.zeros((2 * shape.layers, number, shape.groups, 1, shape.head_width), np.float32)
            _, new = self._run(batch_of(feeds, number, 1, shape.heads // shape.groups, shape.positions), nothing)
            self._pool.fit(number, max(lane.room for lane in waiting[:number]))
            for feed, lane in zip(feeds, waiting, strict=False):
                place = lane.enter(self._pool)
                self._pool.data[:, place, :, : len(feed.pieces)] = new[feed.lane, :, :, : len(feed.pieces)]
            del waiting[:number]

    def _write(self, asked: Sequence[_Asked]) -> list[Iterator[Expansion]]:
        """Feed pieces of texts, keep their keys and values, and look ahead: for each, once for each of its requests."""
        shape, pool = self._shape, self._pool
        states, slots = [], list[int]()
        for one in asked:
            lane, node = one.lane, one.node
            if not one.again:
                node = lane.add(node, one.pieces)
            states.append(State(lane, node))
            slots.extend([-1] if one.again else node.slots)
        numbers = [state.lane.number for state in states]
        low, high = min(numbers), max(numbers) + 1
        feeds = [one.feed(number - low) for one, number in zip(asked, numbers, strict=True)]
        batch = batch_of(feeds, high - low, pool.slots, shape.heads // shape.groups, shape.positions)
        logprobs, new = self._run(batch, pool.data[:, low:high])
        places = np.array(slots)
        rows = np.flatnonzero(places >= 0)
        lanes = batch.lanes[rows]
        pool.data[:, lanes + low, :, places[rows]] = new[lanes, :, :, batch.places[rows]]
        expansions = []
        for one, state, first in zip(asked, states, batch.heads, strict=True):
            passed = one.pieces[one.wanted + 1 :]
            known = [float(logprobs[first + number, piece]) for number, piece in enumerate(passed)]
            row = logprobs[first + len(passed)]
            expansions.append(iter([expansion_of(request, state, row, known) for request in one.requests]))
        return expansions

    def _run(self, batch: Batch, past: Floats) -> tuple[Floats, Floats]:
        """Run the network; return log-probabilities, and new keys and values [d, 2 * layers, groups, r, width]."""
        shape = self._shape
        logprobs, new = self._network.run(self._embedding.rows(batch.pieces), batch, past)
        return logprobs, new.reshape(len(new), 2 * shape.layers, shape.groups, -1, shape.head_width)


class Embedding:
    """The vectors that pieces come in as: the weights of the head, unless the model has others."""

    def __init__(self, constants: dict[str, npt.NDArray[Any]]) -> None:
        """Take them from the constants of a graph, and out of these if the graph has no use for them.

        Raises:
            ValueError: there are none.
        """
        table = constants.pop(EMBEDDING, constants.get(HEAD_WEIGHT))
        scale = constants.pop(EMBEDDING + SCALE, constants.get(HEAD_WEIGHT + SCALE))
        if table is None or table.ndim != 2:
            raise ValueError("there is no embedding")
        self._table = np.ascontiguousarray(table.T)  # [vocabulary, width], integers if there are scales
        self._scale = scale

    def rows(self, pieces: Integers) -> Floats:
        """Return the vectors of pieces, [n, width]."""
        found = self._table[pieces].astype(np.float32)
        return found if self._scale is None else found * self._scale[pieces, None]


def plain_pieces(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    """Encode a text in which the names of special pieces mean nothing."""
    if not text:
        return ()
    specials = {tokenizer.token_to_id(piece) for piece in SPECIALS}
    return tuple(piece for piece in tokenizer.encode(text, add_special_tokens=False).ids if piece not in specials)


def prompt_of(tokenizer: Tokenizer, source: Sequence[str], prefix: str) -> tuple[int, ...]:
    """Return the pieces that come before what is to be written. Overlong ones are cut."""
    source = [word[:MOST_CHARACTERS] for word in source]
    words = plain_pieces(tokenizer, " " + " ".join(source))
    if len(words) > MOST_SOURCE:  # tokens that are no words: show the beginning of each
        words = tuple(piece for word in source for piece in plain_pieces(tokenizer, " " + word)[:MOST_PIECES])
    words, given = words[:MOST_SOURCE], plain_pieces(tokenizer, prefix[-MOST_CHARACTERS * MOST_PREFIX :])[-MOST_PREFIX:]
    return (special(tokenizer, START), *words, special(tokenizer, SEPARATOR), *given)


def special(tokenizer: Tokenizer, piece: str) -> int:
    """Return the id of a special piece.

    Raises:
        ValueError: there is none.
    """
    number = tokenizer.token_to_id(piece)
    if number is None:
        raise ValueError(f"the tokenizer lacks {piece}")
    return int(number)


class _Asked:
    """Requests that ask about the same text, with what has to be fed for them: pieces after a node that has its slots.

    A word and the beginning of a longer one are the same pieces.
    """

    __slots__ = ("again", "lane", "node", "pieces", "requests", "wanted")

    def __init__(self, request: Request) -> None:
        state: State = request.state
        pending = pieces_of(request.pending)
        self.requests: list[Request] = []
        self.lane = state.lane
        self.node, refed = state.lane.ask(state.node)
        self.pieces = refed + state.unfed + pending
        self.wanted = len(refed) + len(state.unfed) - (not pending)
        self.again = not self.pieces
        if self.again:  # the last piece once more, to see what follows it; nothing of it is kept
            self.pieces = self.node.pieces[-1:]
            self.wanted = 0

    @property
    def key(self) -> Hashable:
        """What is the same for those that one feed answers."""
        return id(self.node), self.pieces, self.wanted, self.again

    def feed(self, lane: int) -> Feed:
        """Return what to feed, in a run where the lane has this number."""
        node, prompt = self.node, len(self.lane.prompt) - 1
        if self.again:
            return Feed(lane, self.pieces, node.length - 1, prompt, node.seen[:-1])
        return Feed(lane, self.pieces, node.length, prompt, node.seen, self.wanted)

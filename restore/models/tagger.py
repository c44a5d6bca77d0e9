"""The tagger: small encoders that read the stripped text on both sides of each gap, and say what they take it to hold.

The language model writes from left to right, and a search drops what looks bad so far; the tagger has read what follows. The
decoder adds the two opinions up (`restore.opinion`). An encoder is a BERT (Devlin et al. 2019) or an MPNet (Song et al. 2020)
with a layer for gaps and one for tokens on top; where there are several, the mean of their logits counts.
`restore.training.tagger` says how they are trained.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from restore.bundle import BAD_FILE, open_bundle
from restore.errors import ResourceError
from restore.models.network import SCALE, available_threads, inflate, open_session
from restore.tags import NO_WORD, OTHER_EDIT, OTHER_WORD, Case, Mark, Tags
from restore.tensors import map_tensors

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[Any]

FORMAT, VERSION = "restore-tagger", 2
GRAPH, TOKENIZER, WEIGHTS = "graph.onnx", "tokenizer.json", "weights.safetensors"
BEGIN, END = "[CLS]", "[SEP]"

EMBEDDING = "words"
"""The weight that holds the vectors of pieces."""
LAYERED = ("qkv", "out", "up", "down")
"""The last parts of the names of weights that the graph takes as integers: the matrices of layers."""
MOST_NUMBERS = 1 << 27
"""Numbers of all weights together, beyond which they are none of ours."""
HIGHEST_SCALE = 1e6
"""That a matrix's integers are multiplied by; more could pass the largest float."""
MOST_PIECES = 6
"""Pieces of a token that are read."""
MOST_LETTERS = 16 * MOST_PIECES
"""Characters of a token that are read."""
MOST_ROW = 480
"""Pieces of a row, beyond which one piece of each token is read: the encoder knows 512 places."""


class Tagger:
    """Tags texts. Safe to use from several threads."""

    def __init__(
        self, graph: bytes, arrays: Mapping[str, Array], tokenizer: Tokenizer, words: Sequence[str], edits: Sequence[str],
        threads: int, checksum: str = "",
    ) -> None:  # fmt: skip
        """Make a tagger of its parts.

        Args:
            graph: the ONNX file.
            arrays: the weights, as a bundle stores them.
            tokenizer: makes the encoder's pieces.
            words: the words that have tags, by number.
            edits: likewise the edits.
            threads: how many cores to use.
            checksum: what names the data in signatures.

        Raises:
            ValueError: they do not fit together.
        """
        self._tables: list[tuple[str, npt.NDArray[np.int8], Array]] = []
        while (name := prefix_of(len(self._tables)) + EMBEDDING) in arrays or not self._tables:
            scale = np.array(arrays[name + SCALE])  # a copy: a view would keep the whole mapped file in memory
            table = integers(name, arrays[name], scale)
            self._tables.append((f"{prefix_of(len(self._tables))}x", table, scale))
        tables = {name for number in range(len(self._tables)) for name in _with_scale(prefix_of(number) + EMBEDDING)}
        constants = unpacked({name: array for name, array in arrays.items() if name not in tables})
        # It runs seldom: what a run needs is given back in between.
        self._session, self._held = open_session(graph, constants, threads, arena=False)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self.checksum = checksum
        self.words = {word: number for number, word in enumerate(words)}
        self.edits = {edit: number for number, edit in enumerate(edits)}
        if NO_WORD not in self.words or OTHER_WORD not in self.words or OTHER_EDIT not in self.edits:
            raise ValueError("it lacks a tag that stands for the others")
        self._begin, self._end = ends_of(tokenizer)
        self._pieces = lru_cache(maxsize=1 << 15)(self._encoded)
        if tokenizer.get_vocab_size() > min(len(table) for _, table, _ in self._tables):
            raise ValueError("the tokenizer is not the model's")
        tried = self.tag([NO_WORD])
        for name, known in (("marks", Mark), ("first", self.words), ("last", self.words), ("held", self.words),
                            ("edits", self.edits), ("cases", Case)):  # fmt: skip
            if getattr(tried, name).shape != (1, len(known)):
                raise ValueError(f"its {name} are not those that its card names")

    @classmethod
    def open(cls, folder: str | os.PathLike[str], threads: int | None = None) -> Tagger:
        """Open a bundle made by `restore train tagger`.

        Args:
            folder: the bundle's folder.
            threads: how many cores to use; all that there are if not given.

        Raises:
            ResourceError: it is missing, damaged, or of another version.
        """
        bundle = open_bundle(folder, FORMAT, VERSION)
        graph = bundle.file(GRAPH).read_bytes()
        text = bundle.file(TOKENIZER).read_text(encoding="utf-8")
        arrays = map_tensors(bundle.file(WEIGHTS))
        try:
            words, edits = bundle.card["words"], bundle.card["edits"]
            tokenizer = Tokenizer.from_str(text)
            return cls(graph, arrays, tokenizer, words, edits, threads or available_threads(), bundle.checksum)
        except Exception as error:  # tokenizers and the runtime raise plain exceptions
            raise ResourceError(BAD_FILE.format(path=bundle.folder, why=str(error))) from error

    def _encoded(self, token: str) -> tuple[int, ...]:
        pieces = self._tokenizer.encode(token, add_special_tokens=False).ids[:MOST_PIECES]
        return tuple(pieces) or (self._end,)

    def tag(self, tokens: Sequence[str], start: int = 0, stop: int | None = None) -> Tags:
        """Tag tokens.

        Args:
            tokens: stripped tokens, at most as many as the encoder has places for.
            start: the first token to tag, by its place in `tokens`.
            stop: the one after the last; the end if not given.
        """
        pieces = [self._pieces(token[:MOST_LETTERS]) for token in tokens]
        if sum(map(len, pieces)) > MOST_ROW:
            pieces = [found[:1] for found in pieces]
        row = [self._begin]
        heads, tails = [], [0]
        for found in pieces:
            heads.append(len(row))
            row.extend(found)
            tails.append(len(row) - 1)
        row.append(self._end)
        stop = len(tokens) if stop is None else stop
        numbers = np.array(row, np.int64)
        feeds = {
            **{name: table[numbers] * scale[numbers] for name, table, scale in self._tables},
            "order": np.arange(len(row), dtype=np.int64),
            "before": np.array(tails[start:stop], np.int64),
            "after": np.array(heads[start:stop], np.int64),
        }
        return Tags(*self._session.run(None, feeds))


def prefix_of(number: int) -> str:
    """Return what the names of an encoder's weights begin with."""
    return f"e{number}." if number else ""


def is_layered(name: str) -> bool:
    """Tell whether a weight is the matrix of a layer."""
    return name.rpartition(".")[2] in LAYERED


def _with_scale(name: str) -> tuple[str, str]:
    return (name, name + SCALE)


def ends_of(tokenizer: Tokenizer) -> tuple[int, int]:
    """Return the pieces that open and close a row.

    Raises:
        ValueError: the tokenizer lacks one.
    """
    begin, end = (tokenizer.token_to_id(name) for name in (BEGIN, END))
    if begin is None or end is None:
        raise ValueError(f"the tokenizer lacks {BEGIN} or {END}")
    return begin, end


def unpacked(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return weights as the graph takes them, from what a bundle stores: the matrices of layers as integers, others as floats.

    Raises:
        ValueError: they cannot be unpacked.
    """
    layered = [name for name in arrays if is_layered(name) and name + SCALE in arrays]
    taken = {full for name in layered for full in _with_scale(name)}
    made = floats({name: array for name, array in arrays.items() if name not in taken})
    room = MOST_NUMBERS - sum(array.size for array in made.values())
    for name in layered:
        scale = np.array(arrays[name + SCALE])
        made[name] = integers(name, arrays[name], scale[None], room)
        made[name + SCALE] = scale
        room -= made[name].size
    return made


def floats(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return weights as floats, from what a bundle stores: packed integers with a scale for each row or column.

    Raises:
        ValueError: they cannot be unpacked.
    """
    made: dict[str, Array] = {}
    room = MOST_NUMBERS
    for name, array in arrays.items():
        scale = arrays.get(name + SCALE)
        if scale is not None:
            made[name] = np.ascontiguousarray(integers(name, array, scale, room) * scale, np.float32)
            room -= made[name].size
        elif not name.endswith(SCALE):
            if not np.isfinite(array).all():
                raise ValueError(f"weight {name!r} has numbers that are none")
            made[name] = np.array(array)
    return made


def integers(name: str, packed: Array, scale: Array, most: int = MOST_NUMBERS) -> npt.NDArray[np.int8]:
    """Unpack a matrix of integers.

    Args:
        name: what it is called where something is wrong with it.
        packed: what `restore.models.network.pack` made of it.
        scale: its scales, [rows, 1] or [1, columns].
        most: how many numbers it may have.

    Raises:
        ValueError: it cannot be unpacked.
    """
    data = inflate(name, packed, most)
    if not (scale.size and scale.ndim == 2 and 1 in scale.shape) or len(data) % scale.size:
        raise ValueError(f"weight {name!r} has not the numbers of its shape")
    # Written so that NaN fails.
    if not (np.abs(scale) <= HIGHEST_SCALE).all():
        raise ValueError(f"weight {name!r} has a scale beyond {HIGHEST_SCALE:g}")
    return np.frombuffer(data, np.int8).reshape((len(scale), -1) if scale.shape[1] == 1 else (-1, scale.size))

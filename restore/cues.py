"""Cues: how likely a word that turns the sense was dropped from a gap, by the words around it.

A search finds few of the negations that were dropped: `found compelling reason` reads well without one. What tells of
them are words such as `anything`, `longer` or a bare verb where a subject stands before. For each kind of
`restore.flags` a logistic regression has learned from running text which words, and pairs of them, stand around a
dropped word of that kind. Its features are hashed (Weinberger et al. 2009): feature `slot, word, word` has the weight at
the top 18 bits of

    x = (crc32(word) + slot) * M0, and for a pair then (x ^ crc32(word) * M1) * M2       modulo 2^64

Words are the input's tokens, whole and by their first five letters, so that the table serves lemmatised and stemmed text
alike. A bundle holds, for each kind, the weights in one byte each, with their scale:

    KIND.weights  uint8   [2^18]   (value - 128) * scale, in nats
    KIND.scale    float32 [1]
    KIND.bias     float32 [1]      the log odds where there is no feature
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from restore.bundle import BAD_FILE, open_bundle
from restore.errors import ResourceError
from restore.tensors import Array, map_tensors

Keys: TypeAlias = NDArray[np.uint64]

FORMAT, VERSION = "restore-cues", 1
FILE = "cues.safetensors"
BITS = 18
REACH = 3
"""How many tokens on each side of a gap are looked at."""
_PREFIX = 5
_FACTORS = tuple(np.uint64(factor) for factor in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9))
_SHIFT = np.uint64(64 - BITS)


def keys(tokens: Sequence[str]) -> tuple[Keys, Keys]:
    """Return the hashes of tokens and of their beginnings, with room on both sides."""
    edge = [0] * REACH
    whole = [zlib.crc32(token.encode("utf-8", "surrogatepass")) for token in tokens]
    start = [zlib.crc32(f"~{token[:_PREFIX]}".encode("utf-8", "surrogatepass")) for token in tokens]
    return np.array([*edge, *whole, *edge], np.uint64), np.array([*edge, *start, *edge], np.uint64)


def features(whole: Keys, start: Keys, at: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return the features of gaps, one row a gap.

    Args:
        whole: the hashes of the tokens, from `keys`.
        start: those of their beginnings.
        at: for each gap the place in them of the token after it.
    """
    before, after = whole[at - 1], whole[at]
    second, far = whole[at - 2], whole[at + 1]
    columns = [
        _place(1, before), _place(2, after), _place(3, second), _place(4, far), _place(5, whole[at + 2]),
        _place(16, whole[at - 3]),
        _pair(6, before, after), _pair(7, after, far), _pair(8, second, before), _pair(17, before, far),
        _place(9, start[at - 1]), _place(10, start[at]), _place(11, start[at + 1]), _place(12, start[at - 2]),
        _pair(13, start[at - 1], start[at]), _pair(15, start[at], start[at + 1]),
    ]  # fmt: skip
    return np.stack(columns, axis=1)


def _place(slot: int, one: Keys) -> NDArray[np.uint32]:
    return ((one + np.uint64(slot)) * _FACTORS[0] >> _SHIFT).astype(np.uint32)


def _pair(slot: int, one: Keys, other: Keys) -> NDArray[np.uint32]:
    mixed = (one + np.uint64(slot)) * _FACTORS[0] ^ other * _FACTORS[1]
    return (mixed * _FACTORS[2] >> _SHIFT).astype(np.uint32)


class Cues:
    """The learned weights."""

    def __init__(self, arrays: dict[str, Array]) -> None:
        self._weights: dict[str, tuple[Array, float]] = {}
        for name, weights in arrays.items():
            kind, _, part = name.rpartition(".")
            if part == "weights":
                if weights.shape != (1 << BITS,):
                    raise ValueError(f"{weights.size} weights instead of {1 << BITS}")
                scaled = (weights.astype(np.float32) - 128) * arrays[f"{kind}.scale"][0]
                self._weights[kind] = scaled, float(arrays[f"{kind}.bias"][0])

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Cues:
        """Open a bundle.

        Raises:
            ResourceError: it is missing, damaged, or of another version.
        """
        path = open_bundle(folder, FORMAT, VERSION).file(FILE)
        try:
            return cls(map_tensors(path))
        except (KeyError, IndexError, ValueError) as error:
            raise ResourceError(BAD_FILE.format(path=path, why=f"no cues ({error})")) from error

    def log_odds(self, tokens: Sequence[str]) -> dict[str, list[float]]:
        """Return, by kind, the log odds of a dropped word in each gap, in nats: before each token, and after the last."""
        whole, start = keys(tokens)
        rows = features(whole, start, np.arange(REACH, REACH + len(tokens) + 1))
        return {kind: (weights[rows].sum(axis=1) + bias).tolist() for kind, (weights, bias) in self._weights.items()}

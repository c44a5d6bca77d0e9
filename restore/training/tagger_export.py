"""From a trained tagger to the bundle that restore runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from restore.bundle import Bundle, write_bundle
from restore.models.network import SCALE, pack
from restore.models.tagger import EMBEDDING, FORMAT, GRAPH, TOKENIZER, VERSION, WEIGHTS, is_layered, prefix_of
from restore.tensors import write_tensors
from restore.training.graph import Array
from restore.training.quantise import MOST_LEVELS
from restore.training.tagger_graph import build_tagger, spread

LEVELS = MOST_LEVELS
UNUSED = "[unused"
"""What pieces begin with that BERT's vocabulary keeps free."""
LARGE = 20_000
"""Numbers of a matrix from which it is rounded; the vectors of pieces always are."""


def export(
    encoders: Sequence[Mapping[str, Array]],
    moments: Sequence[Mapping[str, Array]],
    tokenizer: Tokenizer,
    words: Sequence[str],
    edits: Sequence[str],
    out: Path,
    card: Mapping[str, Any],
    levels: Sequence[int] = (),
) -> Bundle:
    """Round a tagger's matrices to int8 and write it as a bundle.

    Args:
        encoders: the weights of each, as `restore.training.tagger_graph.build_tagger` takes them but for the spreading, and
            `words` [vocabulary, width].
        moments: for each matrix of their layers, the sum of x xᵀ over its inputs in real text, [inputs, inputs].
        tokenizer: the encoders'.
        words: the names of the words' tags, by number.
        edits: likewise of the edits.
        out: the bundle's folder.
        card: what the card should say besides.
        levels: the largest integer that each encoder's matrices are rounded to: fewer take less room.
    """
    levels = list(levels) or [LEVELS] * len(encoders)
    within = [
        {name: spread(array) if is_layered(name) else array for name, array in weights.items()} for weights in encoders
    ]
    seen = [{name: spread(spread(moment).T) for name, moment in found.items()} for found in moments]
    graph, constants = build_tagger(within, levels, seen)
    stored: dict[str, Array] = {}
    for name, array in constants.items():
        if array.dtype == np.int8:
            stored[name], stored[name + SCALE] = pack(array), constants[name + SCALE]
        elif array.ndim == 2 and array.size > LARGE:
            # One scale for each output; for each row where rows are looked up.
            stored |= _rounded(name, array, axis=1 if name.endswith("places") else 0, most=LEVELS)
        elif not name.endswith(SCALE):
            stored[name] = array
    foreign = [number for piece, number in tokenizer.get_vocab().items() if not piece.isascii() or piece.startswith(UNUSED)]
    for number, (weights, most) in enumerate(zip(encoders, levels, strict=True)):
        table = weights[EMBEDDING].copy()
        table[foreign] = 0.0  # English does without them, and zeros take no room
        stored |= _rounded(prefix_of(number) + EMBEDDING, table, axis=1, most=most)
    files = {
        GRAPH: lambda path: _write(path, graph),
        TOKENIZER: lambda path: _write(path, tokenizer.to_str().encode()),
        WEIGHTS: lambda path: write_tensors(path, stored),
    }
    return write_bundle(out, FORMAT, VERSION, files, {**card, "words": list(words), "edits": list(edits)})


def _rounded(name: str, array: Array, axis: int, most: int) -> dict[str, Array]:
    """Return a matrix as integers, packed, and their scales."""
    scale = np.maximum(np.abs(array).max(axis, keepdims=True), 1e-12) / most
    return {name: pack(np.rint(array / scale).astype(np.int8)), name + SCALE: scale.astype(np.float32)}


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)

"""From a trained tagger to the bundle that restore runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from restore.bundle import Bundle, write_bundle
from restore.models.network import SCALE, pack
from restore.models.tagger import EMBEDDING, FORMAT, GRAPH, TOKENIZER, VERSION, WEIGHTS
from restore.tensors import write_tensors
from restore.training.graph import Array
from restore.training.tagger_graph import build_tagger

LEVELS = 127
LARGE = 20_000
"""Numbers of a matrix from which it is rounded; the vectors of pieces always are."""


def export(
    weights: Mapping[str, Array],
    layers: int,
    tokenizer: Tokenizer,
    words: Sequence[str],
    edits: Sequence[str],
    out: Path,
    card: Mapping[str, Any],
) -> Bundle:
    """Round a tagger's matrices to int8 and write it as a bundle. They are floats again when it is run.

    Args:
        weights: as `restore.training.tagger_graph.build_tagger` takes them, and `words` [vocabulary, width].
        layers: how many layers there are.
        tokenizer: the encoder's.
        words: the names of the words' tags, by number.
        edits: likewise of the edits.
        out: the bundle's folder.
        card: what the card should say besides.
    """
    graph, constants = build_tagger(weights, layers)
    constants[EMBEDDING] = weights[EMBEDDING]
    stored: dict[str, Array] = {}
    for name, array in constants.items():
        if name == EMBEDDING or (array.ndim == 2 and array.size > LARGE):
            # One scale for each output; for each row where rows are looked up.
            axis = 1 if name in (EMBEDDING, "places") else 0
            scale = np.maximum(np.abs(array).max(axis, keepdims=True), 1e-12) / LEVELS
            stored[name] = pack(np.rint(array / scale).astype(np.int8))
            stored[name + SCALE] = scale.astype(np.float32)
        else:
            stored[name] = array
    files = {
        GRAPH: lambda path: _write(path, graph),
        TOKENIZER: lambda path: _write(path, tokenizer.to_str().encode()),
        WEIGHTS: lambda path: write_tensors(path, stored),
    }
    return write_bundle(out, FORMAT, VERSION, files, {**card, "words": list(words), "edits": list(edits)})


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)

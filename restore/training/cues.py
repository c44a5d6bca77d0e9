"""Make the cues: learn from running text which words stand around one that turns the sense and that a channel dropped.

Text is stripped; a gap from which a negation was dropped is an example of one, all other gaps are of none, and so for
each kind of `restore.flags`. Of the others an eighth is drawn, each counting for eight. The weights are learned by AdaGrad
(Duchi et al. 2011) in small batches.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from restore.bundle import Bundle, write_bundle
from restore.channel import Channel, get_channel
from restore.cues import BITS, FILE, FORMAT, REACH, VERSION, Keys, features, keys
from restore.errors import InputError
from restore.flags import WORDS, flag_words
from restore.tensors import Array, write_tensors
from restore.training.documents import read_documents, stem

EDGE = 128
"""The label of what is no gap."""
SHARE = 8
"""One of so many gaps without a word of the kind is learned from."""
PASSES, BATCH, RATE, DECAY = 2, 1024, 0.1, 1e-4

ABOUT = "Weights of words around a dropped negation, pronoun or word of direction, hashed; see restore/cues.py."
NO_EXAMPLES = "{files}: nothing that turns the sense was dropped in them; give more text, or another channel"


class Examples(NamedTuple):
    """Gaps of running text: hashes of the tokens around them, and what was dropped.

    Attributes:
        whole, start: hashes, see `restore.cues.keys`.
        label: for each token a bit for each kind of word that was dropped before it; `EDGE` for the room between documents.
        weight: how much each counts.
    """

    whole: Keys
    start: Keys
    label: NDArray[np.uint8]
    weight: NDArray[np.float32]


def read_examples(document: str, channel: Channel) -> tuple[Keys, Keys, NDArray[np.uint8]]:
    """Return a document's tokens as hashes, and which kinds of words were dropped before each of them."""
    tokens = channel.tokens(document)
    starts = [token.start for token in tokens]
    kept = set(starts)
    whole, start = keys([token.text for token in tokens])
    label = np.full(len(whole), EDGE, np.uint8)
    label[REACH : REACH + len(tokens) + 1] = 0
    pattern, bits = _words()
    for match in pattern.finditer(document):
        if match.start() not in kept:
            word = match.group().lower().replace("\u2019", "'")
            label[REACH + bisect_right(starts, match.start())] |= bits[word]
    return whole, start, label


@lru_cache(maxsize=1)
def _words() -> tuple[re.Pattern[str], dict[str, int]]:
    """Return a pattern of the words of all kinds, and the bit of each."""
    bits = {word: 1 << number for number, kind in enumerate(WORDS) for word in flag_words()[kind]}
    words = "|".join(sorted(map(re.escape, bits), key=len, reverse=True)).replace("'", "['\u2019]")
    # A pronoun may have a clitic: he's, they're.
    return re.compile(rf"(?<![\w'\u2019])(?:{words})(?!\w|['\u2019][a-z]{{3}})", re.IGNORECASE), bits


def collect(files: Sequence[Path], channel: Channel, weights: Mapping[str, float]) -> Examples:
    """Read the examples of some files."""
    parts = []
    for path in files:
        weight = weights.get(stem(path), 1.0)
        for document in read_documents(path):
            whole, start, label = read_examples(document, channel)
            parts.append((whole, start, label, np.full(len(whole), weight, np.float32)))
    if not parts:
        return Examples(np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.uint8), np.zeros(0, np.float32))
    return Examples(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def learn(examples: Examples, kind: int, seed: int = 0) -> tuple[NDArray[np.float32], float]:
    """Return the weights and the bias for the kind of a number in `WORDS`."""
    chance = np.random.default_rng(seed)
    is_kind = (examples.label >> kind) & 1
    found = np.flatnonzero(is_kind * (examples.label < EDGE))
    others = np.flatnonzero((is_kind == 0) & (examples.label < EDGE))
    others = chance.choice(others, max(1, len(others) // SHARE), replace=False)
    at = np.concatenate([found, others])
    wanted = np.concatenate([np.ones(len(found), np.float32), np.zeros(len(others), np.float32)])
    weight = examples.weight[at] * np.where(wanted > 0, 1, SHARE).astype(np.float32)
    weight /= examples.weight.mean()
    weights = np.zeros(1 << BITS, np.float32)
    seen = np.full(1 << BITS, 1e-2, np.float32)
    bias = float(np.log((weight * wanted).sum() / max(1e-9, (weight * (1 - wanted)).sum())))
    for _ in range(PASSES):
        order = chance.permutation(len(at))
        for place in range(0, len(order), BATCH):
            batch = order[place : place + BATCH]
            rows = features(examples.whole, examples.start, at[batch])
            odds = np.clip(weights[rows].sum(axis=1) + bias, -30, 30)
            slope = weight[batch] * (1 / (1 + np.exp(-odds)) - wanted[batch])
            used, back = np.unique(rows, return_inverse=True)
            steps = np.bincount(back.ravel(), np.repeat(slope, rows.shape[1])).astype(np.float32)
            steps += DECAY * BATCH * weights[used]
            seen[used] += steps * steps
            weights[used] -= RATE * steps / np.sqrt(seen[used])
    return weights, bias


def train_cues(
    files: Sequence[Path],
    out: str | os.PathLike[str],
    *,
    channel: str | Channel = "nltk",
    weights: Mapping[str, float] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Bundle:
    """Learn the cues of dropped words and write them as a bundle.

    Args:
        files: running text, documents closed by a line %%%.
        out: the bundle's folder.
        channel: how the text is stripped.
        weights: how much a file counts, by its name without `.txt` and what follows; 1 if not named.
        progress: told what is being done.

    Raises:
        InputError: a file cannot be read, or nothing of the kind was dropped in any.
    """
    way = get_channel(channel)
    if progress is not None:
        progress("reading")
    examples = collect(files, way, weights or {})
    arrays: dict[str, Array] = {}
    counts = {}
    for number, kind in enumerate(WORDS):
        counts[kind] = int(((examples.label >> number) & (examples.label < EDGE)).sum())
        if not counts[kind]:
            continue
        if progress is not None:
            progress(f"learning {kind} from {counts[kind]:,} examples")
        learned, bias = learn(examples, number)
        scale = float(max(1e-9, np.abs(learned).max()) / 127)
        arrays[f"{kind}.weights"] = np.clip(np.round(learned / scale) + 128, 0, 255).astype(np.uint8)
        arrays[f"{kind}.scale"] = np.array([scale], np.float32)
        arrays[f"{kind}.bias"] = np.array([bias], np.float32)
    if not arrays:
        raise InputError(NO_EXAMPLES.format(files=", ".join(map(str, files))))
    card = {
        "about": ABOUT,
        "command": "restore train cues",
        "channel": way.name,
        "weights": dict(weights or {}),
        "examples": counts,
        "gaps": int((examples.label < EDGE).sum()),
    }
    return write_bundle(out, FORMAT, VERSION, {FILE: lambda path: write_tensors(path, arrays)}, card)

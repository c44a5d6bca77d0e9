"""Make the cues: learn from running text which words stand around a negation that a channel dropped.

Text is stripped; a gap from which a negation was dropped is an example of one, all other gaps are of none. Of these an
eighth is drawn, each counting for eight. The weights are learned by AdaGrad (Duchi et al. 2011) in small batches.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from restore.bundle import Bundle, write_bundle
from restore.channel import Channel, get_channel
from restore.cues import BITS, FILE, FORMAT, REACH, VERSION, Keys, features, keys
from restore.errors import InputError
from restore.tensors import write_tensors
from restore.training.documents import read_documents

NEGATION = re.compile(
    r"(?<![\w'])(?:no|not|nor|never|none|neither|nobody|nothing|cannot"
    r"|(?:ai|are|ca|could|did|does|do|had|has|have|is|might|must|need|ought|sha|should|was|were|wo|would)n['\u2019]t)"
    r"(?![\w'\u2019])",
    re.IGNORECASE,
)
SHARE = 8
"""One of so many gaps without a negation is learned from."""
PASSES, BATCH, RATE, DECAY = 2, 1024, 0.1, 1e-5

ABOUT = "Weights of words around a dropped negation, hashed; see restore/cues.py."
NO_EXAMPLES = "{files}: no negation was dropped in them; give more text, or another channel"


class Examples(NamedTuple):
    """Gaps of running text: hashes of the tokens around them, and what was dropped.

    Attributes:
        whole, start: hashes, see `restore.cues.keys`.
        label: 1 for a token before which a negation was dropped, 0 for another, 2 for the room between documents.
        weight: how much each counts.
    """

    whole: Keys
    start: Keys
    label: NDArray[np.uint8]
    weight: NDArray[np.float32]


def read_examples(document: str, channel: Channel) -> tuple[Keys, Keys, NDArray[np.uint8]]:
    """Return a document's tokens as hashes, and before which of them a negation was dropped."""
    tokens = channel.tokens(document)
    starts = [token.start for token in tokens]
    whole, start = keys([token.text for token in tokens])
    label = np.full(len(whole), 2, np.uint8)
    label[REACH : REACH + len(tokens) + 1] = 0
    for match in NEGATION.finditer(document):
        label[REACH + bisect_right(starts, match.start())] = 1
    # One that is kept (`never` under many channels) was not dropped.
    ends = [token.end for token in tokens]
    for place, (left, right) in enumerate(zip(starts, ends, strict=True)):
        if label[REACH + place + 1] == 1 and NEGATION.fullmatch(document, left, right):
            label[REACH + place + 1] = 0
    label[len(whole) - 2 :] = 2
    return whole, start, label


def collect(files: Sequence[Path], channel: Channel, weights: Mapping[str, float]) -> Examples:
    """Read the examples of some files."""
    parts = []
    for path in files:
        weight = weights.get(path.name.partition(".txt")[0], 1.0)
        for document in read_documents(path):
            whole, start, label = read_examples(document, channel)
            parts.append((whole, start, label, np.full(len(whole), weight, np.float32)))
    if not parts:
        return Examples(np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.uint8), np.zeros(0, np.float32))
    return Examples(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def learn(examples: Examples, seed: int = 0) -> tuple[NDArray[np.float32], float]:
    """Return the weights and the bias."""
    chance = np.random.default_rng(seed)
    found = np.flatnonzero(examples.label == 1)
    others = np.flatnonzero(examples.label == 0)
    others = chance.choice(others, max(1, len(others) // SHARE), replace=False)
    at = np.concatenate([found, others])
    wanted = (examples.label[at] == 1).astype(np.float32)
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
    """Learn the cues of dropped negations and write them as a bundle.

    Args:
        files: running text, documents closed by a line %%%.
        out: the bundle's folder.
        channel: how the text is stripped.
        weights: how much a file counts, by its name without `.txt` and what follows; 1 if not named.
        progress: told what is being done.

    Raises:
        InputError: a file cannot be read, or no negation was dropped in any.
    """
    way = get_channel(channel)
    if progress is not None:
        progress("reading")
    examples = collect(files, way, weights or {})
    if not (examples.label == 1).any():
        raise InputError(NO_EXAMPLES.format(files=", ".join(map(str, files))))
    if progress is not None:
        progress(f"learning from {int((examples.label == 1).sum()):,} negations")
    learned, bias = learn(examples)
    scale = float(max(1e-9, np.abs(learned).max()) / 127)
    arrays = {
        "weights": np.clip(np.round(learned / scale) + 128, 0, 255).astype(np.uint8),
        "scale": np.array([scale], np.float32),
        "bias": np.array([bias], np.float32),
    }
    card = {
        "about": ABOUT,
        "command": "restore train cues",
        "channel": way.name,
        "weights": dict(weights or {}),
        "negations": int((examples.label == 1).sum()),
        "gaps": int((examples.label < 2).sum()),
    }
    return write_bundle(out, FORMAT, VERSION, {FILE: lambda path: write_tensors(path, arrays)}, card)

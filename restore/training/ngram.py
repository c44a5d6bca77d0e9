"""Train an n-gram model on running text: count, estimate, quantise, and write the bundle.

The pieces are those of `restore.models.pieces`, the estimate is that of `restore.training.kneser_ney`, and the bundle is
that of `restore.models.trie`. The same files give the same bundle, byte for byte.
"""

from __future__ import annotations

import math
import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from restore.bundle import Bundle, write_bundle
from restore.errors import InputError
from restore.models.ngram import NgramModel
from restore.models.pieces import (
    BREAK,
    END_CLASS,
    FIRST_CLASS,
    LIMIT,
    SPECIALS,
    START,
    Vocabulary,
    lowered,
    placed,
    spelling,
)
from restore.models.trie import CODES, FORMAT, TENSORS, VERSION, VOCABULARY, read_trie
from restore.tensors import write_tensors
from restore.training.documents import read_documents, stem
from restore.training.kneser_ney import BITS, HIGHEST_ORDER, Level, estimate
from restore.units import segment

RARE = 2
"""A piece met fewer times is left to its class, which so learns how unknown words behave."""
RARE_NUMBER = 100
"""A number met fewer times is left to its class: what matters about most numbers is how long they are."""

NO_TEXT = "{files}: no text to train on; give files of running prose, such as .txt or .txt.xz"
ONE_DOCUMENT = "{path}: holds one document, and the even ones are measured on; close each with a line %%%, and give more"
BAD_WEIGHT = "no training file is called {names}; weights go by file name without .txt, .txt.xz or .txt.gz"

Arrays = dict[str, npt.NDArray[Any]]
Path_ = str | os.PathLike[str]


def train(
    files: Iterable[Path_],
    out: Path_,
    *,
    order: int = HIGHEST_ORDER,
    vocabulary: int = 50_000,
    cutoffs: Sequence[float] = (0, 2, 2),
    threshold: float = 0.0,
    weights: Mapping[str, float] | None = None,
    dev: Iterable[Path_] = (),
    about: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Bundle:
    """Train a model and write its bundle.

    Args:
        files: training text, as `read_documents` takes it.
        out: the bundle's folder.
        order: the length of the longest n-grams, 2 to 4.
        vocabulary: the most pieces, 65,536 at most.
        cutoffs: for each order from the second, the fewest occurrences (by weight) for which an n-gram is kept.
        threshold: drop n-grams that lose the model less than this many nats a piece; makes it smaller.
        weights: how much the text of a file counts, by file name without `.txt`, `.txt.xz` or `.txt.gz`; default 1.
        dev: other text; the card gets the perplexity on the even-numbered documents of each file (the odd ones
            are for choosing the settings).
        about: what else the card should say: `about`, `licence`, `command`, `data`...
        progress: called with a line about each step.

    Raises:
        InputError: a file cannot be read, none has any text, one of `dev` has no second document, or a weight names none of
            them.
        ValueError: the order or the vocabulary is out of range.
    """
    say = progress or (lambda line: None)
    measured = {stem(Path(file)): _even(file) for file in dev}  # read before the work, so that a bad file costs nothing
    paths = sorted((Path(file) for file in files), key=stem)
    if not len(SPECIALS) < vocabulary <= LIMIT:
        raise ValueError(f"vocabulary must be {len(SPECIALS) + 1} to {LIMIT}, not {vocabulary}")
    if unknown := sorted(set(weights or ()) - {stem(path) for path in paths}):
        raise InputError(BAD_WEIGHT.format(names=", ".join(unknown)))
    corpus = read_corpus(paths, say)
    pieces = choose_pieces(corpus, vocabulary)
    stream = corpus.stream(pieces)
    say(f"estimating order {order} from {stream.size:,} pieces, {len(pieces):,} different")
    weighted = corpus.weights(weights) if weights else None
    levels = estimate(stream, len(pieces), order, cutoffs=cutoffs, threshold=threshold, weights=weighted)
    arrays = pack(levels, class_logprob(stream, weighted))
    model = NgramModel(pieces, read_trie(arrays, len(pieces)))
    settings = {"order": order, "cutoffs": list(cutoffs), "threshold": threshold, "weights": dict(weights or {})}
    card: dict[str, Any] = {
        **(about or {}),
        "settings": settings,
        "pieces": int(stream.size),
        "vocabulary": len(pieces),
        "ngrams": [int(level.keys.size) for level in levels],
        "perplexity": {name: round(perplexity(model, documents), 1) for name, documents in measured.items()},
    }
    say(f"writing {', '.join(f'{level.keys.size:,}' for level in levels)} n-grams to {os.fspath(out)}")
    text = "".join(f"{piece}\n" for piece in pieces.pieces)
    return write_bundle(
        out, FORMAT, VERSION,
        {VOCABULARY: lambda path: _write(path, text), TENSORS: lambda path: write_tensors(path, arrays)},
        card,
    )  # fmt: skip


def perplexity(model: NgramModel, documents: Iterable[str]) -> float:
    """Return e to the mean of -ln P over the pieces of some documents, their breaks and classes included."""
    total, pieces = 0.0, 0
    for document in documents:
        context = model.start
        for piece in (*model.vocabulary.encode(document), model.end):
            total -= model.logprob(context, piece)
            context = model.push(context, piece)
            pieces += 1
    return math.exp(total / pieces) if pieces else math.nan


@dataclass
class Corpus:
    """Documents as kinds of units: (unit, initial, joiner) by number, and a stream of those numbers."""

    kinds: list[tuple[str, bool, bool]]
    numbers: npt.NDArray[np.uint32]
    """Kind 0 begins a document, kind 1 ends one."""
    files: list[tuple[str, int]]
    """The stem of each file, and how much of the stream is its."""

    def stream(self, vocabulary: Vocabulary) -> npt.NDArray[np.uint16]:
        """Return the documents as ids."""
        ids = [vocabulary.id(START), vocabulary.id(BREAK)]
        ids += [vocabulary.piece(unit, initial=initial, joiner=joiner) for unit, initial, joiner in self.kinds[2:]]
        return np.array(ids, dtype=np.uint16)[self.numbers]

    def weights(self, weights: Mapping[str, float]) -> npt.NDArray[np.float32]:
        """Return the weight of each place in the stream."""
        return np.concatenate([np.full(size, weights.get(stem, 1.0), dtype=np.float32) for stem, size in self.files])


def read_corpus(paths: Sequence[Path], say: Callable[[str], None]) -> Corpus:
    """Read training files."""
    kinds: dict[tuple[str, bool, bool], int] = {(START, False, False): 0, (BREAK, False, False): 1}
    numbers = array("I")
    files = []
    for path in paths:
        say(f"reading {path.name}")
        before = len(numbers)
        for document in read_documents(path):
            numbers.append(0)
            numbers.extend([kinds.setdefault(kind, len(kinds)) for kind in placed(segment(document))])
            numbers.append(1)
        files.append((stem(path), len(numbers) - before))
    if not numbers:
        raise InputError(NO_TEXT.format(files=", ".join(map(str, paths)) or "no files"))
    return Corpus(list(kinds), np.frombuffer(numbers, dtype=np.uint32), files)


def choose_pieces(corpus: Corpus, size: int) -> Vocabulary:
    """Choose the commonest pieces, and number them by how common they are away from sentence starts."""
    inside: Counter[str] = Counter()
    initials: Counter[str] = Counter()
    counts = np.bincount(corpus.numbers, minlength=len(corpus.kinds)).tolist()
    for (unit, initial, joiner), times in list(zip(corpus.kinds, counts, strict=True))[2:]:
        form = spelling(unit, joiner)
        (initials if initial and lowered(form) else inside)[form] += times
    total = inside.copy()
    for form, times in initials.items():
        lower = lowered(form)
        total[lower if lower is not None and inside[lower] > inside[form] else form] += times
    # Capitals sort first, so that a form at a sentence start keeps them unless lower case is strictly commoner.
    ranked = sorted(total, key=lambda form: (-total[form], form))
    common = [form for form in ranked if total[form] >= (RARE_NUMBER if form.isdecimal() else RARE) and form != BREAK]
    chosen = sorted(common[: size - len(SPECIALS)], key=lambda form: (-inside[form], form))
    return Vocabulary((*SPECIALS, *chosen))


def class_logprob(stream: npt.NDArray[np.uint16], weights: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float32]:
    """Return ln of each class's share of all pieces; a class never met counts as met once."""
    counts = np.bincount(stream, weights, minlength=END_CLASS)
    shares = np.maximum(counts[FIRST_CLASS:END_CLASS], 1) / counts[1:].sum()
    logprobs: npt.NDArray[np.float32] = np.log(np.minimum(shares, 1)).astype(np.float32)
    return logprobs


def pack(levels: Sequence[Level], classes: npt.NDArray[np.float32]) -> Arrays:
    """Return the arrays of the bundle for a model, log-probabilities and back-offs quantised."""
    arrays: Arrays = {
        "class.logprob": classes,
        "1.logprob": levels[0].logprob.astype(np.float32),
        "1.backoff": levels[0].backoff.astype(np.float32),
    }
    for number, level in enumerate(levels, 1):
        if number > 1:
            arrays[f"{number}.piece"] = (level.keys & np.uint64(0xFFFF)).astype(np.uint16)
            arrays[f"{number}.logprob"], arrays[f"{number}.logprob.table"] = quantise(level.logprob)
        if number == len(levels):
            break
        contexts, times = np.unique(levels[number].keys >> BITS, return_counts=True)
        rows = np.searchsorted(level.keys, contexts)
        if number == 1:
            arrays["1.children"] = np.zeros(level.keys.size, dtype=np.uint32)
            arrays["1.children"][rows] = times
            continue
        bits = np.zeros((level.keys.size + 63) // 64 * 64, dtype=np.uint8)
        bits[rows] = 1
        arrays[f"{number}.context"] = np.packbits(bits, bitorder="little").view("<u8").astype(np.uint64)
        arrays[f"{number}.children"] = times.astype(np.uint16)  # fewer than ids, as a start never follows
        arrays[f"{number}.backoff"], arrays[f"{number}.backoff.table"] = quantise(level.backoff[rows])
    return arrays


def quantise(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Return logarithms (0 or less) as codes and their table: equal steps from the least value up to 0.

    No value is off by more than half a step, which is the least value over -510.
    """
    low = float(values.min(initial=-1e-3))
    codes = np.rint((1 - values / low) * (CODES - 1)).astype(np.uint8)
    return codes, np.linspace(low, 0, CODES).astype(np.float32)


def _even(file: Path_) -> list[str]:
    documents = list(read_documents(file))
    if len(documents) < 2:
        raise InputError(ONE_DOCUMENT.format(path=os.fspath(file)))
    return documents[1::2]


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="")

"""Make the table by which channels are detected: how often each trace occurs in texts of each preset.

Every file gives the same amount of text, so that no source decides by its size. Documents that were not counted serve to
learn which presets come to the same on texts that look alike (`same`).
"""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from restore.bundle import write_bundle
from restore.channel import channel_names, get_channel
from restore.channel.detection import FILE, FORMAT, READABLE, STEMMERS, VERSION, Detector, Tracer
from restore.channel.sources import Sources
from restore.errors import InputError
from restore.lexicon import default_lexicon
from restore.training.documents import read_documents

WORDS = 40_000
"""Words of each file that are counted."""
HELD_OUT = 4_000
"""Words of each file that serve to learn what comes to the same."""
PART = 150
"""Texts are counted in parts of this many pieces, over which the spread is measured."""
LENGTHS = (20, 30, 60, 120)
"""How many tokens the held-out texts have."""
RAREST = 20
"""Traces that occur fewer times in all stripped texts together are left out."""
PSEUDO_COUNT = 0.02
"""Added to every count, so that nothing is impossible."""
MOST_SPREAD, LEAST_SPREAD = 20.0, 0.02
SHRINKAGE = 3.0
"""The weight of the spread over all presets, against a preset's own, in squared expected counts."""

TOO_LITTLE = "{words:,} words are too few to tell channels by; give some ten thousand or more"

Strip = Callable[[str], str]


def train_detection(files: Iterable[Path], out: Path, *, words: int = WORDS, held_out: int = HELD_OUT) -> None:
    """Write a detection bundle for all presets.

    Args:
        files: running text, as `read_documents` takes it.
        out: the bundle's folder.
        words: how many words of each file are counted.
        held_out: how many more words of each file serve to learn what comes to the same.

    Raises:
        InputError: a file cannot be read, or there is too little text.
    """
    paths = sorted(files)
    texts, rest = _split(paths, words, held_out)
    strips = _strips()
    stripped = {name: [strip(text).split() for text in texts] for name, strip in strips.items()}
    sources = Sources(default_lexicon())
    table = _table(stripped, sources) if all(any(_parts(part)) for part in stripped.values()) else {}
    if not (table and table["all"] and table["stems"]["traces"]):
        raise InputError(TOO_LITTLE.format(words=sum(len(text.split()) for text in texts)))
    table["same"] = _same(table, rest, strips, sources)
    write_bundle(
        out, FORMAT, VERSION,
        {FILE: lambda path: _write(path, table)},
        {
            "about": "How often each trace occurs in stripped English, by preset, to tell how a text was stripped.",
            "source": [path.name for path in paths],
            "licence": "counts only, in which nothing is left of the texts themselves",
            "command": "restore train detection FILES -o resources/detection",
            "words": sum(len(text.split()) for text in texts),
            "lexicon": default_lexicon().checksum,
        },
    )  # fmt: skip


def _strips() -> dict[str, Strip]:
    strips: dict[str, Strip] = {name: get_channel(name).strip for name in channel_names()}
    return {**strips, READABLE: lambda text: " ".join(text.split())}


def _split(paths: Sequence[Path], words: int, held_out: int) -> tuple[list[str], list[str]]:
    """Return documents of every file to count, and others to check with, in the same random order each time."""
    counted: list[str] = []
    rest: list[str] = []
    for path in paths:
        documents = list(read_documents(path))
        random.Random(path.name).shuffle(documents)
        read = 0
        for document in documents:
            if read >= words + held_out:
                break
            (counted if read < words else rest).append(document)
            read += len(document.split())
    return counted, rest


def _table(stripped: Mapping[str, Sequence[Sequence[str]]], sources: Sources) -> dict[str, Any]:
    names = tuple(stripped)
    stems = tuple(name for name in names if name != READABLE and get_channel(name).map in STEMMERS)
    plain = [get_channel(name) for name in names if name != READABLE and name not in stems]
    endings = _endings(stripped, stems)
    classes = {end: kind for kind, ends in endings.items() for end in ends.split()}
    return {
        "presets": names,
        "all": _rates([stripped[name] for name in names], Tracer(sources, plain, classes)),
        "stems": {
            "presets": stems,
            "traces": _rates(
                [stripped[name] for name in stems], Tracer(sources, [get_channel(name) for name in stems], None)
            ),
        },
        "endings": endings,
    }


def _endings(stripped: Mapping[str, Sequence[Sequence[str]]], stems: Sequence[str]) -> dict[str, str]:
    """Sort the last two and three letters of words by whether words end so (A, B), or stems (C, D)."""
    of_stems: Counter[str] = Counter()
    of_words: Counter[str] = Counter()
    for name, texts in stripped.items():
        if name == READABLE or not get_channel(name).stop_words:
            continue
        ends = of_stems if name in stems else of_words
        for text in texts:
            for word in set(text):
                if len(word) > 3 and word.isascii() and word.isalpha():
                    ends.update((word[-3:], word[-2:]))
    classes: dict[str, list[str]] = {"A": [], "B": [], "C": [], "D": []}
    for end in sorted(of_stems.keys() | of_words.keys()):
        if of_stems[end] + of_words[end] < RAREST:
            continue
        stem_share = (of_stems[end] + 0.5) / (of_stems.total() + 1)
        word_share = (of_words[end] + 0.5) / (of_words.total() + 1)
        ratio = math.log(stem_share / word_share)
        if abs(ratio) > 1:
            classes[("B" if ratio > -3.5 else "A") if ratio < 0 else ("C" if ratio < 3.5 else "D")].append(end)
    return {kind: " ".join(ends) for kind, ends in classes.items()}


def _rates(texts: Sequence[Sequence[Sequence[str]]], tracer: Tracer) -> dict[str, list[list[float]]]:
    """Return the occurrences in 1,000 pieces and the spreads of each trace, for each preset's texts."""
    parts = [[(len(part), tracer.count(part)) for part in _parts(of_preset)] for of_preset in texts]
    totals: Counter[str] = Counter()
    for of_preset in parts:
        for _, counts in of_preset:
            totals.update(counts)
    traces = [trace for trace in sorted(totals) if totals[trace] >= RAREST]
    rates = np.zeros((len(texts), len(traces)))
    excess, expected = np.zeros_like(rates), np.zeros_like(rates)
    for place, of_preset in enumerate(parts):
        sizes = np.array([size for size, _ in of_preset], dtype=np.float64)
        counted = np.array([[counts[trace] for trace in traces] for _, counts in of_preset], dtype=np.float64)
        rates[place] = (counted.sum(axis=0) + PSEUDO_COUNT) / sizes.sum()
        # By moments: a count's variance is its mean m plus spread * m^2.
        mean = sizes[:, None] * rates[place]
        excess[place] = ((counted - mean) ** 2 - mean).sum(axis=0)
        expected[place] = (mean**2).sum(axis=0)
    overall = np.clip(excess.sum(axis=0) / np.maximum(expected.sum(axis=0), 1e-9), LEAST_SPREAD, MOST_SPREAD)
    spreads = np.clip((excess + SHRINKAGE * overall) / (expected + SHRINKAGE), LEAST_SPREAD, MOST_SPREAD)
    return {
        trace: [_rounded(1000 * rates[:, place]), _rounded(spreads[:, place])] for place, trace in enumerate(traces)
    }


def _parts(texts: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    for text in texts:
        for start in range(0, len(text), PART):
            if len(part := text[start : start + PART]) >= PART // 3:
                yield part


def _same(
    table: Mapping[str, Any], texts: Iterable[str], strips: Mapping[str, Strip], sources: Sources
) -> dict[str, dict[str, float]]:
    """Return how often a text of one preset, where another is likely too, is what the other makes of it as well.

    Each held-out text counts for a pair of presets by the probability of the less likely one.
    """
    detector = Detector({**table, "same": {}}, sources)
    names = detector.names
    weight = np.full((len(names), len(names)), 0.1)
    agree = np.zeros_like(weight)
    for document in texts:
        for number, original in enumerate(_beginnings(document)):
            made = {name: strip(original) for name, strip in strips.items()}
            for true, name in enumerate(names):
                pieces = made[name].split()
                if not LENGTHS[number] // 2 <= len(pieces):
                    continue
                scores = detector.posterior(pieces)
                for other, share in enumerate(np.minimum(scores, scores[true])):
                    if share > 1e-3 and other != true:
                        weight[other, true] += share
                        agree[other, true] += share * (made[names[other]] == made[name])
    shares = agree / weight
    return {
        name: {other: round(float(shares[i, j]), 3) for j, other in enumerate(names) if i != j and shares[i, j] >= 0.01}
        for i, name in enumerate(names)
    }


def _beginnings(document: str) -> Iterator[str]:
    """Yield pieces of a document that hold, when stripped of half their words, about the tokens wanted."""
    words = document.split()
    start = 0
    for length in LENGTHS:
        yield " ".join(words[start : start + 2 * length])
        start += 2 * length


def _rounded(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.3g}") for value in values]


def _write(path: Path, table: Mapping[str, Any]) -> None:
    """Write the table as JSON, a trace a line."""

    def traces(rows: Mapping[str, Any]) -> str:
        lines = (f"  {json.dumps(key, ensure_ascii=False)}: {json.dumps(row)}" for key, row in rows.items())
        return "{\n" + ",\n".join(lines) + "\n}"

    stems = f'{{"presets": {json.dumps(table["stems"]["presets"])}, "traces": {traces(table["stems"]["traces"])}}}'
    parts = {
        "presets": json.dumps(table["presets"]), "all": traces(table["all"]), "stems": stems,
        "endings": json.dumps(table["endings"], indent=1), "same": traces(table["same"]),
    }  # fmt: skip
    path.write_text("{\n" + ",\n".join(f'"{key}": {part}' for key, part in parts.items()) + "\n}\n", encoding="utf-8")

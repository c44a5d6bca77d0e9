"""Measure detection: how often the channel of a text is told right, by preset and length.

    python benchmarks/detection.py ../shared/corpus/dev -o benchmarks/results/detection.json

Every document is stripped by every preset and cut after 30, 100 and 300 tokens, or not at all. An answer is right if it
is the preset, or one that strips the same part of the original identically; `readable` stands for the original itself.
Documents of even number report. Intervals are Wilson's, of 95 %.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from restore.bundle import open_bundle, resources_folder
from restore.channel import channel_names, get_channel
from restore.channel.detection import FORMAT, READABLE, VERSION, Detection, detect_channel
from restore.evaluation.documents import HALVES, read_originals
from restore.evaluation.signature import data_checksum
from restore.lexicon import default_lexicon
from restore.version import __version__

SOURCES = ("news", "encyclopedic", "blog_government", "speech")
NAMES = (*channel_names(), READABLE)
WHOLE = "whole"
LENGTHS = {"30": 30, "100": 100, "300": 300, WHOLE: None}
BINS = 15


@dataclass(frozen=True)
class Trial:
    """One stripped text, and what was made of it."""

    source: str
    preset: str
    length: str
    answer: Detection
    right: bool
    seconds: float


def strip(name: str, text: str) -> str:
    return " ".join(text.split()) if name == READABLE else get_channel(name).strip(text)


def cut(name: str, text: str, length: int) -> str | None:
    """Return the beginning of a text that strips to about `length` tokens, or None if it is too short."""
    if name == READABLE:
        ends = [match.end() for match in re.finditer(r"\S+", text)]
    else:
        ends = [token.end for token in get_channel(name).tokens(text)]
    if len(ends) < length:
        return None
    rest = re.compile(r"\S*").match(text, ends[length - 1])
    return text[: rest.end()] if rest else text


def trials(source: str, documents: Sequence[str]) -> Iterator[Trial]:
    for document in documents:
        for preset in NAMES:
            for label, length in LENGTHS.items():
                original = document if length is None else cut(preset, document, length)
                if original is None:
                    continue
                text = strip(preset, original)
                start = time.perf_counter()
                answer = detect_channel(text)
                seconds = time.perf_counter() - start
                right = answer.name == preset or strip(answer.name, original) == text
                yield Trial(source, preset, label, answer, right, seconds)


def share(found: Sequence[Trial]) -> dict[str, float]:
    """Return the share that is right, in percent, with Wilson's interval (1927)."""
    n, z = len(found), 1.959964
    p = sum(trial.right for trial in found) / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    low, high = 100 * (middle - half), 100 * (middle + half)
    return {"right": round(100 * p, 2), "low": round(low, 2), "high": round(high, 2), "n": n}


def calibration(found: Sequence[Trial]) -> dict[str, Any]:
    """Return the expected calibration error over bins of equal mass, and the bins."""
    ranked = sorted(found, key=lambda trial: trial.answer.probability)
    edges = [len(ranked) * number // BINS for number in range(BINS + 1)]
    bins = []
    for start, end in pairwise(edges):
        part = ranked[start:end]
        if not part:
            continue
        said = statistics.fmean(trial.answer.probability for trial in part)
        bins.append([round(said, 4), round(statistics.fmean(trial.right for trial in part), 4), len(part)])
    error = sum(size * abs(said - right) for said, right, size in bins) / max(1, len(found))
    return {"ece": round(error, 4), "bins": bins}


def measure(folder: Path, half: str, limit: int | None) -> dict[str, Any]:
    detect_channel("what is loaded once is loaded before the clock starts")
    found: list[Trial] = []
    texts: list[str] = []
    for source in SOURCES:
        documents = read_originals([folder / f"{source}.txt"], half, limit)
        texts += documents
        found += trials(source, documents)
        print(source, len(documents), "documents")
    by: dict[tuple[str, str, str], list[Trial]] = defaultdict(list)
    for trial in found:
        by["preset", trial.preset, trial.length].append(trial)
        by["source", trial.source, trial.length].append(trial)
        by["all", "all", trial.length].append(trial)
    tables: dict[str, dict[str, dict[str, dict[str, float]]]] = defaultdict(lambda: defaultdict(dict))
    for length in LENGTHS:
        for (kind, name, of_length), part in by.items():
            if of_length == length:
                tables[kind][name][length] = share(part)
    wrong = Counter((trial.length, trial.preset, trial.answer.name) for trial in found if not trial.right)
    return {
        "signature": {
            "version": __version__,
            "detection": open_bundle(resources_folder() / "detection", FORMAT, VERSION).checksum,
            "lexicon": default_lexicon().checksum,
            "data": data_checksum(texts),
            "half": half,
            "limit": limit,
        },
        "by_preset": tables["preset"],
        "by_source": tables["source"],
        "all": tables["all"]["all"],
        "calibration": {length: calibration(by["all", "all", length]) for length in LENGTHS},
        "confusions": [[*key, count] for key, count in wrong.most_common()],
        "milliseconds": {
            length: round(1000 * statistics.median(trial.seconds for trial in by["all", "all", length]), 1)
            for length in LENGTHS
            if by["all", "all", length]
        },
    }


def markdown(result: dict[str, Any]) -> str:
    """Return the table of shares by preset and length."""
    heads = (f"{length} tokens" if length != WHOLE else "whole documents" for length in LENGTHS)
    rows = ["| preset | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(LENGTHS)]
    for name, cells in [*result["by_preset"].items(), ("**all**", result["all"])]:
        shares = (f"{cells[length]['right']:.1f}" if length in cells else "-" for length in LENGTHS)
        rows.append(f"| {name} | " + " | ".join(shares) + " |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dev", type=Path, help="the folder of the development text")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the JSON file to write")
    parser.add_argument("--half", choices=HALVES, default="even")
    parser.add_argument("--limit", type=int, help="documents of each file")
    arguments = parser.parse_args()
    result = measure(arguments.dev, arguments.half, arguments.limit)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(markdown(result))
    print("expected calibration error:", {length: one["ece"] for length, one in result["calibration"].items()})
    print("median milliseconds:", result["milliseconds"])
    for length, preset, answer, count in result["confusions"][:20]:
        print(f"{length:>6} {preset} taken for {answer}: {count}")


if __name__ == "__main__":
    main()

"""Seams: is text restored worse near the edges of a search's windows than elsewhere?

    python benchmarks/seams.py NEWS_FILE -o benchmarks/results/seams-fast.json [--engine neural] [--limit N]

Joins documents to texts of some 2,000 input tokens, restores each, and notes where the windows met. Each text is restored
`--runs` times, with another document first each time, so that the edges fall elsewhere. Reported, with 95 % intervals over
documents, are exact gaps and the F1 of function words within 20 tokens of an edge, and elsewhere: over the same gaps
(`same_gaps`: what the edge itself does), and over all (`all_gaps`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from restore import Restorer
from restore.evaluation.documents import HALVES, read_originals
from restore.evaluation.scores import Comparison
from restore.evaluation.seams import NEAR, Seams
from restore.evaluation.signature import make_signature


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--engine", default="fast")
    parser.add_argument("--channel", default="nltk")
    parser.add_argument("--half", choices=HALVES, default="even")
    parser.add_argument("--limit", type=int, help="documents of each file")
    parser.add_argument("--tokens", type=int, default=2000, help="input tokens of one text, at least")
    parser.add_argument("--runs", type=int, default=4, help="how often each text is restored")
    options = parser.parse_args()
    restorer = Restorer(engine=options.engine, channel=options.channel, repair=False)
    originals = read_originals(options.files, options.half, options.limit)
    seams = Seams()
    for text in texts(originals, restorer, options.tokens):
        for run in range(min(options.runs, len(text))):
            numbers = text[run:] + text[:run]
            documents = [originals[number] for number in numbers]
            result = restorer.restore(" ".join(map(restorer.channel.strip, documents)))
            seams.add(numbers, documents, result.text, result.seams, restorer.channel)
        print(f"{text[-1] + 1} of {len(originals)} documents, {seams.sizes()}", file=sys.stderr, flush=True)
    signature = make_signature(
        originals, restorer.channel, restorer.engine, documents=len(originals), half=options.half, limit=options.limit,
        tokens=options.tokens, runs=options.runs, near=NEAR,
    )  # fmt: skip
    report = {
        **seams.sizes(), "same_gaps": plain(seams.compare()), "all_gaps": plain(seams.compare_all()), "signature": signature,
    }  # fmt: skip
    print(json.dumps(report, indent=2))
    if options.out:
        options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def texts(originals: Sequence[str], restorer: Restorer, least: int) -> list[list[int]]:
    """Return the numbers of the documents that make a text of so many tokens together; a short rest goes with the last."""
    found: list[list[int]] = [[]]
    size = 0
    for number, original in enumerate(originals):
        if size >= least:
            found.append([])
            size = 0
        found[-1].append(number)
        size += len(restorer.channel.tokens(original))
    if size < least and len(found) > 1:
        found[-2:] = [found[-2] + found[-1]]
    return found


def plain(compared: dict[str, Comparison]) -> dict[str, dict[str, object]]:
    """Return comparisons as plain data, under names that say what was compared."""
    return {
        name: {"near": one.ours, "elsewhere": one.theirs, "near_less_elsewhere": asdict(one.difference), "p": one.p}
        for name, one in compared.items()
    }


if __name__ == "__main__":
    main()

"""Oracle recall of every channel: how much of the originals is in the lattice, whatever a model makes of it.

    python benchmarks/oracle.py DEV_FILE... -o benchmarks/results/oracle.json [--limit N] [--channels nltk stemmed]

For each channel the documents are stripped, and the originals forced through the lattice. Reported are the share of gaps of
up to four words whose content is in it, and the share of tokens whose original form is: the most that any model could get
right. These are the scores `oracle_recall_gaps` and `oracle_recall_tokens` of `restore evaluate`, without the search.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from restore import Restorer, channel_names
from restore.evaluation import Result
from restore.evaluation.counts import make_row
from restore.evaluation.documents import HALVES, read_originals
from restore.evaluation.result import make_result
from restore.evaluation.run import reference_counts
from restore.evaluation.signature import make_signature

SCORES = {"gaps": "oracle_recall_gaps", "tokens": "oracle_recall_tokens"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--half", choices=HALVES, default="even")
    parser.add_argument("--limit", type=int, help="documents of each file")
    parser.add_argument("--channels", nargs="+", default=list(channel_names()))
    options = parser.parse_args()
    documents = {path.stem: read_originals([path], options.half, options.limit) for path in options.files}
    report: dict[str, Any] = {}
    print("| channel | gaps | forms | " + " | ".join(f"{name}: gaps, forms" for name in documents) + " |")
    print("|---|---:|---:|" + "---:|" * len(documents), flush=True)
    for name in options.channels:
        restorer = Restorer(channel=name, engine="fast", repair=False)
        parts = {source: measure(restorer, texts, options.half, options.limit) for source, texts in documents.items()}
        whole = make_result([row for part in parts.values() for row in part.rows], {})
        report[name] = {
            **scores(whole), "documents": whole.documents,
            "sources": {source: {**scores(part), "signature": part.signature} for source, part in parts.items()},
        }  # fmt: skip
        cells = [" | ".join(cell(whole, kind) for kind in SCORES)]
        cells += [", ".join(cell(part, kind) for kind in SCORES) for part in parts.values()]
        print(f"| `{name}` | " + " | ".join(cells) + " |", flush=True)
    if options.out:
        options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def measure(restorer: Restorer, texts: Sequence[str], half: str, limit: int | None) -> Result:
    """Return the oracle recall of a channel on some texts."""
    channel = restorer.channel
    rows = [make_row(reference_counts(restorer.measure_reference(channel.strip(text), text))) for text in texts]
    signature = make_signature(texts, channel, restorer.engine, documents=len(texts), half=half, limit=limit)
    return make_result(rows, signature)


def scores(result: Result) -> dict[str, dict[str, float]]:
    return {kind: asdict(result.scores[name]) for kind, name in SCORES.items()}


def cell(result: Result, kind: str) -> str:
    return f"{result.scores[SCORES[kind]].value:.2f}"


if __name__ == "__main__":
    main()

"""Measure what confidence adds to the time of restoring, document by document, in turns.

    python benchmarks/confidence_cost.py ../shared/corpus/dev/news.txt --limit 10 --rounds 5

Each document is restored by the likeliest path alone (`Config.confidence` off), and with posteriors, the consensus
reading, calibration and warnings, by turns, in CPU seconds of this process. Loading is not counted. The first round is that
of fresh documents; in later ones the model remembers their contexts, the search is quicker, and confidence weighs more.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from restore import Restorer, engines
from restore.evaluation.documents import select
from restore.training.documents import read_documents

WAYS = {
    "likeliest path": {"confidence": False},
    "posteriors": {"confidence": True, "calibration": False},
    "all": {"confidence": True},
}


def seconds(restorer: Restorer, text: str) -> float:
    start = time.process_time()
    restorer.restore(text)
    return time.process_time() - start


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--engine", default="fast")
    parser.add_argument("--limit", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args(arguments)
    restorers = {name: Restorer(engine=asked.engine, repair=False, **options) for name, options in WAYS.items()}
    for restorer in restorers.values():  # each with a model of its own, which has not seen what the others have
        engines._OPEN.clear()
        restorer.restore("official said monday")
    channel = next(iter(restorers.values())).channel
    texts = [channel.strip(document) for document in select(read_documents(asked.file), "odd", asked.limit)]
    first: dict[str, float] = {}
    spent: dict[str, list[float]] = {name: [] for name in WAYS}
    for turn in range(asked.rounds + 1):
        total = dict.fromkeys(WAYS, 0.0)
        for number, text in enumerate(texts):
            names = list(WAYS)
            shift = (turn + number) % len(names)
            for name in names[shift:] + names[:shift]:
                total[name] += seconds(restorers[name], text)
        if turn == 0:
            first = total
            continue
        for name, value in total.items():
            spent[name].append(value)
    tokens = sum(len(text.split()) for text in texts)
    for name, value in first.items():
        print(f"fresh  {name:15} {value:6.2f} s  {100 * (value / first['likeliest path'] - 1):+5.1f} %")
    base = statistics.median(spent["likeliest path"])
    print(f"{len(texts)} documents, {tokens:,} tokens, {asked.rounds} rounds, engine {restorers['all'].engine}")
    for name, values in spent.items():
        more = [100 * (ours / theirs - 1) for ours, theirs in zip(values, spent["likeliest path"], strict=True)]
        middle = statistics.median(values)
        print(f"known  {name:15} {middle:6.2f} s  {tokens / middle:6.0f} tokens/s  {100 * (middle / base - 1):+5.1f} %  "
              f"(rounds {min(more):+.1f} to {max(more):+.1f} %)")  # fmt: skip


if __name__ == "__main__":
    main()

"""Windows: what their overlap and their width cost, and what they do to the text.

    python benchmarks/windows.py ../shared/corpus/dev/news.txt --tokens 110 300 --documents 24 --try 16,12,6,54 6,6,3,54 6,6,3,40

Each of `--try` is LEAD,TAIL,EDGE of `restore/windows.py` and the least width of a window (`restore.models.base.Window.least`).
Whole documents of odd number are restored with each, one at a time; counted are runs of the network and the pieces fed to it,
prompts included. Scores are of the texts against the originals; `same` is the share of gaps as in the first of `--try`. On one
core (OMP_NUM_THREADS=1) there is one stream, and runs are fewer than with two.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import restore.models.neural as neural
import restore.windows as windows
from restore import Restorer
from restore.evaluation import score
from restore.evaluation.documents import HALVES, select
from restore.models.batch import Batch, Floats
from restore.training.documents import read_documents

SCORES = (
    "function_word_f1", "exact_gap", "stop_f1", "comma_f1", "capital_f1", "form_accuracy", "form_accuracy_inflected",
)  # fmt: skip


@dataclass
class Counts:
    """What the network was asked.

    Attributes:
        runs: how often it ran.
        pieces: what was fed to it.
    """

    runs: int = 0
    pieces: int = 0


def count_runs() -> Counts:
    """Have all runs of the network counted from now on."""
    counts, run = Counts(), neural.NeuralModel._run

    def counted(self: neural.NeuralModel, batch: Batch, past: Floats) -> tuple[Floats, Floats]:
        counts.runs += 1
        counts.pieces += len(batch.pieces)
        return run(self, batch, past)

    neural.NeuralModel._run = counted  # type: ignore[method-assign]
    return counts


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="documents, closed by a line %%%%%%")
    parser.add_argument("--try", dest="tried", nargs="+", required=True, metavar="LEAD,TAIL,EDGE,LEAST")
    parser.add_argument("--tokens", type=int, nargs=2, default=(110, 300), help="how long the documents are, when stripped")
    parser.add_argument("--documents", type=int, default=24)
    parser.add_argument("--half", choices=HALVES, default="odd")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args(arguments)
    least, most = options.tokens
    restorer = Restorer(engine="neural", repair=False)
    strip = restorer.channel.strip
    fitting = (one for one in select(read_documents(options.file), options.half) if least <= len(strip(one).split()) <= most)
    originals = [one for _, one in zip(range(options.documents), fitting, strict=False)]
    restorer.restore("minister resigned")  # which opens the models
    counts, report, first = count_runs(), dict[str, Any](), list[str]()
    for name in options.tried:
        windows.LEAD, windows.TAIL, windows.EDGE, width = map(int, name.split(","))
        neural.WINDOW = replace(neural.WINDOW, least=width)
        counts.runs = counts.pieces = 0
        began = time.perf_counter()
        texts = [restorer.restore(strip(original)).text for original in originals]
        seconds = time.perf_counter() - began
        first = first or texts
        found = score(originals, texts, restorer.channel.name)
        report[name] = {
            **asdict(counts),
            "seconds": round(seconds, 1),
            "words": sum(len(text.split()) for text in texts),
            "same": round(score(first, texts, restorer.channel.name).scores["exact_gap"].value, 1),
            **{key: round(found.scores[key].value, 1) for key in SCORES},
        }
        print(name, json.dumps(report[name]), file=sys.stderr, flush=True)
    text = json.dumps({"file": options.file.name, "documents": len(originals), "tried": report}, indent=1)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""What rounding the weights to integers costs: the same documents restored with them, and with the floats they were made of.

    python benchmarks/rounding.py OUT/checkpoint ../shared/corpus/dev/news.txt --documents 25 -o benchmarks/results/rounding.json

OUT is the folder of the run of `restore train neural` that made the bundle. With what `restore.training.export.unexport` makes
of a bundle in its place, the weights are the same, and only the rounding of activations counts. Needs the `train` extra.
Search, tagger and windows are the same for both. Gaps that are the same are counted by the scorer, as if the floats' text
were the original: of all gaps, and of those into which either inserts.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from restore import Restorer
from restore.bundle import write_bundle
from restore.evaluation import score
from restore.evaluation.documents import select
from restore.models.neural import FORMAT, GRAPH, TOKENIZER, VERSION
from restore.tensors import write_tensors
from restore.training.documents import read_documents
from restore.training.export import read_checkpoint
from restore.training.graph import build

SCORES = (
    "function_word_f1", "exact_gap", "exact_gap_either", "stop_f1", "comma_f1", "capital_f1", "form_accuracy",
    "form_accuracy_inflected", "chrf",
)  # fmt: skip
SAME = {"all gaps": "exact_gap", "gaps where either inserts": "exact_gap_either", "forms": "form_accuracy"}


def write_floats(checkpoint: Path, out: Path) -> None:
    """Write the bundle of a checkpoint with all of its weights as 32-bit floats."""
    shape, weights = read_checkpoint(checkpoint)
    graph, constants = build(shape, weights)
    for name in ("cos", "sin"):
        del constants[name]
    write_bundle(
        out, FORMAT, VERSION,
        {
            GRAPH: lambda path: path.write_bytes(graph),
            TOKENIZER: lambda path: path.write_bytes((checkpoint / TOKENIZER).read_bytes()),
            "weights.safetensors": lambda path: write_tensors(path, constants),
        },
        {"shape": shape.as_dict()},
    )  # fmt: skip


def restored(model: Path | None, texts: Sequence[str]) -> tuple[list[str], float]:
    """Return the restored texts, and the seconds that they took, loading not counted."""
    restorer = Restorer(engine="neural", model=model, repair=False, calibration=False)
    restorer.restore("minister resigned")
    began = time.perf_counter()
    found = [one.text for one in restorer.restore_many(texts, 4)]
    seconds = time.perf_counter() - began
    print(f"{restorer.engine}: {seconds:.0f} s", file=sys.stderr)
    return found, seconds


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="the floats: a folder with model.safetensors")
    parser.add_argument("file", type=Path, help="documents, closed by a line %%%%%%")
    parser.add_argument("--model", type=Path, help="the bundle that was made of them; else the one that comes with restore")
    parser.add_argument("--documents", type=int, default=25, help="documents of even number")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args(arguments)
    originals = list(select(read_documents(options.file), "even", options.documents))
    channel = Restorer(engine="neural").channel
    texts = [channel.strip(original) for original in originals]
    with tempfile.TemporaryDirectory() as folder:
        write_floats(options.checkpoint, Path(folder) / "floats")
        floats, slow = restored(Path(folder) / "floats", texts)
    integers, quick = restored(options.model, texts)
    same = score(floats, integers, channel.name)
    of_floats, of_integers = (score(originals, found, channel.name) for found in (floats, integers))
    report: dict[str, Any] = {
        "file": options.file.name,
        "documents": len(texts),
        "tokens": sum(len(text.split()) for text in texts),
        "same": {name: [round(same.scores[key].value, 2), round(same.scores[key].low, 2), round(same.scores[key].high, 2)]
                 for name, key in SAME.items()},
        "scores": {name: {"floats": round(of_floats.scores[name].value, 2), "integers": round(of_integers.scores[name].value, 2)}
                   for name in SCORES},
        "seconds": {"floats": round(slow, 1), "integers": round(quick, 1)},
    }  # fmt: skip
    print(json.dumps(report, indent=1))
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""The promise over whole documents: strip(restore(x)) == x, for every channel.

    python benchmarks/promise.py DEV_FILE... -o benchmarks/results/promise.json [--limit N] [--channels nltk stemmed]

Prints how many documents were tried, and each that broke it (there must be none).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from restore import Restorer, channel_names
from restore.training.documents import read_documents


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--limit", type=int, help="documents of each file")
    parser.add_argument("--channels", nargs="+", default=list(channel_names()))
    parser.add_argument("--engine", default="fast")
    options = parser.parse_args()
    report: dict[str, dict[str, object]] = {}
    for name in options.channels:
        restorer = Restorer(channel=name, engine=options.engine, repair=False)
        documents, broken = 0, []
        for path in options.files:
            for number, original in enumerate(read_documents(path), 1):
                if options.limit and number > options.limit:
                    break
                stripped = restorer.channel.strip(original)
                result = restorer.restore(stripped)
                documents += 1
                if restorer.channel.strip(result.text) != stripped or result.undo() != stripped:
                    broken.append(f"{path.name} {number}")
        report[name] = {"documents": documents, "broken": broken}
        print(name, report[name], flush=True)
    if options.out:
        options.out.write_text(json.dumps(report, indent=2) + "\n")
    return int(any(entry["broken"] for entry in report.values()))


if __name__ == "__main__":
    sys.exit(main())

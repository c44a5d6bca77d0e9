"""Time and memory against the length of the input: is it linear, and bounded?

    python benchmarks/length.py STRIPPED_FILE -o benchmarks/results/length.json --tokens 10000 20000 40000

Restores the file's tokens, repeated to each length and on one line, in a process of its own each, streaming.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

CHILD = """
import resource, sys, time
from restore import Restorer
words = open(sys.argv[1], encoding="utf-8").read().split()
count = int(sys.argv[2])
text = " ".join((words * (count // len(words) + 1))[:count])
restorer = Restorer(engine=sys.argv[3], repair=False)
next(iter(restorer.stream("official said")))
start = time.process_time()
first, out = None, 0
wall = time.perf_counter()
for piece in restorer.stream(text):
    first = first or time.perf_counter() - wall
    out += len(piece.split())
print(time.process_time() - start, first, out, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--tokens", type=int, nargs="+", default=[10_000, 20_000, 40_000])
    parser.add_argument("--engine", default="fast")
    options = parser.parse_args()
    rows = []
    for count in options.tokens:
        command = [sys.executable, "-c", CHILD, options.file, str(count), options.engine]
        seconds, first, words, memory = map(float, subprocess.run(command, capture_output=True, check=True).stdout.split())
        rows.append({"tokens": count, "cpu_seconds": seconds, "cpu_ms_a_token": 1000 * seconds / count,
                     "first_text_seconds": first, "words": words, "peak_memory_mb": memory})  # fmt: skip
        print(json.dumps(rows[-1]), flush=True)
    if options.out:
        options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Time and memory against the length of the input: is it linear, and bounded?

    python benchmarks/length.py STRIPPED_FILE -o benchmarks/results/length.json --tokens 10000 20000 40000

Restores the first tokens of the file (all of them over and over if it has fewer) on one line, streaming, in a process of its
own for each length. Repair is on, as it is for users: give a file with as many tokens as the longest, as what is repeated is
remembered, and is no suspect of repair. `head` is `restore FILE | head`: how long until the first text is out, and until the
command has ended after its reader went away.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHILD = """
import resource, sys, time
from pathlib import Path
from restore import Restorer
restorer = Restorer(engine=sys.argv[2], repair=sys.argv[3] == "True")
next(iter(restorer.stream("official said")))
text = Path(sys.argv[1]).read_text(encoding="utf-8")
start = time.process_time()
first, out = None, 0
wall = time.perf_counter()
for piece in restorer.stream(text):
    first = first or time.perf_counter() - wall
    out += len(piece.split())
try:  # the most that getrusage knows of includes what the parent held
    status = Path("/proc/self/status").read_text()
    memory = int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
except (OSError, IndexError):
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
print(time.process_time() - start, time.perf_counter() - wall, first, out, memory)
"""
SHOWN = 400
"""Bytes that `head` waits for."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--tokens", type=int, nargs="+", default=[10_000, 20_000, 40_000])
    parser.add_argument("--engine", default="fast")
    parser.add_argument("--no-repair", action="store_true")
    options = parser.parse_args()
    words = options.file.read_text(encoding="utf-8").split()
    rows = []
    for count in options.tokens:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "text.txt"
            path.write_text(" ".join((words * (count // len(words) + 1))[:count]), encoding="utf-8")
            command = [sys.executable, "-c", CHILD, str(path), options.engine, str(not options.no_repair)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            seconds, wall, first, restored, memory = map(float, done.stdout.split())
            shown, ended = head(path, options.engine, *(["--no-repair"] if options.no_repair else []))
            size = path.stat().st_size
        rows.append({"tokens": count, "bytes": size, "cpu_seconds": seconds, "cpu_ms_a_token": 1000 * seconds / count,
                     "seconds": wall, "first_text_seconds": first, "words": restored, "peak_memory_mb": memory,
                     "head_first_text_seconds": shown, "head_ended_seconds": ended})  # fmt: skip
        print(json.dumps(rows[-1]), flush=True)
    if options.out:
        report = {"engine": options.engine, "repair": not options.no_repair, "rows": rows}
        options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def head(path: Path, engine: str, *more: str) -> tuple[float, float]:
    """Return how long `restore FILE` takes to show its first text, and to end when nobody reads on, in seconds."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "restore", str(path), "--engine", engine, *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    process.stdout.read(SHOWN)
    shown = time.perf_counter() - start
    process.stdout.close()
    process.wait()
    return shown, time.perf_counter() - start


if __name__ == "__main__":
    main()

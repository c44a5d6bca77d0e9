"""How fast `restore batch` is: by workers, by nodes, by format, and what memory it takes as the input grows.

    python benchmarks/batch.py ../shared/corpus/dev/news.txt -o benchmarks/results/batch.json [--nodes 1 2]

The articles are stripped, and restored by the real command, with workers and (with the extra `ray`) on clusters of so many
nodes of one core each, all on this machine; then tables of many rows are run with an engine that does nothing, to see
what reading, saving and writing cost by themselves. Every run is a process of its own.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from restore.batch import Job, run_batch
from restore.batch.compression import packed
from restore.batch.rows import Outcome, Part
from restore.channel import get_channel
from restore.training.documents import read_documents
from restore.version import __version__

FORMATS = ["jsonl", "jsonl.gz", "jsonl.zst", "jsonl.xz", "csv", "parquet", "folder"]


class Passing:
    """Workers that hand every text back at once."""

    engine = "none"

    def __enter__(self) -> Passing:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def restore(self, parts: Iterable[Part]) -> Iterator[tuple[Part, list[Outcome]]]:
        for part in parts:
            yield part, [Outcome(text, 0.5, [], 0, 0) for text in part.texts]


def write_table(path: Path, texts: Iterable[str]) -> None:
    """Write texts as a table of the kind that the name says."""
    if path.suffix == "":
        path.mkdir()
        for number, text in enumerate(texts):
            (path / f"{number:07d}.txt").write_text(text, encoding="utf-8")
    elif path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = list(enumerate(texts))
        pq.write_table(pa.table({"id": [n for n, _ in table], "text": [text for _, text in table]}), path)
    else:
        with path.open("wb") as file, packed(file, path.suffix) as stream:
            if ".csv" in path.name:
                import io

                lines = io.TextIOWrapper(stream, encoding="utf-8", newline="")
                csv.writer(lines).writerows([("id", "text"), *enumerate(texts)])
                lines.detach()
            else:
                for number, text in enumerate(texts):
                    stream.write(json.dumps({"id": number, "text": text}).encode() + b"\n")


def with_engine(folder: Path, texts: list[str], workers: int, engine: str) -> dict[str, Any]:
    """Time the real command on a table, and measure the memory of its processes."""
    import psutil

    started = time.monotonic()
    process = start(folder, texts, f"real-out{workers}.jsonl", engine, "--workers", str(workers))
    peak: dict[str, float] = {"main": 0, "shared by workers": 0, "private to a worker": 0}
    while process.poll() is None:
        try:
            main = psutil.Process(process.pid)
            children = [child.memory_full_info() for child in main.children()]
            peak["main"] = max(peak["main"], main.memory_info().rss)
            for child in children:
                peak["private to a worker"] = max(peak["private to a worker"], child.uss)
                peak["shared by workers"] = max(peak["shared by workers"], child.rss - child.uss)
        except psutil.Error:
            pass
        time.sleep(0.25)
    return {
        "workers": workers,
        "rows": len(texts),
        "words": sum(len(text.split()) for text in texts),
        "words_per_second": rate_of(process),
        "seconds_in_all": round(time.monotonic() - started, 1),
        "megabytes": {name: round(size / 1e6, 1) for name, size in peak.items()},
    }


def start(folder: Path, texts: list[str], out: str, engine: str, *options: str) -> subprocess.Popen[str]:
    """Start the real command on a table of the texts."""
    source = folder / "real.jsonl"
    if not source.exists():
        write_table(source, texts)
    command = [sys.executable, "-m", "restore", "batch", source, "-o", folder / out, "--engine", engine]
    return subprocess.Popen([*map(str, command), "--part-rows", "4", *options], stderr=subprocess.PIPE, text=True)


def rate_of(process: subprocess.Popen[str]) -> float:
    """Wait for the command, and return the rate that it tells, in words a second."""
    said = process.communicate()[1]
    assert process.returncode == 0, said
    return float(said.rpartition("(")[2].partition(" ")[0].replace(",", ""))


def on_a_cluster(folder: Path, texts: list[str], nodes: int, engine: str) -> dict[str, Any]:
    """Time the real command on a Ray cluster of nodes with one core each."""

    def ray(*arguments: str) -> None:
        command = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", *arguments]
        environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_DISABLE_MEMORY_MONITOR": "1"}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)

    options = ["--num-cpus=1", "--object-store-memory=200000000", "--node-ip-address=127.0.0.1"]
    address = "127.0.0.1:6390"
    ray("start", "--head", "--port=6390", "--include-dashboard=false", *options)
    try:
        for _ in range(1, nodes):
            ray("start", f"--address={address}", *options)
        process = start(folder, texts, f"real-out-ray{nodes}.jsonl", engine, "--ray", address)
        return {"nodes": nodes, "rows": len(texts), "words_per_second": rate_of(process)}
    finally:
        ray("stop", "--force")


def without_engine(source: Path) -> dict[str, Any]:
    """Time a table with workers that do nothing, in this process, which does nothing else."""
    out = source.with_name(f"out{source.name.removeprefix('in')}")
    started = time.monotonic()
    progress = run_batch(Job(source, out), Passing())
    seconds = time.monotonic() - started
    # Not getrusage, whose peak begins with that of the process that started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) * 1024
    return {"rows_per_second": round(progress.rows / seconds), "peak_megabytes": round(peak / 1e6, 1)}


def alone(name: str, texts: list[str], rows: int) -> dict[str, Any]:
    """Write a table of the texts over and over, and run `without_engine` on it in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / ("in" if name == "folder" else f"in.{name}")
        write_table(source, (texts[number % len(texts)] for number in range(rows)))
        command = [sys.executable, __file__, str(source), "--without-engine"]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
    size = sum(len(texts[number % len(texts)].encode()) for number in range(rows))
    return {"format": name, "rows": rows, "megabytes_of_text": round(size / 1e6, 1), **found}


def main() -> None:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("corpus", type=Path, help="original articles, closed by lines %%%%%%")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--engine", default="fast")
    parser.add_argument("--articles", type=int, default=48, help="how many to restore for each number of workers")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--nodes", type=int, nargs="*", default=[], help="sizes of the Ray clusters to measure on")
    parser.add_argument("--rows", type=int, default=20_000, help="how many rows to run without an engine")
    parser.add_argument("--growth", type=int, nargs="*", default=[2_000, 20_000, 200_000])
    parser.add_argument("--without-engine", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()

    if options.without_engine:
        print(json.dumps(without_engine(options.corpus)))
        return
    channel = get_channel("nltk")
    texts = [channel.strip(text) for text in read_documents(options.corpus)]
    result: dict[str, Any] = {
        "version": __version__,
        "engine": options.engine,
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}",
        "load_before": os.getloadavg()[0],
        "workers": [],
        "nodes": [],
        "formats": [],
        "growth": [],
    }
    with tempfile.TemporaryDirectory() as scratch:
        for workers in options.workers:
            result["workers"].append(with_engine(Path(scratch), texts[: options.articles], workers, options.engine))
            print(result["workers"][-1], flush=True)
        for nodes in options.nodes:
            result["nodes"].append(on_a_cluster(Path(scratch), texts[: options.articles], nodes, options.engine))
            print(result["nodes"][-1], flush=True)
        outputs = {path.read_bytes() for path in Path(scratch).glob("real-out*")}
        assert len(outputs) <= 1, "the outputs differ"
    for name in FORMATS:
        result["formats"].append(alone(name, texts, options.rows))
        print(result["formats"][-1], flush=True)
    for name in ("jsonl", "parquet"):
        for rows in options.growth:
            result["growth"].append(alone(name, texts, rows))
            print(result["growth"][-1], flush=True)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Tables of every kind, and workers that do no more than the test needs."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from restore import Restoration
from restore.batch import Columns, Job, Progress, run_batch
from restore.batch.engine import restore_rows
from restore.batch.rows import Outcome, Part
from restore.flags import Flag
from restore.repair import Repair

KINDS = ["t.jsonl", "t.jsonl.gz", "t.csv", "t.csv.zst", "t.tsv.xz", "t.parquet", "folder"]


FLAG = Flag("negation", 0, 0, 1, "may be the reverse", ("not",), 0.25)


class Shouting:
    """A restorer that puts texts into capitals, and fails on demand."""

    engine = "shouting:1"

    def restore(self, text: str) -> Restoration:
        if "boom" in text:
            raise ZeroDivisionError("as asked")
        told: dict[str, Any] = {}
        if len(text) < 3:
            told = {"notes": ("short",), "flags": (FLAG,), "repairs": (Repair("typo", 0, 1, "b", "a", 1.5),)}
        return Restoration(text.upper(), text, (), channel="loud", **told)

    def restore_many(self, texts: Iterable[str]) -> Iterator[Restoration]:
        return map(self.restore, texts)


class Alone:
    """Works in the test's own process. Does the second of two parts before the first, and ends after `stop` parts."""

    engine = "shouting:1"

    def __init__(self, stop: int | None = None) -> None:
        self._stop = stop

    def __enter__(self) -> Alone:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def restore(self, parts: Iterable[Part]) -> Iterator[tuple[Part, list[Outcome]]]:
        held: list[Part] = []
        done = 0
        for part in chain(parts, [None]):
            held += [part] if part else []
            while held and (part is None or len(held) > 1 or done % 2):
                if done == self._stop:
                    raise KeyboardInterrupt
                done += 1
                last = held.pop()
                yield last, restore_rows(Shouting(), last.texts)


class Told:
    """Hears of bad rows."""

    def __init__(self) -> None:
        self.bad: list[str] = []
        self.steps: list[int] = []

    def progressed(self, progress: Progress) -> None:
        self.steps.append(progress.position)

    def bad_row(self, message: str) -> None:
        self.bad.append(message)


Run = Callable[..., tuple[Progress, list[str]]]


def run_job(source: Path, target: Path, stop: int | None = None, **options: Any) -> tuple[Progress, list[str]]:
    """Run a job with fake workers; return how far it came, and what was said of bad rows."""
    columns = {name: options.pop(name) for name in ("text", "output", "prefix", "max_bytes") if name in options}
    job = Job(source, target, Columns(**columns), **{"part_rows": 2, **options})
    told = Told()
    return run_batch(job, Alone(stop), told), told.bad


@pytest.fixture
def run() -> Run:
    return run_job


def write_table(path: Path, texts: list[str]) -> Path:
    """Write texts as a table of the kind that the name says, with a column `id`."""
    if path.suffix == "":
        for number, text in enumerate(texts):
            file = path / f"part{number // 4}" / f"{number:03d}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return path
    if path.suffix == ".parquet":
        pa = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pa.table({"id": list(range(len(texts))), "text": texts}), path)
        return path
    from restore.batch.compression import packed

    if path.suffix == ".zst":
        pytest.importorskip("zstandard")
    plain = path.with_name("plain")
    with plain.open("w", encoding="utf-8", newline="") as stream:
        if ".jsonl" in path.name:
            stream.writelines(json.dumps({"id": number, "text": text}) + "\n" for number, text in enumerate(texts))
        else:
            writer = csv.writer(stream, delimiter="\t" if ".tsv" in path.name else ",")
            writer.writerows([["id", "text"], *enumerate(texts)])
    with path.open("wb") as file, packed(file, path.suffix) as out:
        out.write(plain.read_bytes())
    plain.unlink()
    return path


@pytest.fixture
def table() -> Callable[[Path, list[str]], Path]:
    return write_table


def content(path: Path) -> dict[str, bytes]:
    """Return all bytes of a file or of a folder's files."""
    if path.is_dir():
        return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
    return {"": path.read_bytes()}


@pytest.fixture(name="content")
def _content() -> Callable[[Path], dict[str, bytes]]:
    return content


class Command:
    """Runs `restore batch` as a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds = 0.0  # that a whole run takes

    def start(self, *args: object, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "restore", "batch", *map(str, args), "--engine", "fast", "--no-repair"]
        return subprocess.Popen(
            [*command, "--beam", "1"], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
        )

    def __call__(self, *args: object, timeout: float = 120, **options: Any) -> tuple[int, str]:
        process = self.start(*args, **options)
        out, err = process.communicate(timeout=timeout)
        assert out == b""
        return process.returncode, err.decode()


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture(autouse=True)
def _ordinary_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)

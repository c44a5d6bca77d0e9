"""Very many files, and a line of 100 MB: `restore` as a user runs it, its memory bounded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from restore import strip_text

from .conftest import Command

pytestmark = pytest.mark.slow

FILES = 10_000
LINE = 100_000_000
MOST = 600_000_000
"""Bytes that a process may hold: a line of 100 MB as the file has it and as text, and the models."""

MEASURED = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, file=sys.stderr)
sys.exit(status)
"""


def started(folder: Path, *args: str, **options: Any) -> subprocess.Popen[str]:
    """Start `restore`; at the end it tells the peak of its memory on standard error."""
    command = [sys.executable, "-c", MEASURED, sys.executable, "-m", "restore", *args]
    return subprocess.Popen(command, cwd=folder, text=True, stderr=subprocess.PIPE, **options)


def peak(err: str) -> int:
    return int(err.rpartition("peak ")[2].split()[0])


@pytest.fixture(scope="module")
def long_line(tmp_path_factory: pytest.TempPathFactory, seed_text: str) -> Path:
    path = tmp_path_factory.mktemp("long") / "line.txt"
    piece = seed_text.strip() + " "
    with path.open("w", encoding="utf-8") as file:
        for _ in range(LINE // len(piece) + 1):
            file.write(piece)
    return path


def test_ten_thousand_files(command: Command, table: Any) -> None:
    words = ["official", "week", "court", "ruling", "prison", "letter", "removal", "review"]
    texts = [f"{words[n % 8]} {n} {words[n // 8 % 8]}" for n in range(FILES)]
    source = table(command.folder / "folder", texts)
    status, err = command(source, "-o", "out", "--workers", 2, timeout=3600)
    assert (status, err.count("\n")) == (0, 1)
    assert err.startswith("restore: 10,000 rows in ")
    made = sorted(path for path in (command.folder / "out").rglob("*.txt"))
    assert len(made) == FILES
    kept = {str(path.relative_to(command.folder / "out")): strip_text(path.read_text()) for path in made}
    assert kept == {str(path.relative_to(source)): path.read_text() for path in source.rglob("*.txt")}


@pytest.mark.parametrize("there", [True, False])
def test_ten_thousand_names_in_one_call(tmp_path: Path, there: bool) -> None:
    names = [f"{number}.txt" for number in range(FILES)]
    for name in names if there else []:
        (tmp_path / name).touch()
    process = started(tmp_path, *names, stdout=subprocess.PIPE)
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    says = "takes one file at a time, and 10000 are given" if there else "is no file; restore reads a file"
    assert says in err
    assert len(err) < 1000


def test_a_line_of_100_megabytes_begins_at_once(long_line: Path) -> None:
    with started(long_line.parent, long_line.name, "--engine", "fast", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(process.stdout.read(500)) == 500
        process.stdout.close()
        assert peak(process.stderr.read()) < MOST


def test_a_line_of_100_megabytes_is_stripped(long_line: Path) -> None:
    with (long_line.parent / "out.txt").open("wb") as out:
        process = started(long_line.parent, "strip", long_line.name, stdout=out)
        _, err = process.communicate()
    assert process.returncode == 0
    assert peak(err) < MOST
    assert (long_line.parent / "out.txt").stat().st_size > LINE * 0.9


@pytest.mark.parametrize("name", ["t.jsonl", "t.csv"])
def test_a_row_of_100_megabytes_stops_nothing(long_line: Path, name: str) -> None:
    rows = ["official", long_line.read_text(encoding="utf-8"), "court"]
    source, out = long_line.parent / name, long_line.parent / f"out-{name}"
    with source.open("w", encoding="utf-8") as file:
        if name == "t.csv":
            file.write("text\n" + "\n".join(rows) + "\n")
        else:
            file.writelines(json.dumps({"text": row}) + "\n" for row in rows)
    del rows
    process = started(long_line.parent, "batch", name, "-o", out.name, "--engine", "fast", "--workers", "1")
    _, err = process.communicate()
    assert process.returncode == 0
    assert "more than the 1,000,000 of --max-bytes" in err
    assert "restore: 3 rows in " in err
    assert peak(err) < MOST
    assert out.stat().st_size < 10_000

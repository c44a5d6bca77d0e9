"""What a new user gets wrong, and what the command says: one line, with what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("u immigration official")
    (tmp_path / "b.txt").write_text("court ruled")
    (tmp_path / "folder").mkdir()
    return tmp_path


def restore(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "restore", *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("args", "status", "says"),
    [
        ("artcle.txt", 1, "artcle.txt: cannot be read (No such file or directory); check the path"),
        ("u immigration official", 2, "echo 'u immigration official' | restore"),
        ("folder", 1, "restore batch folder -o OUT"),
        ("a.txt b.txt", 2, "one file at a time, and 2 are given"),
        ("stip a.txt", 2, "did you mean: restore strip a.txt"),
        ("restore a.txt", 2, "did you mean: restore a.txt"),
        ("help", 2, "did you mean: restore --help"),
        ("a.txt --channel NLTK", 1, "did you mean nltk?"),
        ("a.txt --color red", 2, "'red' is not one of 'auto', 'always', 'never'; see restore --help"),
        ("a.txt --jsn", 2, "'--json'"),
        ("a.txt -o folder", 1, "it is a folder"),
        ("a.txt -o nowhere/b.txt", 1, "there is no folder nowhere"),
        ("a.txt --html - --json", 2, "both go to standard output"),
        ("train ngram", 2, "see restore train ngram --help"),
        ("strip folder", 1, "is a folder"),
    ],
)
def test_mistakes_are_explained(folder: Path, args: str, status: int, says: str) -> None:
    done = restore(folder, *args.split())
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith("restore: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_words_in_quotes_are_taken_for_words(folder: Path) -> None:
    assert "is no file; restore reads a file" in restore(folder, "u immigration official").stderr


def test_output_into_the_input_is_refused(folder: Path) -> None:
    command = [sys.executable, "-m", "restore", "a.txt"]
    with (folder / "a.txt").open("a") as stream:
        done = subprocess.run(command, cwd=folder, stdout=stream, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "standard output is sent into it" in done.stderr
    assert (folder / "a.txt").read_text() == "u immigration official"


def test_a_group_alone_shows_its_help(folder: Path) -> None:
    done = restore(folder, "train")
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: restore train")

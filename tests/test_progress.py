"""The progress line: there on a terminal while a long text is restored, and never in the way of the text."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

from restore import Restorer

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ERASE = "\x1b[2K"


@pytest.fixture
def huge(tmp_path: Path, seed_text: str) -> Path:
    path = tmp_path / "huge.txt"
    path.write_text(" ".join([seed_text.strip()] * 2))
    return path


def on_a_terminal(huge: Path, *options: str, stdout: int | None = None, term: str = "xterm") -> str:
    """Run `restore` with standard error on a terminal, and standard output too if it is not given; return what it shows."""
    here, there = pty.openpty()
    command = [sys.executable, "-m", "restore", str(huge), "--engine", "fast", "--beam", "1", *options]
    environment = {**os.environ, "TERM": term, "COLUMNS": "100"}
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=there if stdout is None else stdout, stderr=there, env=environment
    )
    os.close(there)
    shown = b""
    try:
        while part := os.read(here, 1 << 16):
            shown += part
    except OSError:  # the other side is closed
        pass
    os.close(here)
    assert process.wait() == 0
    return shown.decode().replace("\r\n", "\n")


@lru_cache(maxsize=1)
def restored(text: str) -> str:
    return "".join(Restorer(engine="fast", beam=1).stream(text))


def prose_of(huge: Path) -> str:
    return restored(huge.read_text())


def left_over(shown: str) -> str:
    """Return what a terminal still shows of one line that is drawn over and over, and of what comes after it."""
    return CONTROL.sub("", shown.rsplit(ERASE, 1)[-1]).lstrip("\r")


def test_stands_while_prose_goes_to_a_file(huge: Path, tmp_path: Path) -> None:
    with (tmp_path / "out.txt").open("wb") as out:
        shown = on_a_terminal(huge, stdout=out.fileno())
    assert "restoring" in shown
    assert re.search(r"[1-9]\d?%", shown)
    assert left_over(shown).strip() == ""
    assert (tmp_path / "out.txt").read_text() == prose_of(huge)


@pytest.mark.parametrize("options", [["-o", "out.txt"], ["--html", "out.txt"]])
def test_stands_while_a_file_is_written(huge: Path, tmp_path: Path, options: list[str]) -> None:
    shown = on_a_terminal(huge, options[0], str(tmp_path / options[1]))
    assert "100%" in shown
    assert left_over(shown).strip() == ""


def test_makes_way_for_prose_on_the_terminal(huge: Path) -> None:
    shown = on_a_terminal(huge)
    assert "restoring" in shown
    prose = left_over(shown)
    assert prose.rstrip("\n") == prose_of(huge)
    assert "restoring" not in prose


def test_makes_way_for_whoever_reads_a_pipe(huge: Path) -> None:
    read, write = os.pipe()
    with os.fdopen(read) as reader:
        shown = on_a_terminal(huge, stdout=write)
        os.close(write)
        prose = reader.read()
    assert prose == prose_of(huge)
    assert "restoring" in shown
    assert "100%" not in shown


def test_is_not_drawn_where_it_cannot_be(huge: Path, tmp_path: Path) -> None:
    assert on_a_terminal(huge, "-o", str(tmp_path / "out.txt"), term="dumb") == ""
    done = subprocess.run(
        [sys.executable, "-m", "restore", str(huge), "--engine", "fast", "--beam", "1", "-o", str(tmp_path / "out.txt")],
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"", b"")


def test_is_not_drawn_for_a_short_text(tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("official said")
    assert on_a_terminal(tmp_path / "short.txt", "-o", str(tmp_path / "out.txt")) == ""


def test_progress_is_told_in_order(seed_text: str) -> None:
    fast = Restorer(engine="fast", beam=1, confidence=False)
    text = " ".join([seed_text.strip()] * 4)
    told: list[tuple[int, int]] = []
    pieces = list(fast.stream(text, progress=lambda done, size: told.append((done, size))))
    assert len(told) > 1
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1] == (len(text), len(text))
    assert all(text[done].isspace() for done, _ in told[:-1])
    whole: list[tuple[int, int]] = []
    fast.restore(text, progress=lambda done, size: whole.append((done, size)))
    assert whole == told
    assert "".join(pieces)

"""SIGKILL at random moments of a real process, the same command again, and the same output in the end."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from .conftest import KINDS, Command

KILLS = int(os.environ.get("RESTORE_KILLS", "3"))
"""For each kind of table: 3 make 21 kills in all."""

TEXTS = [f"official said number {number} court ruled week" for number in range(48)] + ["", "6 000 men"]


def kill_at_random(command: Command, source: Path, out: Path, workers: int, kills: int) -> int:
    """Run until nothing more is to be killed; return how many runs were killed amid their work."""
    args = (source, "-o", out, "--workers", workers, "--part-rows", 2)
    folder = out.with_name(f".{out.name}.restore-batch")
    killed = 0
    for _ in range(kills):
        process = command.start(*args, start_new_session=True)
        moment = time.monotonic() + random.random() * command.seconds
        while time.monotonic() < moment and process.poll() is None:
            time.sleep(0.001)
        if process.poll() is None:
            killed += 1
        process.kill()
        process.communicate()
        if out.exists() and not folder.exists():
            return killed
        assert not out.exists() or (folder / "done").exists() or not list(folder.iterdir())
    status, err = command(*args)
    assert (status, err.count("\n")) == (0, 1)
    return killed


def check(command: Command, table: Any, content: Any, name: str, workers: int, kills: int) -> None:
    source = table(command.folder / name, TEXTS)
    whole, out = (source.with_name(stem + name.removeprefix("t")) for stem in ("whole", "out"))
    started = time.monotonic()
    assert command(source, "-o", whole, "--workers", 1, "--part-rows", 2)[0] == 0
    command.seconds = time.monotonic() - started
    killed = 0
    while killed < kills:
        killed += kill_at_random(command, source, out, workers, kills - killed)
        assert content(out) == content(whole)
        assert not out.with_name(f".{out.name}.restore-batch").exists()
        shutil.rmtree(out) if out.is_dir() else out.unlink()


@pytest.mark.parametrize(("name", "workers"), [("t.jsonl.gz", 2), ("t.parquet", 1)])
def test_killed_thrice(command: Command, table: Any, content: Any, name: str, workers: int) -> None:
    check(command, table, content, name, workers, 3)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "workers"), [(name, number % 3 + 1) for number, name in enumerate(KINDS)])
def test_killed_often(command: Command, table: Any, content: Any, name: str, workers: int) -> None:
    check(command, table, content, name, workers, KILLS)


@pytest.mark.slow
def test_the_whole_group_is_killed(command: Command, table: Any, content: Any) -> None:
    """Workers and all, as a machine's end would do it."""
    source = table(command.folder / "t.jsonl", TEXTS)
    args = (source, "-o", "out.jsonl", "--workers", 2, "--part-rows", 2)
    for seconds in (2.0, 2.5, 3.0):
        process = command.start(*args, start_new_session=True)
        time.sleep(seconds)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if (command.folder / "out.jsonl").exists():
            break
    if not (command.folder / "out.jsonl").exists():
        assert command(*args)[0] == 0
    assert command(source, "-o", "whole.jsonl", "--part-rows", 2)[0] == 0
    assert content(command.folder / "out.jsonl") == content(command.folder / "whole.jsonl")
    assert subprocess.run(["ls", "-A", command.folder], capture_output=True, text=True, check=True).stdout.split() == [
        "out.jsonl", "t.jsonl", "whole.jsonl",
    ]  # fmt: skip

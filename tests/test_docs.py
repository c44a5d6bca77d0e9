"""Every code block of the documentation runs.

Blocks are run page by page, in order, in a folder that holds a copy of examples/. By language:

    python     executed; a page's blocks share their names
    pycon      a doctest
    sh         run by bash, with `restore` being this one
    toml       a channel
    json       read
    zsh, fish  run by that shell, where there is one
    text       not code

A block that cannot run has a comment before it that says why: <!-- not run: REASON -->
"""

from __future__ import annotations

import contextlib
import doctest
import io
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from restore.channel.definition import read_channel

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(
    r"(?:^[ ]*<!-- not run: (?P<reason>[^>]+) -->\n+)?"
    r"^(?P<indent>[ ]*)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=indent)```[ ]*$",
    re.MULTILINE | re.DOTALL,
)
SHELLS = {"sh": ["bash", "-euo", "pipefail", "-c"], "zsh": ["zsh", "-ec"], "fish": ["fish", "-c"]}
"""What runs a block; zsh and fish only where they are installed, as in `.ci/run`."""
_SETS_UP = re.compile(r"^python3 -m venv ", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A code block, the line that it starts in, and why it is not run, if it is not."""

    line: int
    language: str
    code: str
    reason: str | None


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            text.count("\n", 0, match.start()) + 1, match["language"], textwrap.dedent(match["code"]), match["reason"]
        )
        for match in _BLOCK.finditer(text)
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with examples/, where `restore` is the one under test."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for path in (tmp_path / "examples").iterdir():
        path.chmod(0o644)
    commands = tmp_path / ".bin"
    commands.mkdir()
    script = commands / "restore"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m restore "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_blocks_run(page: Path, folder: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks_of(page):
        if block.reason is not None or _SETS_UP.search(block.code):  # the second is what .ci/run begins with
            continue
        run_block(block, names, folder, f"{page.name}:{block.line}")


def run_block(block: Block, names: dict[str, Any], folder: Path, where: str) -> None:
    language = block.language or ("pycon" if block.code.startswith(">>>") else "")
    if language == "python":
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(block.code, where, "exec"), names)
    elif language == "pycon":
        test = doctest.DocTestParser().get_doctest(block.code, names, where, where, 0)
        assert test.examples, f"{where}: no example"
        report = io.StringIO()
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        runner.run(test, out=report.write, clear_globs=False)
        assert not runner.failures, report.getvalue()
        names.update(test.globs)
    elif language in SHELLS:
        shell = SHELLS[language]
        if shutil.which(shell[0]) is None:
            return
        done = subprocess.run([*shell, block.code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{where}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
    elif language == "toml":
        for name in re.findall(r'^stop_file = "([^"]+)"', block.code, re.MULTILINE):
            (folder / name).write_text("word\n")
        (folder / "channel.toml").write_text(block.code)
        assert read_channel(folder / "channel.toml").strip("Men") is not None
    elif language == "json":
        json.loads(block.code)
    else:
        assert language == "text", f"{where}: say what language the block is in, or that it is text"


def test_few_blocks_are_not_run() -> None:
    blocks = [(page, block) for page in PAGES for block in blocks_of(page)]
    left_out = [block for _, block in blocks if block.reason is not None]
    assert len(left_out) <= len(blocks) / 5
    assert all(len(block.reason or "") > 10 for block in left_out)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_name_no_machine_and_no_server(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.])/(?:home|root|work|tmp|var|Users)/", text)
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings_handlers.python")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = [path.read_text(encoding="utf-8") for path in (tmp_path / "site").glob("*.html")]
    assert len(pages) > 10
    for text in pages:
        loaded = re.findall(
            r'<(?:script|img|iframe|source)[^>]*\ssrc="([^"]+)"|<link[^>]*stylesheet[^>]*href="([^"]+)"', text
        )
        assert not [address for pair in loaded for address in pair if re.match(r"(?:https?:)?//", address)]

"""Every code block of the documentation runs.

Blocks are run page by page, in order, in a folder that holds a copy of examples/. By language:

    python     executed; a page's blocks share their names
    pycon      a doctest
    sh         run by bash, with `restore` being this one
    toml       a channel
    json       read
    zsh, fish  run by that shell, where there is one
    text       not code

Blocks that set up a new environment are run by `.ci/run`. A block that needs more than the extra `test` says so in a
comment before it, <!-- needs: NAME -->, and runs in a folder of its own where that is installed, elsewhere its test is skipped:

    benchmarks  what the benchmarks need; `dev` and `train` have short passages of examples/
    hf, train   these extras; `my-llama` is a tiny model of random weights. `.ci/run` does not install PyTorch
    ray         this extra, on a real cluster of one node; one of the tests marked `cluster`
"""

from __future__ import annotations

import contextlib
import csv
import doctest
import io
import json
import lzma
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from restore.channel.definition import read_channel

from .tiny_models import write_model

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "README.md"]
NEEDS = {
    "benchmarks": ("matplotlib", "sacrebleu"),
    "hf": ("torch", "transformers"),
    "train": ("torch", "transformers", "safetensors", "onnx"),
    "ray": ("ray", "pyarrow"),
}
"""The packages that a block of each need takes."""
_BLOCK = re.compile(
    r"(?:^[ ]*<!-- needs: (?P<need>\w+) -->\n+)?"
    r"^(?P<indent>[ ]*)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=indent)```[ ]*$",
    re.MULTILINE | re.DOTALL,
)
SHELLS = {"sh": ["bash", "-euo", "pipefail", "-c"], "zsh": ["zsh", "-ec"], "fish": ["fish", "-c"]}
"""What runs a block; zsh and fish only where they are installed, as in `.ci/run`."""
_SETS_UP = re.compile(r"^python3 -m venv ", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A code block, the line that it starts in, and what it needs, if anything."""

    line: int
    language: str
    code: str
    need: str | None

    @property
    def sets_up(self) -> bool:
        return _SETS_UP.search(self.code) is not None


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(text.count("\n", 0, match.start()) + 1, match["language"], textwrap.dedent(match["code"]), match["need"])
        for match in _BLOCK.finditer(text)
    ]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def with_needs() -> list[Any]:
    """Return the pages with blocks that need something, each with a need."""
    found = {(page, block.need) for page in PAGES for block in blocks_of(page) if block.need}
    return [
        pytest.param(page, need, id=f"{name_of(page)}-{need}", marks=[pytest.mark.cluster] if need == "ray" else [])
        for page, need in sorted(found)
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with examples/, where `restore` is the one under test, `python` and `ray` those that run it."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for path in (tmp_path / "examples").iterdir():
        path.chmod(0o644)
    commands = tmp_path / ".bin"
    commands.mkdir()
    for name, arguments in {
        "restore": "-m restore",
        "python": "",
        "ray": "-c 'from ray.scripts.scripts import main; main()'",
    }.items():
        script = commands / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_code_blocks_run(page: Path, folder: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks_of(page):
        if block.need is None and not block.sets_up:
            run_block(block, names, folder, f"{page.name}:{block.line}")


@pytest.mark.parametrize(("page", "need"), with_needs())
def test_code_blocks_with_needs_run(page: Path, need: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in NEEDS[need]:
        pytest.importorskip(package)
    with contextlib.ExitStack() as stack:
        if need == "benchmarks":
            write_corpus(folder)
        elif need == "ray":
            stack.enter_context(ray_at_home(monkeypatch))
        else:
            monkeypatch.setenv("OMP_NUM_THREADS", "1")  # so small a model gains nothing by more
            write_model(folder / "my-llama", "llama")
        for block in blocks_of(page):
            if block.need == need:
                run_block(block, {}, folder, f"{page.name}:{block.line}")


def write_corpus(folder: Path) -> None:
    """Copy the benchmarks, and make a file of each kind of development text from the passages of examples/."""
    shutil.copytree(ROOT / "benchmarks", folder / "benchmarks", ignore=shutil.ignore_patterns("results"))
    with (folder / "examples" / "passages.csv").open(encoding="utf-8", newline="") as stream:
        documents = [f"{row['original']}\n%%%\n" for row in csv.DictReader(stream)]
    for name in ("dev", "train"):
        (folder / name).mkdir()
    for number, source in enumerate(("news", "encyclopedic", "blog_government", "speech")):
        (folder / "dev" / f"{source}.txt").write_text("".join(documents[number::4]), encoding="utf-8")
    with lzma.open(folder / "train" / "passages.txt.xz", "wt", encoding="utf-8") as packed:
        packed.writelines(documents)


@contextlib.contextmanager
def ray_at_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let Ray keep its files in a folder of its own, by which its processes are told from others, and ended."""
    home = Path(tempfile.mkdtemp(prefix="restore-ray-", dir="/tmp"))  # short, as the paths of sockets in it are limited
    monkeypatch.setenv("RAY_TMPDIR", str(home))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    try:
        yield
    finally:
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                ours = f"RAY_TMPDIR={home}".encode() in (process / "environ").read_bytes().split(b"\0")
                if ours and int(process.name) != os.getpid():
                    os.kill(int(process.name), signal.SIGKILL)
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def short_article(folder: Path) -> Iterator[None]:
    """Leave only the beginning of the article, which takes commands less time; `.ci/run` restores the whole of it."""
    article = folder / "examples" / "immigration_stripped.txt"
    whole = article.read_text(encoding="utf-8")
    article.write_text(" ".join(whole.split()[:80]) + "\n", encoding="utf-8")
    try:
        yield
    finally:
        article.write_text(whole, encoding="utf-8")


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
        with short_article(folder):
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


def test_no_block_is_left_out() -> None:
    """Each is run by one of the tests above, or is the beginning of what `.ci/run` takes from the README."""
    blocks = [(page, block) for page in PAGES for block in blocks_of(page)]
    assert {block.need for _, block in blocks} <= {None, *NEEDS}
    assert len(blocks) == sum(page.read_text(encoding="utf-8").count("```") for page in PAGES) / 2
    set_up = [(page, re.split(r" && |\n", block.code.strip())) for page, block in blocks if block.sets_up]
    of_readme = [commands for page, commands in set_up if page == ROOT / "README.md"]
    assert [re.search(r"immigration_stripped|pytest -n 2$", commands[-1]) is not None for commands in of_readme] == [
        True,
        True,
    ]
    for _, commands in set_up:
        assert any(commands == whole[: len(commands)] for whole in of_readme), commands


@pytest.mark.parametrize("page", PAGES, ids=name_of)
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

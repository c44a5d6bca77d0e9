"""Completion in the shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def complete(line: str, position: int) -> list[str]:
    """Return what the command offers bash at a word of a line."""
    environment = {"COMP_WORDS": line, "COMP_CWORD": str(position), "_RESTORE_COMPLETE": "bash_complete"}
    return run(environment).splitlines()


def run(environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "restore"],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    script = run({"_RESTORE_COMPLETE": f"{shell}_source"})
    assert "_RESTORE_COMPLETE" in script
    assert f"{shell}_complete" in script


def test_the_first_word_is_a_command_or_a_file() -> None:
    offered = complete("restore ", 1)
    assert {"plain,strip", "plain,channels", "plain,evaluate", "plain,train", "file,"} <= set(offered)


@pytest.mark.parametrize(
    ("line", "position", "offered"),
    [
        ("restore --ch", 1, ["plain,--channel"]),
        ("restore str", 1, ["plain,strip", "file,str"]),
        ("restore article.txt --ht", 2, ["plain,--html"]),
        ("restore article.txt --channel st", 3, ["plain,stemmed"]),
        ("restore article.txt --channel ours.t", 3, ["file,ours.t"]),
        ("restore article.txt --color a", 3, ["plain,auto", "plain,always"]),
        ("restore article.txt -o out", 3, ["file,out"]),
        ("restore strip ", 2, ["file,"]),
        ("restore strip x --ch", 3, ["plain,--channel"]),
        ("restore train n", 2, ["plain,ngram"]),
    ],
)
def test_what_is_offered(line: str, position: int, offered: list[str]) -> None:
    assert set(offered) <= set(complete(line, position))
    assert not [item for item in complete(line, position) if "Traceback" in item]


SHELLS = {
    "bash": 'eval "$(_RESTORE_COMPLETE=bash_source restore)"; COMP_WORDS=(restore article.txt --channel ste); COMP_CWORD=3; '
    '_restore_completion restore; echo "${COMPREPLY[@]}"',
    "fish": '_RESTORE_COMPLETE=fish_source restore | source; complete -C "restore article.txt --channel ste"',
}


@pytest.mark.parametrize("shell", list(SHELLS))
def test_the_shell_itself_completes(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: install Debian's package {shell} to run this")
    script = tmp_path / "restore"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m restore "$@"\n')
    script.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run(
        [shell, "-c", SHELLS[shell]], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["stemmed"], done.stderr

"""Every command does its work with no network: sockets are taken away, from its workers too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from restore.cli.main import SUBCOMMANDS

TRAP = """
import socket, sys

def _no(*args, **options):
    print("NETWORK", args, file=sys.stderr)
    raise OSError("no network in this test")

class _Socket(socket.socket):
    def __init__(self, family=-1, *args, **options):
        if family != getattr(socket, "AF_UNIX", None):
            _no(family)
        super().__init__(family, *args, **options)

socket.socket = _Socket
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = _no
"""

STRIPPED = "u immigration official routinely deport non citizen felony drug conviction"
ORIGINAL = "The officials said that they had found no reason. The court ruled on Tuesday that the law was void.\n"
COMMANDS = {
    "restore": [
        ["stripped.txt"],
        ["stripped.txt", "--json"],
        ["stripped.txt", "-o", "prose.txt"],
        ["stripped.txt", "--engine", "neural"],
    ],
    "strip": [["strip", "original.txt"], ["strip", "original.txt", "--channel", "stemmed"]],
    "channels": [["channels"]],
    "evaluate": [["evaluate", "original.txt", "--engine", "fast"]],
    "train": [["train", "ngram", "original.txt", "-o", "model", "--vocabulary", "100"]],
    "batch": [["batch", "table.csv", "-o", "out.csv"], ["batch", "texts", "-o", "out"]],
    "explain": [["explain", "stripped.txt"]],
}
"""What each command is tried with. A command that is not here fails the test, so that none is forgotten."""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap" / "sitecustomize.py").write_text(TRAP)
    (tmp_path / "stripped.txt").write_text(STRIPPED)
    (tmp_path / "original.txt").write_text(ORIGINAL * 40)
    (tmp_path / "table.csv").write_text(f"text\n{STRIPPED}\n")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text(STRIPPED)
    path = [str(tmp_path / "trap"), *(place for place in sys.path if place)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "HOME": str(tmp_path)}


def run(environment: dict[str, str], folder: Path, *command: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, check=False)
    return done.returncode, done.stderr.decode()


def test_the_trap_works(environment: dict[str, str], tmp_path: Path) -> None:
    for attempt in (
        "import urllib.request as r; r.urlopen('http://127.0.0.1:9')",
        "import socket; socket.socket(socket.AF_INET)",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import http.client as c; c.HTTPConnection('127.0.0.1', 9).connect()",
    ):
        status, err = run(environment, tmp_path, "-c", attempt)
        assert status != 0
        assert "NETWORK" in err


@pytest.mark.parametrize("name", ["restore", *SUBCOMMANDS])
def test_works_without_a_network(environment: dict[str, str], tmp_path: Path, name: str) -> None:
    for args in COMMANDS[name]:
        status, err = run(environment, tmp_path, "-m", "restore", *args)
        assert status == 0, err
        assert "NETWORK" not in err

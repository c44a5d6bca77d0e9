"""`restore --html` and `restore --color`."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from restore.cli import main

STRIPPED = "u immigration official routinely deport non citizen felony drug conviction"
SGR = re.compile("\x1b\\[[0-9;:]*m")


class Run:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
        self._patch, self._capture = monkeypatch, capsysbinary

    def __call__(self, *args: str, stdin: str = STRIPPED) -> tuple[int, str, str]:
        self._patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as end:
            main(list(args))
        out, err = self._capture.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, out.decode(), err.decode()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    return Run(monkeypatch, capsysbinary)


@pytest.fixture
def stripped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "stripped.txt"
    path.write_text(STRIPPED)
    return path


def test_a_page_is_written_and_nothing_printed(run: Run, stripped: Path) -> None:
    assert run("stripped.txt", "--html", "page.html") == (0, "", "")
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "stripped.txt" in page
    assert sorted(os.listdir()) == ["page.html", "stripped.txt"]


def test_page_and_text_at_once(run: Run, stripped: Path) -> None:
    assert run("stripped.txt", "--html", "page.html", "-o", "prose.txt") == (0, "", "")
    assert Path("prose.txt").read_text() == run("stripped.txt")[1]
    assert run("stripped.txt", "--html", "page.html", "-o", "-")[1] == run("stripped.txt")[1]
    assert run("stripped.txt", "--html", "page.html", "--json")[1].startswith('{"text": ')
    assert run("-", "--html", "-")[1].startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("args", "status", "says"),
    [
        (["stripped.txt", "--html", "stripped.txt"], 1, "never overwritten"),
        (["stripped.txt", "--html", "no-such-folder/page.html"], 1, "there is no folder no-such-folder"),
        (["stripped.txt", "--html", "."], 1, "it is a folder"),
        (["stripped.txt", "--html", "a", "-o", "./a"], 2, "give each its own file"),
        (["stripped.txt", "--color", "--colour"], 2, "--colour"),
        (["stripped.txt", "--color=pink"], 2, "'pink' is not one of"),
    ],
)
def test_mistakes_cost_no_work(run: Run, stripped: Path, args: list[str], status: int, says: str) -> None:
    code, out, err = run(*args)
    assert (code, out) == (status, "")
    assert says in err
    assert stripped.read_text() == STRIPPED


def test_colour_is_only_added(run: Run, stripped: Path) -> None:
    plain = run("stripped.txt")[1]
    colored = run("stripped.txt", "--color", "always")[1]
    assert colored != plain
    assert SGR.sub("", colored) == plain
    assert run("--color=always", "stripped.txt")[1] == colored


@pytest.mark.parametrize("args", [["--color"], ["--color", "auto"], ["--color", "never"]])
def test_a_pipe_stays_plain(run: Run, stripped: Path, args: list[str]) -> None:
    assert run("stripped.txt", *args)[1] == run("stripped.txt")[1]
    assert run(*args, "stripped.txt")[1] == run("stripped.txt")[1]


@pytest.mark.parametrize(("variables", "colored"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_a_terminal_shows_marks(stripped: Path, variables: dict[str, str], colored: bool) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    environment |= {"TERM": "xterm-256color", **variables}
    here, there = pty.openpty()
    command = [sys.executable, "-m", "restore", "stripped.txt", "--color"]
    process = subprocess.Popen(command, stdout=there, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment)
    os.close(there)
    shown = b""
    try:
        while part := os.read(here, 4096):
            shown += part
    except OSError:  # the other side is closed
        pass
    os.close(here)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert (b"\x1b[" in shown) is colored
    assert "immigration" in SGR.sub("", shown.decode())

"""The command line: what goes where, and how it ends."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from restore import RestoreError, Style, strip_text
from restore.channel import channel_names, get_channel
from restore.cli import main
from restore.cli.channels import EXAMPLES
from restore.cli.main import SUBCOMMANDS

STRIPPED = "u immigration official routinely deport non citizen felony drug conviction"


class Run:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
        self._patch, self._capture = monkeypatch, capsysbinary

    def __call__(self, *args: str, stdin: bytes = b"") -> tuple[int, str, str]:
        self._patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as end:
            main(list(args))
        out, err = self._capture.readouterr()
        code = end.value.code
        assert isinstance(code, int)
        return code, out.decode(), err.decode()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    return Run(monkeypatch, capsysbinary)


@pytest.fixture
def stripped_file(tmp_path: Path) -> Path:
    path = tmp_path / "stripped.txt"
    path.write_text(STRIPPED)
    return path


def test_restores_a_file(run: Run, stripped_file: Path) -> None:
    status, out, err = run(str(stripped_file))
    assert (status, err) == (0, "")
    assert strip_text(out) == STRIPPED
    assert out != STRIPPED


def test_restores_standard_input(run: Run) -> None:
    assert run(stdin=STRIPPED.encode())[:2] == run("-", stdin=STRIPPED.encode())[:2]


def test_json_holds_the_history(run: Run, stripped_file: Path) -> None:
    status, out, _ = run(str(stripped_file), "--json")
    result = json.loads(out)
    assert status == 0
    assert result["restored"] is True
    assert {"text", "edits", "kept", "repairs", "channel", "engine"} <= result.keys()
    assert result["channel"] == "nltk"


@pytest.mark.parametrize(
    ("args", "name", "value"),
    [
        (["--conservative"], "min_confidence", 0.5),
        (["--fluent"], "min_confidence", 0.0),
        (["--min-confidence", "0.3"], "min_confidence", 0.3),
        (["--us", "plain"], "style", Style(abbreviations="plain")),
        (["--quotes", "curly"], "style", Style(quotes="curly")),
        (["--dash", "spaced"], "style", Style(dash="spaced")),
        (["--no-serial-comma"], "style", Style(serial_comma=False)),
        (["--beam", "3"], "beam", 3),
        (["--no-repair"], "repair", False),
        (["--channel", "stemmed"], "channel", "stemmed"),
        (["--engine", "fast"], "engine", "fast"),
        (["--model", "mine"], "model", "mine"),
    ],
)
def test_options_reach_the_restorer(
    run: Run, stripped_file: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], name: str, value: object
) -> None:
    seen: dict[str, object] = {}

    def noted(**options: object) -> None:
        seen.update(options)
        raise RestoreError("enough")

    monkeypatch.setattr("restore.restorer.Restorer", noted)
    run(str(stripped_file), *args)
    assert seen[name] == value


def test_writes_a_file_whole(run: Run, stripped_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    assert run(str(stripped_file), "-o", str(out)) == (0, "", "")
    assert strip_text(out.read_text()) == STRIPPED
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.txt", "stripped.txt"]


def test_never_overwrites_the_input(run: Run, stripped_file: Path) -> None:
    link = stripped_file.parent / "link.txt"
    link.symlink_to(stripped_file)
    for name in (stripped_file, link):
        status, out, err = run(str(stripped_file), "-o", str(name))
        assert (status, out) == (1, "")
        assert "never overwritten" in err
    assert stripped_file.read_text() == STRIPPED


def test_never_overwrites_the_file_on_standard_input(stripped_file: Path) -> None:
    for command in ([], ["strip"]):
        with stripped_file.open() as text:
            done = subprocess.run(
                [sys.executable, "-m", "restore", *command, "-o", str(stripped_file)], stdin=text, capture_output=True, text=True
            )
        assert (done.returncode, done.stdout) == (1, "")
        assert "never overwritten" in done.stderr
    assert stripped_file.read_text() == STRIPPED


def test_strips(run: Run) -> None:
    text = b"U.S. officials don't re-enter."
    assert run("strip", "-", stdin=text) == (0, "u official enter\n", "")
    assert run("strip", "-", "--channel", "transcript", stdin=b"Don't go, he said.")[1] == "don't go he said\n"


def test_a_file_named_like_a_subcommand(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("strip").write_text(STRIPPED)
    assert strip_text(run("./strip")[1]) == STRIPPED


def test_says_what_was_repaired(run: Run) -> None:
    status, out, err = run("-", stdin=b"department homeland security govrnment official said")
    assert (status, "government" in out) == (0, True)
    assert err.startswith("restore: note: repaired first: govrnment to government (1 in all; ")
    assert len(err.splitlines()) == 1
    assert run("-", "--no-repair", stdin=b"department homeland security govrnment official said")[2] == ""


def test_lists_the_channels(run: Run) -> None:
    status, out, _ = run("channels")
    assert status == 0
    for name, example in EXAMPLES.items():
        assert f"{example}\n{'':14}-> {get_channel(name).strip(example)}\n" in out


@pytest.mark.parametrize("name", channel_names())
def test_the_example_of_a_channel_shows_what_is_its_own(name: str) -> None:
    stripped = get_channel(name).strip(EXAMPLES[name])
    for other in set(channel_names()) - {name, "unicode" if name == "nltk" else name}:  # alike without accents
        assert get_channel(other).strip(EXAMPLES[name]) != stripped, other


@pytest.mark.parametrize(
    ("data", "status", "says"),
    [
        (b"\x00\x01binary", 1, "zero byte"),
        (b"caf\xe9 society", 1, "byte 3 is not UTF-8"),
        ("\ufeffofficial said".encode(), 0, ""),
        (b"", 0, "no words"),
        (b" \n\t ", 0, "no words"),
    ],
)
def test_bad_input(run: Run, data: bytes, status: int, says: str) -> None:
    code, out, err = run("-", stdin=data)
    assert code == status
    assert says in err
    assert err.count("\n") <= 1
    if status:
        assert out == ""


def test_readable_text_is_not_garbled(run: Run) -> None:
    text = "The agency said that it had found no reason to stop the removal of the men who were in the country."
    status, out, err = run("-", stdin=text.encode())
    assert (status, out) == (0, text)
    assert "was not stripped" in err


@pytest.mark.parametrize(
    ("args", "status", "says"),
    [
        (["no-such-file.txt"], 1, "no-such-file.txt: cannot be read"),
        (["-", "--channel", "ntlk"], 1, "'ntlk' is unknown"),
        (["-", "--engine", "slow"], 2, "--engine"),
        (["-", "--beam", "0"], 2, "--beam"),
        (["-", "--no-such-option"], 2, "--no-such-option"),
        (["-", "--model", "no-such-folder"], 1, "no-such-folder"),
        (["-", "-o", "no-such-folder/out.txt"], 1, "cannot be written"),
        (["strip"], 0, ""),
    ],
)
def test_errors_are_one_line(run: Run, args: list[str], status: int, says: str) -> None:
    code, out, err = run(*args, stdin=b"official said")
    assert code == status
    assert says in err
    assert "Traceback" not in err
    if status:
        assert err.startswith("restore: ")
        assert err.count("\n") == 1
        assert out == ""


def test_help_and_version(run: Run) -> None:
    status, out, _ = run("--help")
    assert status == 0
    for word in ("--channel", "--json", "strip", "evaluate", "FILE"):
        assert word in out
    assert run("--version")[1].startswith("restore, version ")


@pytest.mark.parametrize("name", sorted(SUBCOMMANDS))
def test_every_subcommand_is_there(run: Run, name: str) -> None:
    status, out, _ = run(name, "--help")
    assert status == 0
    assert f"restore {name}" in out  # and not the help of restoring a file of that name


def test_explain_shows_each_sentence(run: Run, stripped_file: Path) -> None:
    status, out, err = run("explain", str(stripped_file), "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)


def test_the_readme_names_only_commands_that_are_there() -> None:
    readme = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
    line = next(line for line in readme.splitlines() if line.startswith("`restore --help` lists"))
    named = set(re.findall(r"`([a-z]+)`", line))
    assert named == set(SUBCOMMANDS)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are of Unix: run it on Linux or macOS")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_asked_to_end_it_leaves_no_scratch_file(tmp_path: Path, hear_signals: Callable[[], None], name: str) -> None:
    """It waits for its input with the output's scratch file open already."""
    code = (
        "import os, sys\n"
        "import restore.cli.text, restore.cli.strip as strip\n"
        "from restore.cli.files import write_pieces\n"
        "def pieces():\n"
        "    yield 'begun '\n"
        "    print('waiting', flush=True)\n"
        "    sys.stdin.read()\n"
        "def wait(*args):\n"
        "    write_pieces('out.txt', pieces())\n"
        "strip.write_text = strip.write_pieces = wait\n"
        "from restore.cli import main\n"
        "main(['strip', 'in.txt', '-o', 'out.txt'])\n"
    )
    (tmp_path / "in.txt").write_text("The cats sat.")
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=hear_signals,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"waiting\n"
    assert len(list(tmp_path.iterdir())) == 2
    number = getattr(signal, name)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err.strip()) == (128 + number, b"")
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


def test_an_output_may_have_as_long_a_name_as_the_system_allows(run: Run, stripped_file: Path) -> None:
    output = stripped_file.with_name("a" * 250)
    assert run("strip", str(stripped_file), "-o", str(output)) == (0, "", "")
    assert {path.name for path in stripped_file.parent.iterdir()} == {stripped_file.name, output.name}


@pytest.mark.skipif(sys.platform == "win32", reason="limits are of Unix: run it on Linux or macOS")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_does_not_fit_is_never_lost_in_silence(tmp_path: Path, unbuffered: str) -> None:
    (tmp_path / "in.txt").write_text("The cats sat on mats. " * 9000)
    command = f"ulimit -f 20; exec {shlex.quote(sys.executable)} -m restore strip in.txt > out.txt"
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr == b"restore: File too large\n"


def test_a_closed_pipe_is_quiet(stripped_file: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        command = [sys.executable, "-m", "restore", str(stripped_file)]
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, check=False)
    assert done.stderr == b""
    assert done.returncode == 1

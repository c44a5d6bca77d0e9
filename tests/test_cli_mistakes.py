"""What a new user gets wrong, and what the command says: one line, with what to do."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from restore import strip_text

STEMS = "immigr offici routin deport non citizen feloni drug convict advoc shock week immigr"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("u immigration official")
    (tmp_path / "b.txt").write_text("court ruled")
    (tmp_path / "folder").mkdir()
    (tmp_path / "utf16.txt").write_bytes("court".encode("utf-16"))
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"court ruled"))
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7 \0")
    (tmp_path / "a.docx").write_bytes(b"PK\x03\x04 \0")
    (tmp_path / "t.csv").write_text("id,text\n1,court ruled\n")
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
        ("a.txt --conservative --fluent", 2, "--conservative and --fluent contradict each other"),
        ("a.txt --min-confidence 0.2 --fluent", 2, "--min-confidence and --fluent contradict each other"),
        ("a.txt --color always -o b.txt", 2, "where none goes with -o"),
        ("a.txt --color always --json", 2, "where none goes with --json"),
        ("evaluate a.txt --hypotheses b.txt --engine fast", 2, "with --hypotheses nothing is restored"),
        ("a.txt --html - --json", 2, "both go to standard output"),
        ("a.txt --html - --nbest 2", 2, "--html - and --nbest both go to standard output"),
        ("a.txt --html - --color always", 2, "--html - and --color both go to standard output"),
        ("a.txt --terms b.txt -o b.txt", 1, "b.txt: is the input"),
        ("train ngram", 2, "see restore train ngram --help"),
        ("strip folder", 1, "is a folder"),
        ("version", 2, "did you mean: restore --version"),
        ("--verison", 2, "did you mean: restore --version"),
        ("a.txt out.txt", 2, "'out.txt' is no file; if the result is to go there: restore a.txt -o out.txt"),
        ("a.txt --json out.json", 2, "restore a.txt -o out.json"),
        ("a.txt --html --json", 1, "--json: looks like an option"),
        ("a.txt --channel porter", 1, "did you mean stemmed?"),
        ("a.txt --model nowhere", 1, "nowhere: there is no such folder"),
        ("a.txt --model a.txt", 1, "a.txt: there is no such folder"),
        ("a.txt --terms ICE,CAIR", 1, "give a file of names and words, one a line"),
        ("utf16.txt", 1, "iconv -f UTF-16 -t UTF-8 utf16.txt"),
        ("a.txt.gz", 1, "gzip -dc a.txt.gz | restore"),
        ("a.pdf", 1, "is a PDF"),
        ("a.docx", 1, "an office document"),
        ("batch a.txt -o b.out", 1, "for one text: restore a.txt"),
        ("train ngram b.txt -o a.txt", 1, "a.txt: is a file; name a folder"),
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


@pytest.mark.parametrize("command", ["", "strip", "explain"])
def test_output_into_the_input_is_refused(folder: Path, command: str) -> None:
    words = [sys.executable, "-m", "restore", *command.split(), "a.txt"]
    with (folder / "a.txt").open("a") as stream:
        done = subprocess.run(words, cwd=folder, stdout=stream, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "standard output is sent into it" in done.stderr
    assert (folder / "a.txt").read_text() == "u immigration official"


def test_a_group_alone_shows_its_help(folder: Path) -> None:
    done = restore(folder, "train")
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: restore train")


def test_a_command_of_a_text_has_the_help_of_restore(folder: Path) -> None:
    assert restore(folder, "a.txt", "--help").stdout == restore(folder, "--help").stdout


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ("t.csv", "restore batch t.csv -o OUT"),
        ("stems.txt", "the words look like stems"),
        ("speech.txt", "it looks like the work of channel transcript"),
        ("prose.txt", "it looks like prose that was never stripped"),
        ("train ngram prose.txt -o model", "too little to guess well"),
    ],
)
def test_what_is_probably_a_mistake_is_done_and_pointed_out(folder: Path, args: str, says: str) -> None:
    prose = "The agencies said they'd found no reasons to stop removing the officials who were routinely deported. " * 3
    (folder / "stems.txt").write_text(STEMS)
    (folder / "speech.txt").write_text(strip_text(prose, "transcript"))
    (folder / "prose.txt").write_text(prose)
    done = restore(folder, *args.split())
    assert done.returncode == 0
    assert says in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].startswith("restore: note: ")


def test_stems_restored_as_stems_need_no_note(folder: Path) -> None:
    (folder / "stems.txt").write_text(STEMS)
    assert restore(folder, "stems.txt", "--channel", "stemmed").stderr == ""


@pytest.mark.skipif(not Path("/dev/null").is_char_device(), reason="there is no device to write to")
def test_a_device_is_written_to_and_not_replaced(folder: Path) -> None:
    (folder / "away").symlink_to("/dev/null")
    assert restore(folder, "a.txt", "-o", "away").returncode == 0
    assert (folder / "away").is_char_device()
    assert "immigration" in restore(folder, "a.txt", "-o", "/dev/stdout").stdout
    assert Path("/dev/stdout").is_symlink()


@pytest.mark.parametrize("option", ["--model nowhere", "--terms terms.txt"])
def test_a_mistake_leaves_no_file(folder: Path, option: str) -> None:
    """Models are opened once the output has been begun."""
    (folder / "terms.txt").write_text("AT&T\n")
    before = sorted(folder.iterdir())
    assert restore(folder, "a.txt", "-o", "out.txt", "--engine", "fast", *option.split()).returncode == 1
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("restore <&-", "standard input is closed"),
        ("restore - <&-", "standard input is closed"),
        ("restore strip a.txt >&-", "standard output is closed"),
    ],
)
def test_closed_streams_are_told(folder: Path, command: str, says: str) -> None:
    shell = f"{sys.executable} -m {command}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(shell, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("restore: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["strip a.txt -o out.txt >&-", "a.txt -o out.txt --engine fast 2>&-"])
def test_streams_that_are_not_needed_may_be_closed(folder: Path, command: str) -> None:
    (folder / "a.txt").write_text("official said monday " * 300)
    shell = f"{sys.executable} -m restore {command}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(shell, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "out.txt").stat().st_size > 4000


def test_an_explanation_goes_into_a_pipe_of_any_encoding(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = restore(folder, "explain", "a.txt", "--engine", "fast")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_output_keeps_who_may_read_it(folder: Path) -> None:
    (folder / "out.txt").write_text("old")
    (folder / "out.txt").chmod(0o600)
    assert restore(folder, "strip", "a.txt", "-o", "out.txt").returncode == 0
    assert (folder / "out.txt").stat().st_mode & 0o777 == 0o600

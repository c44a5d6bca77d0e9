"""`restore batch` as a user runs it: real processes, real disks."""

from __future__ import annotations

import json
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from restore import Restorer, strip_text
from restore.batch import Columns, Progress
from restore.batch.store import Store
from restore.cli.batch import batch_command

from .conftest import Command

TEXTS = [
    "official said week",
    "immigration custom enforcement found compelling reason stop removal two longtime legal permanent resident",
    "",
    "non citizen granted early release prison among nearly 6 000 men deemed safe enter society last november",
    "anything longer padilla responsibity",
] * 8


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer(engine="fast", beam=1, repair=False)


@pytest.mark.parametrize("name", ["t.jsonl", "folder"])
def test_any_number_of_workers_gives_the_same(
    command: Command, table: Any, content: Any, restorer: Restorer, tmp_path: Path, name: str
) -> None:
    source = table(tmp_path / name, TEXTS)
    before = content(source)
    outputs = []
    for workers in (1, 3):
        out = tmp_path / f"out{workers}{name.removeprefix('t')}"
        environment = {**os.environ, "PYTHONHASHSEED": str(workers)}  # sets have other orders in each process
        status, err = command(source, "-o", out, "--workers", workers, "--part-rows", 3, env=environment)
        assert (status, err.count("\n")) == (0, 1)
        assert err.startswith("restore: 40 rows in ")
        outputs.append(content(out))
    assert outputs[0] == outputs[1]
    assert content(source) == before
    if name == "t.jsonl":
        rows = [json.loads(line) for line in outputs[0][""].splitlines()]
        for row, text in zip(rows, TEXTS, strict=True):
            made = restorer.restore(text)
            assert (row["text"], row["restored"], row["kept"]) == (text, made.text, len(made.kept))
            assert made.confidence is None or row["confidence"] == pytest.approx(made.confidence, abs=1e-6)
            assert restorer.engine in row["signature"]


def test_bad_rows_are_told_and_strict_stops(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "official"}\n{"txt": 1}\n\n{"text": 1}\n{"text": "\xff"}\n')
    status, err = command("a.jsonl", "-o", "b.jsonl", "--workers", 1)
    assert status == 0
    assert err.splitlines()[:3] == [
        "restore: row 2 (line 2): it has no field 'text'",
        "restore: row 3 (line 4): its field 'text' is a number, not text",
        "restore: row 4 (line 5): its byte 10 is not UTF-8",
    ]
    assert err.endswith("; 3 could not be restored and say why in 'error'\n")
    status, err = command("a.jsonl", "-o", "c.jsonl", "--workers", 1, "--strict")
    assert status == 1
    assert err.startswith("restore: row 2 (line 2): it has no field 'text'; the run has been stopped (--strict)")
    assert err.count("\n") == 1


def test_a_run_of_nothing_but_bad_rows_is_no_success(command: Command, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"body": "cat sat"}\n' * 3)
    status, err = command("t.jsonl", "-o", "out.jsonl", "--workers", 1)
    assert status == 1
    assert err.endswith("restore: none of the 3 rows could be restored; check the input and --text-field\n")
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("args", "status", "says"),
    [
        (["gone.csv", "-o", "out.csv"], 1, "gone.csv: cannot be read (No such file or directory)"),
        (["a.csv", "-o", "no/out.csv"], 1, "no/out.csv: cannot be written (the folder no does not exist)"),
        (["a.csv", "-o", "/proc/out.csv"], 1, "cannot be written"),
        (["a.csv", "-o", "a.csv"], 1, "is the input"),
        (["a.csv", "-o", "old.csv"], 1, "is there already; give --force"),
        (["a.csv", "-o", "out.csv", "--text-field", "body"], 1, "has no field 'body'"),
        (["a.csv", "-o", "out.csv", "--channel", "ntlk"], 1, "'ntlk' is unknown"),
        (["a.csv", "-o", "out.csv", "--model", "nowhere"], 1, "nowhere"),
        (["a.csv", "-o", "out.csv", "--terms", "nowhere"], 1, "nowhere"),
        (["a.csv", "-o", "out.csv", "--workers", "0"], 2, "--workers"),
        (["a.csv", "-o", "out.csv", "--workers", "2", "--ray", "auto"], 2, "give one of them"),
        (["a.csv"], 2, "-o"),
    ],
)
def test_errors_are_one_line(command: Command, tmp_path: Path, args: list[str], status: int, says: str) -> None:
    (tmp_path / "a.csv").write_text("text\nofficial\n")
    (tmp_path / "old.csv").write_text("old")
    code, err = command(*args)
    assert (code, err.count("\n")) == (status, 1)
    assert err.startswith("restore: ")
    assert says in err
    assert (tmp_path / "old.csv").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} <= {"a.csv", "old.csv", ".out.csv.restore-batch"}


def test_every_option_reaches_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "terms.txt").write_text("ICE\n")
    seen: list[Any] = []

    def noted(job: Any, workers: Any, listener: Any) -> Progress:
        seen.append(job)
        return Progress(rows=1)

    monkeypatch.setattr("restore.batch.runner.run_batch", noted)
    monkeypatch.chdir(tmp_path)
    options = "--text-field body --output-field prose --prefix _ --max-bytes 999 --part-rows 7 --strict --force --terms terms.txt"
    how = "--channel stemmed --engine fast --beam 3 --no-repair --conservative --us dotted --quotes curly --dash tight"
    done = CliRunner().invoke(batch_command, ["a.csv", "-o", "b.csv", *options.split(), *how.split(), "--serial-comma"])
    assert done.exit_code == 0, done.output
    (job,) = seen
    assert (job.source, job.target, job.columns) == (Path("a.csv"), Path("b.csv"), Columns("body", "prose", "_", 999))
    assert (job.part_rows, job.strict, job.force) == (7, True, True)
    assert job.options == {
        "channel": "stemmed",
        "engine": "fast",
        "model": None,
        "beam": 3,
        "repair": False,
        "min_confidence": 0.5,
        "terms": ("ICE",),
        "style": {"abbreviations": "dotted", "quotes": "curly", "dash": "tight", "serial_comma": True},
    }


def test_each_row_has_its_own_channel(command: Command, tmp_path: Path) -> None:
    prose = "The officials said they didn't find anything. I don't know what she told him, but he wasn't happy there. " * 3
    rows = [{"text": strip_text(prose, name)} for name in ("transcript", "nltk")]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"text": prose}]))
    assert command("a.jsonl", "-o", "b.jsonl", "--channel", "auto", "--workers", "1")[0] == 0
    found = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert [row["channel"] for row in found] == ["transcript", "nltk", "readable"]


def test_without_the_extra_the_error_names_it(command: Command, tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    for name in ("pyarrow", "zstandard", "ray"):
        (tmp_path / "modules" / f"{name}.py").write_text(f"raise ModuleNotFoundError(name={name!r})")
    (tmp_path / "a.parquet").write_bytes(b"")
    (tmp_path / "a.csv").write_text("text\nofficial\n")
    shutil.copy(tmp_path / "a.csv", tmp_path / "a.csv.zst")
    path = os.pathsep.join([str(tmp_path / "modules"), *sys.path])
    for name, extra, more in (
        ("a.parquet", "batch", ()),
        ("a.csv.zst", "batch", ()),
        ("a.csv", "ray", ("--ray", "auto")),
    ):
        status, err = command(name, "-o", f"b{name[1:]}", *more, env={**os.environ, "PYTHONPATH": path})
        assert (status, err.count("\n")) == (1, 1)
        assert f"pip install 'restore-prose[{extra}]'" in err


def test_a_folder_that_must_not_be_written(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\nofficial\n")
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    if os.access(folder, os.W_OK):  # root may write anywhere
        status, err = command("a.csv", "-o", "/sys/out.csv")
    else:
        status, err = command("a.csv", "-o", folder / "out.csv")
    assert (status, err.count("\n")) == (1, 1)
    assert "cannot be written" in err
    assert "choose another output" in err


def test_an_output_that_is_whole_already_is_told_so(command: Command, tmp_path: Path) -> None:
    """A run that was killed while it cleared up is given again."""
    (tmp_path / "a.csv").write_text("text\nofficial\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "remove", lambda self, _: 1 / 0)
        patch.chdir(tmp_path)
        quick = ["--engine", "fast", "--no-repair", "--beam", "1"]
        done = CliRunner().invoke(batch_command, ["a.csv", "-o", "out.csv", "--workers", "1", *quick])
    assert isinstance(done.exception, ZeroDivisionError)
    status, err = command("a.csv", "-o", "out.csv", "--workers", "1")
    assert (status, err) == (0, "restore: out.csv was whole already, made by an earlier run; nothing was left to do\n")


SMALL_DISK = """
mount -t tmpfs -o size=80k tmpfs disk && cp t.jsonl disk && cd disk || exit 77
"$@" t.jsonl -o out.jsonl; status=$?
ls -A > ../left
mount -o remount,size=20m . && "$@" t.jsonl -o out.jsonl && cp out.jsonl .. && ls -A >> ../left
exit $status
"""


def test_a_full_disk(command: Command, table: Any, tmp_path: Path) -> None:
    """A real file system of a few pages, in a namespace of its own."""
    table(tmp_path / "t.jsonl", TEXTS * 3)
    (tmp_path / "disk").mkdir()
    restore = [
        sys.executable,
        "-m",
        "restore",
        "batch",
        "--engine",
        "fast",
        "--beam",
        "1",
        "--no-repair",
        "--part-rows",
        "8",
    ]
    shell = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        SMALL_DISK,
        "sh",
        *restore,
    ]
    try:
        done = subprocess.run(shell, cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare here: run it on Linux, with util-linux")
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no user namespaces here: run it as root, or where they are allowed")
    first, second = done.stderr.splitlines()
    assert done.returncode == 1
    assert "cannot be written (No space left on device); what was done so far is kept" in first
    assert ", " in second
    assert "of them by an earlier run" in second
    assert (tmp_path / "left").read_text().splitlines() == [
        ".out.jsonl.restore-batch",
        "t.jsonl",
        "out.jsonl",
        "t.jsonl",
    ]
    assert command("t.jsonl", "-o", "whole.jsonl", "--part-rows", 8)[0] == 0
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_file_that_may_not_grow(command: Command, table: Any, tmp_path: Path) -> None:
    """The parts are small enough, but the output is not."""
    table(tmp_path / "t.jsonl", TEXTS)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, resource.RLIM_INFINITY))

    args = ("t.jsonl", "-o", "out.jsonl", "--part-rows", 5, "--workers", 1)
    status, err = command(*args, preexec_fn=limit)
    assert (status, err.count("\n")) == (1, 1)
    assert "out.jsonl: cannot be written (File too large); what was done so far is kept" in err
    assert not (tmp_path / "out.jsonl").exists()
    status, err = command(*args)
    assert (status, "40 of them by an earlier run" in err) == (0, True)


def test_an_input_that_vanishes(command: Command, table: Any, content: Any, tmp_path: Path) -> None:
    source = table(tmp_path / "in", TEXTS * 2)
    process = command.start("in", "-o", "out", "--part-rows", 2, "--workers", 1)
    wait_for_parts(tmp_path / ".out.restore-batch", process)
    source.rename(tmp_path / "away")
    _, err = process.communicate()
    assert process.returncode == 1
    assert err.decode().splitlines()[-1].startswith("restore: ")
    assert "cannot be read (No such file or directory); what was done so far is kept" in err.decode()
    (tmp_path / "away").rename(source)
    shutil.rmtree(source / "part3")
    status, text = command("in", "-o", "out", "--part-rows", 2, "--workers", 1)
    assert (status, text.count("has changed since")) in ((1, 1), (0, 0))  # whether that part had been done


def wait_for_parts(folder: Path, process: Any, count: int = 1) -> None:
    while len(list(folder.glob("parts/*/*"))) < count:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)


def test_control_c_ends_quietly(command: Command, table: Any, tmp_path: Path, hear_signals: Any) -> None:
    table(tmp_path / "t.csv", TEXTS * 20)
    process = command.start("t.csv", "-o", "out.csv", "--part-rows", 1, start_new_session=True, preexec_fn=hear_signals)
    wait_for_parts(tmp_path / ".out.csv.restore-batch", process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.decode() == "restore: interrupted; what was done so far is kept, so run the same command again\n"


def test_two_runs_at_once(command: Command, table: Any, tmp_path: Path) -> None:
    table(tmp_path / "t.csv", TEXTS * 20)
    process = command.start("t.csv", "-o", "out.csv", "--part-rows", 1)
    wait_for_parts(tmp_path / ".out.csv.restore-batch", process)
    status, err = command("t.csv", "-o", "out.csv", "--part-rows", 1)
    assert (status, err.count("\n")) == (1, 1)
    assert "another run is at work" in err
    process.kill()
    process.communicate()


def test_a_bar_on_a_terminal(table: Any, tmp_path: Path) -> None:
    table(tmp_path / "t.jsonl", TEXTS)
    with (tmp_path / "t.jsonl").open("a") as file:
        file.write("[bold]no[/bold] json\n")
    parent, child = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "restore",
        "batch",
        "t.jsonl",
        "-o",
        "out.jsonl",
        "--beam",
        "1",
        "--part-rows",
        "4",
    ]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=child, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    )
    os.close(child)
    seen = b""
    try:
        while data := os.read(parent, 1 << 16):
            seen += data
    except OSError:  # how a terminal ends on Linux
        pass
    os.close(parent)
    assert process.wait() == 0
    for what in (
        b"rows, ",
        b"/s",
        b" left",
        b"%",
        b"restore: row 41 (line 41): it is not JSON",
        b"restore: 41 rows in ",
    ):
        assert what in seen
    assert (tmp_path / "out.jsonl").read_bytes().count(b"\n") == 41


def test_what_says_how_to_restore_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "official said"}\n')
    terms = tmp_path / "terms.jsonl"
    terms.write_text("iPhone\n")
    args = [str(tmp_path / "a.jsonl"), "-o", str(terms), "--terms", str(terms), "--force", "--engine", "fast"]
    done = subprocess.run([sys.executable, "-m", "restore", "batch", *args], capture_output=True, text=True)
    assert done.returncode == 1
    assert "never overwritten" in done.stderr
    assert terms.read_text() == "iPhone\n"

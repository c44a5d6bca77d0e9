"""Worker processes: what becomes of rows when processes end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from restore import RestoreError
from restore.batch import processes
from restore.batch.processes import Processes
from restore.batch.rows import Part, Row

FAKE = """
import os, signal, sys, time
sys.path[:] = sys.argv[1:]
import restore.batch.engine as engine
from restore import ResourceError, Restoration

class Fake:
    engine = "fake:1"
    def restore(self, text):
        print("noise on standard output")
        if "die" in text:
            os.kill(os.getpid(), signal.SIGKILL)
        if "exit" in text:
            os._exit(3)
        if "once" in text:
            path = text.split()[1]
            if not os.path.exists(path):
                open(path, "w").close()
                os._exit(1)
        if "sleep" in text:
            time.sleep(60)
        if "gone" in text:
            raise ResourceError("the model has gone")
        if "boom" in text:
            raise MemoryError
        return Restoration(text.upper(), text, ())
    def restore_many(self, texts):
        return map(self.restore, texts)

def make(options):
    if options.get("model") == "bad":
        raise ResourceError("no such model")
    if options.get("model") == "crash":
        os._exit(7)
    return Fake()

engine.make_restorer = make
from restore.batch.worker import main
main()
"""


@pytest.fixture(autouse=True)
def _fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "START", FAKE)


def parts_of(texts: list[str], size: int) -> Iterator[Part]:
    rows = [Row(number, "", text, None, None, b"") for number, text in enumerate(texts)]
    for index, start in enumerate(range(0, len(rows), size)):
        yield Part(index, tuple(rows[start : start + size]), "", 0)


def outcomes(workers: Processes, texts: list[str], size: int) -> list[tuple[str | None, str | None]]:
    done = {part.index: found for part, found in workers.restore(parts_of(texts, size))}
    return [(outcome.text, outcome.error) for index in sorted(done) for outcome in done[index]]


def test_a_text_that_kills_its_process_costs_its_own_row(tmp_path: Path) -> None:
    once = f"once {tmp_path}/flag"
    texts = ["a", "die", "b", "exit", once, "boom", "\u2028\0é"]
    with Processes({}, 2) as workers:
        assert workers.engine == "fake:1"
        found = outcomes(workers, texts, 4)
    ended = "the engine's process ended twice while at work on it "
    assert found == [
        ("A", None),
        (None, ended + "(signal 9)"),
        ("B", None),
        (None, ended + "(status 3)"),
        (once.upper(), None),
        (None, "the engine failed on it (MemoryError: )"),
        ("\u2028\0É", None),
    ]


def test_a_process_that_somebody_kills_costs_nothing() -> None:
    texts = [f"text {number}" for number in range(60)]
    with Processes({}, 2) as workers:
        results = []
        for number, (part, found) in enumerate(workers.restore(parts_of(texts, 3))):
            results.append((part.index, [outcome.text for outcome in found]))
            if number % 8 == 0:
                os.kill(pids(workers)[number % 16 // 8], signal.SIGKILL)
    assert [text for _, found in sorted(results) for text in found] == [text.upper() for text in texts]
    assert not any(map(is_alive, pids(workers)))


def pids(workers: Processes) -> list[int]:
    return [worker._process.pid for worker in workers._workers]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_missing_data_ends_the_run() -> None:
    with Processes({}, 2) as workers, pytest.raises(RestoreError, match=r"^the model has gone$"):
        outcomes(workers, ["a", "gone", "b"] * 9, 1)
    with pytest.raises(RestoreError, match="no such model"), Processes({"model": "bad"}, 2):
        pass
    crashing = Processes({"model": "crash"}, 2)
    with pytest.raises(RestoreError, match=r"ended while it started \(status 7\)"), crashing:
        pass
    assert not any(map(is_alive, pids(crashing)))


def test_an_interrupted_run_leaves_no_process() -> None:
    def parts() -> Iterator[Part]:
        yield from parts_of(["sleep"] * 4, 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Processes({}, 2) as workers:
        list(workers.restore(parts()))
    assert not any(map(is_alive, pids(workers)))


def test_few_parts_are_read_ahead() -> None:
    read = 0

    def parts() -> Iterator[Part]:
        nonlocal read
        for part in parts_of(["a"] * 100, 1):
            read += 1
            yield part

    with Processes({}, 2) as workers:
        for done, _ in enumerate(workers.restore(parts()), 1):
            assert read <= done + 2 * 2 + 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a copy of this process")
def test_processes_end_with_the_one_that_started_them() -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with Processes({}, 2) as workers:
            os.write(write, b" ".join(b"%d" % pid for pid in pids(workers)))
            os.close(write)
            list(workers.restore(parts_of(["sleep"] * 9, 1)))
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        started = [int(pid) for pid in stream.read().split()]
    assert len(started) == 2
    time.sleep(0.2)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    deadline = time.monotonic() + 20
    while any(map(is_alive, started)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_way_modules_are_found_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fast: Any) -> None:
    """A worker takes modules from where this process does, never from the folder that it happens to be started in."""
    monkeypatch.undo()
    (tmp_path / "json.py").write_text("raise SystemExit('a stranger')")
    monkeypatch.chdir(tmp_path)
    text = "official said"
    with Processes({"engine": "fast"}, 1) as workers:
        assert workers.restore_texts([text])[0].text == fast.restore(text).text
        assert workers.engine == fast.engine
    with pytest.raises(RestoreError, match="nowhere"), Processes({"engine": "fast", "model": "nowhere"}, 1):
        pass

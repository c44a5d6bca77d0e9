"""Worker processes on this machine, each with a restorer of its own.

They are new processes, neither forked nor served by `multiprocessing`: engines hold threads and locks, which a fork would copy
in mid-air; a new process holds nothing of ours open; and what goes between is JSON. The models' files are mapped into
memory, so their pages exist once, whatever the number of workers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from restore.batch.rows import Outcome, Part
from restore.cores import usable_cores
from restore.errors import RestoreError

START = "import sys; sys.path[:] = sys.argv[1:]; from restore.batch.worker import main; main()"

NOT_STARTED = "the engine's process ended while it started ({how})"
ROW_KILLS = "the engine's process ended twice while at work on it ({how})"
CLOSED = "the workers have been ended"

STARTS = 3
"""How often a process that ends while it starts is started."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class _EndedError(Exception):
    """A worker's process has ended; the message says how."""


class _Worker:
    """One process at a time: one that has ended is replaced when it is needed again."""

    def __init__(self, options: Mapping[str, Any], threads: int) -> None:
        self._options = options
        self._environment = {**{name: str(threads) for name in _THREADS}, **os.environ}
        self._engine: str | None = None
        self._closed = False
        self._start()

    def _start(self) -> None:
        command = [sys.executable, "-c", START, *sys.path]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=self._environment)
        self._engine = None
        self._say(self._options)

    def engine(self) -> str:
        """Wait until it is ready, and return the name of its engine."""
        if self._engine is None:
            try:
                self._engine = str(self._hear()["engine"])
            except _EndedError as error:
                raise RestoreError(NOT_STARTED.format(how=error)) from error
        return self._engine

    def restore(self, texts: Sequence[str]) -> list[Outcome]:
        """Restore texts."""
        if self._closed:
            raise RestoreError(CLOSED)
        if self._process.poll() is not None:
            self._restart()
        self._say(texts)
        return [Outcome(*row) for row in self._hear()["rows"]]

    def _restart(self) -> None:
        """Start again, and yet again if somebody ends the new process while it starts."""
        for left in reversed(range(STARTS)):
            self._release()
            self._start()
            try:
                self.engine()
                return
            except RestoreError:
                if not left or self._process.poll() is None:
                    raise

    def close(self) -> None:
        """End the process, whatever it is doing, for good."""
        self._closed = True
        self._process.kill()

    def _release(self) -> None:
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with suppress(BrokenPipeError):  # something was left to be sent
                stream.close()

    def wait(self) -> None:
        """Wait until the closed process has ended."""
        self._release()

    def _say(self, what: Any) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # then no answer will come, which is noticed
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            status = self._process.wait()
            raise _EndedError(f"signal {-status}" if status < 0 else f"status {status}")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise RestoreError(answer["failed"])
        return answer


class Processes:
    """A number of worker processes. A context manager: its end is theirs.

    Args:
        options: the fields of the restorers' `Config`, as plain values.
        count: how many processes.

    Attributes:
        engine: the name of the engine with the checksum of its data.
    """

    def __init__(self, options: Mapping[str, Any], count: int) -> None:
        self._options = dict(options)
        self._count = count
        self._workers: list[_Worker] = []
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        self.engine = ""

    def __enter__(self) -> Processes:
        threads = max(1, usable_cores() // self._count)
        try:
            for _ in range(self._count):
                self._workers.append(_Worker(self._options, threads))
            for worker in self._workers:
                self.engine = worker.engine()
                self._idle.put(worker)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            worker.close()
        for worker in self._workers:
            worker.wait()

    def restore(self, parts: Iterable[Part]) -> Iterator[tuple[Part, list[Outcome]]]:
        """Yield parts with the outcomes of their texts, as they are done; few parts are read ahead.

        Raises:
            RestoreError: the engine cannot be started again, or one of its data files is missing or damaged.
        """
        with ThreadPoolExecutor(self._count) as threads:
            waiting: dict[Future[list[Outcome]], Part] = {}
            try:
                for part in parts:
                    waiting[threads.submit(self.restore_texts, part.texts)] = part
                    while len(waiting) > 2 * self._count:
                        yield from _done(waiting)
                while waiting:
                    yield from _done(waiting)
            except BaseException:
                for worker in self._workers:
                    worker.close()  # so that no thread waits for an answer
                for future in waiting:
                    future.cancel()
                raise

    def restore_texts(self, texts: Sequence[str]) -> list[Outcome]:
        """Restore texts in an idle worker. If its process ends over them, each is tried alone."""
        worker = self._idle.get()
        try:
            return worker.restore(texts) if texts else []
        except _EndedError:
            return [_restore_alone(worker, text) for text in texts]
        finally:
            self._idle.put(worker)


def _restore_alone(worker: _Worker, text: str) -> Outcome:
    how = ""
    for _ in range(2):  # the first time may have been somebody else's doing
        try:
            return worker.restore([text])[0]
        except _EndedError as ended:
            how = str(ended)
    return Outcome.failed(ROW_KILLS.format(how=how))


def _done(waiting: dict[Future[list[Outcome]], Part]) -> Iterator[tuple[Part, list[Outcome]]]:
    """Wait until at least one part is done, and yield those that are."""
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        yield waiting.pop(future), future.result()

"""A progress line on the terminal while a long text is restored."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

LONG = 4000
"""Characters from which a text is long: shorter ones are there before a line could be read."""


class ProgressLine:
    """How far a restoration is, as a line on standard error while the context lasts, if that is a terminal.

    The line never stands where prose is being written. Prose on standard output is on the terminal too, or may be,
    unless that is a file: through a pipe, `head`, `less` and `tee` write there whenever they like. So the line is taken
    away before the first of it is written; prose that appears shows by itself how far it is.

    Args:
        size: the length of the input, in characters.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> ProgressLine:
        if self._size >= LONG and sys.stderr is not None and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

            console = Console(stderr=True)
            if not console.is_dumb_terminal:
                columns = (TextColumn("restoring"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
                self._bar = Progress(
                    *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
                )
                self._task = self._bar.add_task("restoring", total=self._size)
                self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def tell(self, done: int, size: int) -> None:
        """Move the line on: so many characters of the input are restored, of so many."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=size)

    def stop(self) -> None:
        """Take the line away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def watch(self, pieces: Iterable[str], output: str | None) -> Iterator[str]:
        """Yield the pieces of a text that is being written to a file, or to standard output for None and `-`."""
        apart = output not in (None, "-") or _is_file(sys.stdout)
        for piece in pieces:
            if piece and not apart:
                self.stop()
            yield piece


def _is_file(stream: Any) -> bool:
    """Tell whether a stream goes to a file or to nowhere, and so to no terminal."""
    try:
        mode = os.fstat(stream.fileno()).st_mode
        return stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not stream.isatty())
    except (OSError, ValueError):  # no stream of the system's
        return False

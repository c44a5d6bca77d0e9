"""A batch run: read, restore in parts, keep each part, and put the output together at the end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from restore.batch.engine import signature
from restore.batch.output import (
    EXISTS,
    Earlier,
    check_input,
    check_paths,
    check_room,
    earlier_run,
    finish,
    identity_of,
    is_taken,
)
from restore.batch.rows import Outcome, Part, cut_into_parts
from restore.batch.store import Store
from restore.batch.tables import Columns, Table, kind_of, open_table
from restore.errors import InputError, RestoreError
from restore.evaluation.signature import signature_line

BAD_ROW = "row {number} ({place}): {error}"
STOPPED = "{row}; the run has been stopped (--strict), and what was done before is kept"


@dataclass(frozen=True)
class Job:
    """What a run does. Two jobs of equal fields make equal outputs of equal inputs.

    Attributes:
        source: a table or a folder of text files.
        target: the output.
        columns: which column is the text, and what the new ones are called.
        options: the fields of `Config`, as plain values.
        part_rows: how many rows are restored, and saved, together.
        force: whether the output may replace what is there.
        strict: whether the first bad row ends the run.
    """

    source: Path
    target: Path
    columns: Columns = field(default_factory=Columns)
    options: dict[str, Any] = field(default_factory=dict)
    part_rows: int = 32
    force: bool = False
    strict: bool = False


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        total: the size of the input, in `unit`.
        unit: `bytes`, `files` or `rows`.
        position: how much of the input is done.
        rows, errors: how many rows are done, and how many of them could not be restored.
        kept_rows, kept_position: how much of this an earlier run did.
        words: how many words have been restored by this run.
        seconds: how long this run has been restoring.
        whole: whether the output was whole before, made by an earlier run that was killed only then; its rows are not counted.
    """

    total: int = 0
    unit: str = "bytes"
    position: int = 0
    rows: int = 0
    errors: int = 0
    kept_rows: int = 0
    kept_position: int = 0
    words: int = 0
    seconds: float = 0.0
    whole: bool = False


class Workers(Protocol):
    """What restores: `Processes` on this machine, or `Cluster`."""

    engine: str

    def restore(self, parts: Iterable[Part]) -> Iterator[tuple[Part, list[Outcome]]]:
        """Yield parts with the outcomes of their texts, in any order."""


class Listener(Protocol):
    """Who wants to know how a run goes."""

    def progressed(self, progress: Progress) -> None:
        """Something more is done."""

    def bad_row(self, message: str) -> None:
        """A row could not be restored."""


class Silent:
    """Listens to nothing."""

    def progressed(self, progress: Progress) -> None:
        """Do nothing."""

    def bad_row(self, message: str) -> None:
        """Do nothing."""


def run_batch(job: Job, workers: AbstractContextManager[Workers], listener: Listener | None = None) -> Progress:
    """Run a job, or go on with it where an earlier run of it ended.

    Args:
        job: what to do.
        workers: who does it; entered when the input has been found good.
        listener: is told of each step and of each bad row.

    Returns:
        What was done.

    Raises:
        RestoreError: the input cannot be used, the output cannot be written, or a row is bad and the job strict.
    """
    check_input(job.source)
    kind = kind_of(job.source)
    check_paths(job.source, job.target, kind)
    store = Store(job.target, job.source)
    facts = {"kind": kind, "options": job.options, "columns": asdict(job.columns), "part_rows": job.part_rows}
    identity = identity_of(job.source, facts)
    earlier = earlier_run(store, job.target, identity, job.force)
    if is_taken(job.target) and not job.force and earlier not in (Earlier.FINISHED, Earlier.MERGING):
        raise InputError(EXISTS.format(path=job.target))
    check_room(job.source, job.target)
    table = open_table(job.source, job.columns, job.target)
    store.open()
    try:
        if earlier is Earlier.FINISHED:
            store.remove(identity)
            return Progress(table.total(), table.unit, table.total(), whole=True)
        if earlier is Earlier.OTHER:
            store.clear()
        with workers as ready:
            run = _Run(job, kind, table, store, ready, listener or Silent())
            progress = run.run(identity, job.force or earlier is Earlier.MERGING)
        store.remove(identity)
    finally:
        store.close()
    return progress


class _Run:
    """One run, from its open table and store to the output."""

    def __init__(self, job: Job, kind: str, table: Table, store: Store, workers: Workers, listener: Listener) -> None:
        self._job = job
        self._table = table
        self._store = store
        self._workers = workers
        self._listener = listener
        self._parts = 0
        self._progress = Progress(table.total(), table.unit)
        self._signature = signature(job.options, workers.engine)
        columns = job.columns
        names = {"text_field": columns.text, "output_field": columns.output, "prefix": columns.prefix}
        limits = {"max_bytes": columns.max_bytes, "part_rows": job.part_rows}
        store.claim({"kind": kind, **self._signature, **names, **limits})

    def run(self, identity: str, force: bool) -> Progress:
        progress, started = self._progress, time.monotonic()
        line = signature_line(self._signature)
        with closing(self._workers.restore(self._todo())) as results:  # type: ignore[type-var]
            for part, outcomes in results:
                whole = list(_in_place(part, outcomes))
                errors = [
                    BAD_ROW.format(number=row.number, place=row.place, error=outcome.error)
                    for row, outcome in zip(part.rows, whole, strict=True)
                    if outcome.error is not None
                ]
                self._report(errors)
                self._store.add(part, errors, self._table.pack(part.rows, whole, line))
                progress.words += sum(len(text.split()) for text in part.texts)
                progress.seconds = time.monotonic() - started
                self._count(part, len(errors))
        self._store.check_end(self._parts)
        finish(self._store, self._table, self._store.packed(self._parts), self._job.target, force, identity)
        return progress

    def _todo(self) -> Iterator[Part]:
        """Yield the parts that are not done yet."""
        for part in cut_into_parts(self._table.rows(), self._job.part_rows, self._table.identity):
            self._parts += 1
            head = self._store.find(part)
            if head is None:
                yield part
                continue
            if head.errors and self._job.strict:
                raise RestoreError(STOPPED.format(row=head.error))
            self._progress.kept_rows += len(part.rows)
            self._progress.kept_position += part.span
            self._count(part, head.errors)

    def _count(self, part: Part, errors: int) -> None:
        progress = self._progress
        progress.rows += len(part.rows)
        progress.position += part.span
        progress.errors += errors
        self._listener.progressed(progress)

    def _report(self, errors: list[str]) -> None:
        if errors and self._job.strict:
            raise RestoreError(STOPPED.format(row=errors[0]))
        for error in errors:
            self._listener.bad_row(error)


def _in_place(part: Part, outcomes: list[Outcome]) -> Iterator[Outcome]:
    """Yield an outcome for each row of a part: its text's, or its error."""
    rest = iter(outcomes)
    for row in part.rows:
        yield next(rest) if row.text is not None else Outcome.failed(row.error or "it has no text")

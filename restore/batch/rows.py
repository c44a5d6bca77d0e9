"""What the boxes of a batch run hand to each other: rows of the input, parts of rows, and what became of each row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

PART_BYTES = 256_000
"""A part is closed once its texts have so many bytes, so that one of long texts is not lost whole by a kill."""

OUTPUTS = ("confidence", "flags", "kept", "repairs", "notes", "channel", "signature", "error")
"""What an output row says beside the restored text."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the input.

    Attributes:
        number: counted from 1, header and blank lines left out.
        place: where it stands, for people (`line 7`, or a file's name).
        text: the text to restore, or None if there is none.
        error: why there is none, or None.
        record: whatever its table needs to write the output row.
        raw: the bytes that it was read from, or a digest of them: whether the input is still the same.
    """

    number: int
    place: str
    text: str | None
    error: str | None
    record: Any
    raw: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows in a row, which are restored, and saved, together.

    Attributes:
        index: counted from 0.
        rows: at least one.
        digest: a SHA-256 over what the rows were read from, in hex.
        span: how much of the input it takes, in the unit of `Table.position`.
    """

    index: int
    rows: tuple[Row, ...]
    digest: str
    span: int

    @property
    def texts(self) -> list[str]:
        """The texts to restore, without the rows that have none."""
        return [row.text for row in self.rows if row.text is not None]


class Outcome(NamedTuple):
    """What became of a row: plain values, as they go from process to process.

    Attributes:
        text: the restored text, or None if there was an error.
        confidence: the document's confidence, or None if the engine gives none.
        flags: the sense warnings, as plain data.
        kept, repairs: how many tokens were kept as they were, and how many mended.
        notes: what a reader should know.
        channel: the name of the channel that it was restored for: the one that was asked for, or found.
        error: what went wrong, in one line, or None.
    """

    text: str | None
    confidence: float | None = None
    flags: list[Any] = []  # noqa: RUF012 (never changed)
    kept: int | None = None
    repairs: int | None = None
    notes: str | None = None
    channel: str | None = None
    error: str | None = None

    @classmethod
    def failed(cls, error: str) -> Outcome:
        """Return the outcome of a row that could not be restored."""
        return cls(None, error=error)

    def cells(self, signature: str) -> tuple[Any, ...]:
        """Return the values of an output row: the text, then those named in `OUTPUTS`."""
        return *self[:-1], signature, self.error


def output_names(text: str, prefix: str) -> tuple[str, ...]:
    """Return the names of the output fields, the restored text's first.

    >>> output_names("restored", "")[:3]
    ('restored', 'confidence', 'flags')
    """
    return text, *(prefix + name for name in OUTPUTS)


def cut_into_parts(rows: Iterable[tuple[Row, int]], most_rows: int, identity: bytes = b"") -> Iterator[Part]:
    """Cut rows into parts, the same ones each time.

    Args:
        rows: each with how far the input has been read after it.
        most_rows: in a part.
        identity: what else the rows depend on; goes into each digest.
    """
    index, start, size = 0, 0, 0
    held: list[Row] = []
    position = 0
    for row, position in rows:
        held.append(row)
        size += len(row.text or "")
        if len(held) >= most_rows or size >= PART_BYTES:
            yield Part(index, tuple(held), _digest(held, identity), position - start)
            index, start, size, held = index + 1, position, 0, []
    if held:
        yield Part(index, tuple(held), _digest(held, identity), position - start)


def _digest(rows: list[Row], identity: bytes) -> str:
    digest = hashlib.sha256(identity)
    for row in rows:
        digest.update(b"%d %d\n" % (row.number, len(row.raw)))
        digest.update(row.raw)
    return digest.hexdigest()

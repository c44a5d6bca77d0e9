"""CSV (RFC 4180) and TSV, with a header.

Records are found before they are parsed, so that one whose quotation mark is never closed is held to `--max-bytes` like
any other row. A sound record is carried through as it is written, and the new cells are put after it.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, NamedTuple

from restore.batch.compression import SUFFIXES, open_input, packed, reading
from restore.batch.lines import BOM, is_wide, readable
from restore.batch.rows import Outcome, Row
from restore.batch.tables.base import NOT_UTF8, TOO_LONG, Columns
from restore.errors import InputError

WIDE = "{path}: is in UTF-16 or UTF-32; convert it, for example with: iconv -t UTF-8"
NO_HEADER = "{path}: is empty; its first line has to name the columns"
BAD_HEADER = "{path}: its first line, which names the columns, cannot be read ({why})"
BAD_COUNT = "it has {found} cells instead of {wanted}"
NOT_CLOSED = "it has a quotation mark that is never closed, so all lines up to {last} belong to it"
NOT_CSV = "it is not CSV ({why})"

_PIECE = 1 << 16
START, BARE, QUOTED, AFTER_QUOTE = range(4)


class Record(NamedTuple):
    """A record as it is written, its end included.

    Attributes:
        line, last: the numbers of its first and last line.
        data: its bytes, or if they are more than the limit a SHA-256 of them.
        size: how many bytes it has.
        closed: whether its last quotation mark is closed.
    """

    line: int
    last: int
    data: bytes
    size: int
    closed: bool


def read_records(stream: IO[bytes], delimiter: bytes, limit: int) -> Iterator[Record]:
    """Yield the records of a CSV stream, in bounded memory whatever their length."""
    special = re.compile(rb'["\r\n%b]|[^"\r\n%b]+' % (delimiter, delimiter))
    line = 0
    while True:
        first, size, state, held, digest = line + 1, 0, START, io.BytesIO(), sha256()
        while piece := stream.readline(_PIECE):
            state = _advance(state, piece, special, delimiter)
            size += len(piece)
            digest.update(piece)
            if size <= limit:
                held.write(piece)
            ended = piece.endswith(b"\n")
            line += ended
            if ended and state != QUOTED:
                break
        if not size:
            return
        last = max(first, line)
        yield Record(first, last, held.getvalue() if size <= limit else digest.digest(), size, state != QUOTED)


def _advance(state: int, piece: bytes, special: re.Pattern[bytes], delimiter: bytes) -> int:
    """Return where a reader stands after a piece: a mark inside a bare cell, or one doubled, closes nothing."""
    if b'"' not in piece and state != AFTER_QUOTE:
        if state == QUOTED:
            return QUOTED
        return START if piece.endswith((b"\n", delimiter)) else BARE
    for match in special.finditer(piece):
        what = match.group()
        if state == QUOTED:
            state = AFTER_QUOTE if what == b'"' else QUOTED
        elif what in (b"\r", b"\n", delimiter):
            state = START
        elif what == b'"' and state in (START, AFTER_QUOTE):
            state = QUOTED
        else:
            state = BARE
    return state


class DelimitedTable:
    """A CSV or TSV file."""

    unit = "bytes"

    def __init__(self, path: Path, columns: Columns, suffix: str) -> None:
        self._path = path
        self._columns = columns
        self._suffix = suffix
        name = path.with_suffix("") if path.suffix in SUFFIXES else path
        self._delimiter = "\t" if name.suffix.lower() == ".tsv" else ","
        csv.field_size_limit(max(csv.field_size_limit(), columns.max_bytes))
        with reading(path):
            stream, _ = open_input(path)
            with stream:
                header = next(self._records(stream), None)
        if header is None:
            raise InputError(NO_HEADER.format(path=path))
        if is_wide(header.data):
            raise InputError(WIDE.format(path=path))
        self.identity = header.data  # which column is the text
        self._end = "\r\n" if header.data.endswith(b"\r\n") else "\n"
        try:
            if header.size > columns.max_bytes:
                raise ValueError(TOO_LONG.format(size=header.size, limit=columns.max_bytes))
            if not header.closed:
                raise ValueError(NOT_CLOSED.format(last=header.last))
            self._names = self._cells(header.data.removeprefix(BOM).decode())
        except (ValueError, csv.Error) as error:
            raise InputError(BAD_HEADER.format(path=path, why=error)) from error
        self._place = columns.check(path, self._names)

    def total(self) -> int:
        """Return the file's size in bytes."""
        return self._path.stat().st_size

    def _records(self, stream: IO[bytes]) -> Iterator[Record]:
        """Yield the records that are not blank lines."""
        for record in read_records(stream, self._delimiter.encode(), self._columns.max_bytes):
            if record.size > 2 or record.data.removeprefix(BOM).strip(b"\r\n"):
                yield record

    def _cells(self, text: str) -> list[str]:
        return next(csv.reader([text], delimiter=self._delimiter))

    def rows(self) -> Iterator[tuple[Row, int]]:
        """Yield a row for each record after the header."""
        with reading(self._path):
            stream, position = open_input(self._path)
            with stream:
                records = self._records(stream)
                next(records, None)
                for number, record in enumerate(records, 1):
                    text, error, cells = self._read(record)
                    raw = record.data
                    carried = raw.rstrip(b"\r\n") if cells is None else self._line(cells)
                    yield Row(number, f"line {record.line}", text, error, carried, raw), position()

    def _read(self, record: Record) -> tuple[str | None, str | None, list[str] | None]:
        """Return a record's text or what is wrong with it, and its cells if it cannot be carried as it is written."""
        if record.size > self._columns.max_bytes:
            too_long = TOO_LONG.format(size=record.size, limit=self._columns.max_bytes)
            if not record.closed:
                too_long += "; " + NOT_CLOSED.format(last=record.last)
            return None, too_long, self._fitted([])
        error: str | None = None
        try:
            decoded = record.data.decode()
        except UnicodeDecodeError as failure:
            decoded, error = readable(record.data), NOT_UTF8.format(place=failure.start)
        try:
            cells = self._cells(decoded)
        except csv.Error as failure:
            return None, error or NOT_CSV.format(why=failure), self._fitted([decoded.rstrip("\r\n")])
        if not record.closed:
            error = error or NOT_CLOSED.format(last=record.last)
        if len(cells) != len(self._names):
            error = error or BAD_COUNT.format(found=len(cells), wanted=len(self._names))
        return (cells[self._place], None, None) if error is None else (None, error, self._fitted(cells))

    def _fitted(self, cells: list[str]) -> list[str]:
        """Return as many cells as there are columns; what is too much is joined to the last one."""
        wanted = len(self._names)
        if len(cells) > wanted:
            return [*cells[: wanted - 1], self._delimiter.join(cells[wanted - 1 :])]
        return cells + [""] * (wanted - len(cells))

    def _line(self, cells: Sequence[Any]) -> bytes:
        """Return cells as CSV, without the line's end."""
        stream = io.StringIO()
        csv.writer(stream, delimiter=self._delimiter, lineterminator="\r\n").writerow(cells)
        return stream.getvalue()[:-2].encode()

    def pack(self, rows: Sequence[Row], outcomes: Sequence[Outcome], signature: str) -> bytes:
        """Return the records of a part."""
        lines = []
        for row, outcome in zip(rows, outcomes, strict=True):
            cells = [
                json.dumps(cell, ensure_ascii=False) if isinstance(cell, list) else cell
                for cell in outcome._replace(flags=outcome.flags or None).cells(signature)  # type: ignore[arg-type]
            ]
            lines.append(row.record + self._delimiter.encode() + self._line(cells) + self._end.encode())
        return b"".join(lines)

    def finish(self, parts: Iterable[bytes], scratch: Path) -> None:
        """Write the header and all records."""
        with scratch.open("xb") as file, packed(file, self._suffix) as stream:
            stream.write(self._line([*self._names, *self._columns.new]) + self._end.encode())
            for part in parts:
                stream.write(part)

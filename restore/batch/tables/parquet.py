"""Parquet files, by pyarrow: any columns, carried through with their types and the file's own metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from restore.batch.compression import NEEDS_EXTRA, UNREADABLE, reason
from restore.batch.rows import Outcome, Row
from restore.batch.tables.base import NOT_UTF8, TOO_LONG, Columns
from restore.bundle import sha256
from restore.errors import InputError, RestoreError

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ModuleNotFoundError as _error:
    raise RestoreError(NEEDS_EXTRA.format(what="Parquet", name=_error.name, extra="batch")) from _error

NOT_TEXT = "{path}: its field {name!r} is of type {kind}, not text; choose another with --text-field"
NULL = "its field {name!r} is null, not text"

GROUP_ROWS, GROUP_BYTES = 8_192, 64_000_000
"""A row group of the output is closed once it has so many rows or bytes: parts are too small to be read well."""
_READ_ROWS = 256
_TYPES = (pa.string(), pa.float64(), pa.string(), pa.int64(), pa.int64(), *[pa.string()] * 4)


class ParquetTable:
    """A Parquet file."""

    unit = "rows"

    def __init__(self, path: Path, columns: Columns) -> None:
        self._path = path
        self._columns = columns
        with _reading(path), self._open() as file:
            self._schema: pa.Schema = file.schema_arrow
            self._rows: int = file.metadata.num_rows
            self._place = columns.check(path, self._schema.names)
            kind = self._schema.types[self._place]
            if not _is_text(kind):
                raise InputError(NOT_TEXT.format(path=path, name=columns.text, kind=kind))
            self.identity = sha256(path).encode()

    def _open(self) -> pq.ParquetFile:
        return pq.ParquetFile(self._path, pre_buffer=False, buffer_size=1 << 18)

    def total(self) -> int:
        """Return the number of rows."""
        return self._rows

    def rows(self) -> Iterator[tuple[Row, int]]:
        """Yield the rows, each with a table of one row that holds all its columns."""
        number, limit = 0, self._columns.max_bytes
        with _reading(self._path), self._open() as file:
            for batch in _batches(file):
                texts = _as_bytes(batch.column(self._place))
                for place, data in enumerate(texts):
                    number += 1
                    text, error = None, None
                    if data is None:
                        error = NULL.format(name=self._columns.text)
                    elif len(data) > limit:
                        error = TOO_LONG.format(size=len(data), limit=limit)
                    else:
                        try:
                            text = data.decode()
                        except UnicodeDecodeError as failure:
                            error = NOT_UTF8.format(place=failure.start)
                    yield Row(number, f"row {number}", text, error, batch.slice(place, 1), b""), number

    def pack(self, rows: Sequence[Row], outcomes: Sequence[Outcome], signature: str) -> bytes:
        """Return the rows of a part as an Arrow stream."""
        table = pa.Table.from_batches([row.record for row in rows], self._schema)
        columns = zip(*(_plain(outcome.cells(signature)) for outcome in outcomes), strict=True)
        for name, kind, column in zip(self._columns.new, _TYPES, columns, strict=True):
            table = table.append_column(name, pa.array(column, kind))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table.combine_chunks())
        return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]

    def finish(self, parts: Iterable[bytes], scratch: Path) -> None:
        """Write all rows, many parts to a row group."""
        schema = self._schema
        for name, kind in zip(self._columns.new, _TYPES, strict=True):
            schema = schema.append(pa.field(name, kind))
        held: list[pa.Table] = []
        rows, size = 0, 0
        with pq.ParquetWriter(scratch, schema, compression="zstd") as writer:
            for part in parts:
                table = pa.ipc.open_stream(part).read_all()
                held.append(table)
                rows, size = rows + table.num_rows, size + len(part)
                if rows >= GROUP_ROWS or size >= GROUP_BYTES:
                    writer.write_table(_joined(held), row_group_size=rows)
                    held, rows, size = [], 0, 0
            if held:
                writer.write_table(_joined(held), row_group_size=rows)


def _batches(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """Yield a file's rows, one row group after the other: pyarrow joins no dictionaries inside lists."""
    for group in range(file.num_row_groups):
        yield from file.iter_batches(_READ_ROWS, row_groups=[group])


def _joined(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _plain(cells: tuple[Any, ...]) -> list[Any]:
    return [
        (json.dumps(cell, ensure_ascii=False) if cell else None) if isinstance(cell, list) else cell for cell in cells
    ]


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
        pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_null,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _as_bytes(column: pa.Array) -> list[bytes | None]:
    """Return a text column's values undecoded: one that is not UTF-8 has to spoil its own row only."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.string())
    if pa.types.is_string(column.type):
        column = column.cast(pa.binary())
    elif pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())
    return column.to_pylist()  # type: ignore[no-any-return]


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever pyarrow makes of a damaged file into one clear line: it has many kinds of errors."""
    try:
        yield
    except RestoreError:
        raise
    except Exception as error:
        raise InputError(UNREADABLE.format(path=path, why=reason(error))) from error

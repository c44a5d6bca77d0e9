"""JSON Lines: one JSON object a line.

A line is carried through as it stands, byte for byte, and the new fields are put before its closing bracket: numbers keep
their digits and keys their order. A line that is no JSON object becomes `{"input": "the line", ...}` with the error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from restore.batch.compression import open_input, packed, reading
from restore.batch.lines import BOM, is_wide, read_lines, readable
from restore.batch.rows import Outcome, Row
from restore.batch.tables.base import NOT_UTF8, TOO_LONG, Columns, text_error
from restore.errors import InputError

WIDE = "{path}: is in UTF-16 or UTF-32; convert it, for example with: iconv -t UTF-8"
NOT_JSON = "it is not JSON ({why})"
NOT_OBJECT = "it is JSON, but no object with fields"
MISSING = "it has no field {name!r}"
DOUBLE = "it has {count} fields {name!r}"
WRONG_TYPE = "its field {name!r} is {found}, not text"
CLASH = "it has a field {name!r} already; choose another --output-field or --prefix"

RAW = "input"


class JsonLines:
    """A JSON Lines file."""

    unit = "bytes"
    identity = b""

    def __init__(self, path: Path, columns: Columns, suffix: str) -> None:
        self._path = path
        self._columns = columns
        self._suffix = suffix
        with reading(path):
            stream, _ = open_input(path)
            with stream:
                if is_wide(stream.read(4)):
                    raise InputError(WIDE.format(path=path))

    def total(self) -> int:
        """Return the file's size in bytes."""
        return self._path.stat().st_size

    def rows(self) -> Iterator[tuple[Row, int]]:
        """Yield a row for each line that is not blank."""
        number, limit = 0, self._columns.max_bytes
        with reading(self._path):
            stream, position = open_input(self._path)
            with stream:
                for line in read_lines(stream, limit):
                    data = line.data.removeprefix(BOM) if line.number == 1 else line.data
                    place = f"line {line.number}"
                    if line.size > limit:
                        number += 1
                        error = TOO_LONG.format(size=line.size, limit=limit)
                        yield Row(number, place, None, error, None, data), position()
                    elif data := data.strip(b" \t\r\n"):
                        number += 1
                        text, error_, record = self._read(data)
                        yield Row(number, place, text, error_, record, data), position()

    def _read(self, data: bytes) -> tuple[str | None, str | None, bytes]:
        """Return a line's text or what is wrong with it, and the object to add fields to."""
        try:
            kinds = {"parse_int": _number, "parse_float": _number, "parse_constant": _refuse}
            found = json.loads(data.decode(), object_pairs_hook=_Pairs, **kinds)  # type: ignore[arg-type]
        except UnicodeDecodeError as error:
            return None, NOT_UTF8.format(place=error.start), _wrapped(data)
        except (ValueError, RecursionError) as error:
            return None, NOT_JSON.format(why=error), _wrapped(data)
        if not isinstance(found, _Pairs):
            return None, NOT_OBJECT, _wrapped(data)
        names = [name for name, _ in found]
        for name in self._columns.new:
            if name in names:
                return None, CLASH.format(name=name), _wrapped(data)
        wanted = self._columns.text
        if names.count(wanted) != 1:
            error_ = DOUBLE.format(count=names.count(wanted), name=wanted) if wanted in names else None
            return None, error_ or MISSING.format(name=wanted), data
        text = dict(found)[wanted]
        if not isinstance(text, str):
            return None, WRONG_TYPE.format(name=wanted, found=_kind(text)), data
        error_ = text_error(text)
        return (text, None, data) if error_ is None else (None, error_, data)

    def pack(self, rows: Sequence[Row], outcomes: Sequence[Outcome], signature: str) -> bytes:
        """Return the lines of a part."""
        lines = []
        for row, outcome in zip(rows, outcomes, strict=True):
            cells = dict(zip(self._columns.new, outcome.cells(signature), strict=True))
            fields = json.dumps(cells, ensure_ascii=False).encode()[1:]
            start = (row.record or b"{}")[:-1].rstrip(b" \t\r\n")
            lines.append(start + (b"" if start == b"{" else b", ") + fields + b"\n")
        return b"".join(lines)

    def finish(self, parts: Iterable[bytes], scratch: Path) -> None:
        """Write all lines."""
        with scratch.open("xb") as file, packed(file, self._suffix) as stream:
            for part in parts:
                stream.write(part)


class _Pairs(tuple[tuple[str, Any], ...]):
    """An object's fields as they stand, doubles included."""


def _number(_: str) -> float:
    return 0.0  # only its type counts: the line itself is carried through


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no JSON value")


def _kind(value: Any) -> str:
    kinds: dict[type, str] = {type(None): "null", bool: "true or false", float: "a number", list: "a list"}
    return kinds.get(type(value), "an object")


def _wrapped(data: bytes) -> bytes:
    return json.dumps({RAW: readable(data)}, ensure_ascii=False).encode()

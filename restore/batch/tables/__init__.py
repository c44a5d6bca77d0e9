"""Tables in and out, one module a format; the suffix of the name chooses."""

from __future__ import annotations

from pathlib import Path

from restore.batch.compression import SUFFIXES
from restore.batch.tables.base import Columns, Table
from restore.errors import InputError

KINDS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet"}

UNKNOWN = (
    "{path}: is no table by its name; name it .jsonl, .csv, .tsv or .parquet, with .gz, .zst or .xz after it or not; "
    "for one text: restore {path}"
)
OTHER_KIND = "{path}: the output has to be of the input's kind ({kind}); choose another name for it"
PACKED_PARQUET = "{path}: Parquet compresses by itself; leave out {suffix}"

__all__ = ["Columns", "Table", "kind_of", "open_table", "output_kind"]


def kind_of(path: Path) -> str:
    """Return the kind of a table by the suffix of its name; a folder is of the kind `folder`.

    Raises:
        InputError: the name says nothing.
    """
    if path.is_dir():
        return "folder"
    return _by_name(path)


def _by_name(path: Path) -> str:
    kind = KINDS.get((Path(path.stem) if path.suffix in SUFFIXES else path).suffix.lower())
    if kind is None:
        raise InputError(UNKNOWN.format(path=path))
    if kind == "parquet" and path.suffix in SUFFIXES:
        raise InputError(PACKED_PARQUET.format(path=path, suffix=path.suffix))
    return kind


def output_kind(path: Path, kind: str) -> None:
    """Check that an output's name fits the kind of its input.

    Raises:
        InputError: it does not.
    """
    if kind != "folder" and (path.suffix.lower() not in (*KINDS, *SUFFIXES) or _by_name(path) != kind):
        raise InputError(OTHER_KIND.format(path=path, kind=kind))


def open_table(path: Path, columns: Columns, target: Path) -> Table:
    """Open a table and check what can be known before its rows are read.

    Args:
        path: a file or a folder.
        columns: which of its columns is the text, and what the new ones are called.
        target: where the output will be; its name says how it is compressed.

    Raises:
        InputError: it cannot be read, or has no such column.
        RestoreError: a package that it takes is missing.
    """
    kind = kind_of(path)
    if kind == "folder":
        from restore.batch.tables.folder import FolderTable

        return FolderTable(path, columns)
    if kind == "jsonl":
        from restore.batch.tables.jsonl import JsonLines

        return JsonLines(path, columns, target.suffix)
    if kind in ("csv", "tsv"):
        from restore.batch.tables.delimited import DelimitedTable

        return DelimitedTable(path, columns, target.suffix)
    from restore.batch.tables.parquet import ParquetTable

    return ParquetTable(path, columns)

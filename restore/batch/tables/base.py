"""What every format does, and the names of columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from restore.batch.rows import Outcome, Row, output_names
from restore.errors import InputError, RestoreError

CLASH = "{path}: has a field {name!r} already, which the output needs; choose another --output-field or --prefix"
NO_FIELD = "{path}: has no field {name!r}; choose with --text-field among: {names}"
SAME_NAME = "two fields of the output would be called {name!r}; choose another --output-field or --prefix"
BAD_NAME = "the name {name!a} of a new field is not UTF-8; choose another --output-field or --prefix"
RESERVED = ("file", "input")
"""What the output calls a file's name, and a line that is no JSON."""
TWICE = "{path}: has {count} fields {name!r}; rename all but the one that holds the text"

# Errors of rows, which stand in the output and are reported with the row's number.
TOO_LONG = "it has {size:,} bytes, more than the {limit:,} of --max-bytes"
NOT_UTF8 = "its byte {place} is not UTF-8"
HALF_PAIR = "its text has half a surrogate pair, which is no character"


@dataclass(frozen=True)
class Columns:
    """Which column is the text, what the new ones are called, and how large a row may be.

    Attributes:
        text: the name of the input's text column.
        output: the name of the column with the restored text.
        prefix: stands before the names of all other new columns.
        max_bytes: a row with more is not read, but reported.

    Raises:
        RestoreError: two new columns would have one name, or one that the output uses itself, or one that is no UTF-8.
    """

    text: str = "text"
    output: str = "restored"
    prefix: str = ""
    max_bytes: int = 1_000_000

    def __post_init__(self) -> None:
        names = [*self.new, *RESERVED]
        if len(set(names)) < len(names):
            name = next(name for name in names if names.count(name) > 1)
            raise RestoreError(SAME_NAME.format(name=name))
        for name in self.new:
            try:
                name.encode("utf-8")
            except UnicodeEncodeError as error:  # what the shell gave was in another encoding
                raise RestoreError(BAD_NAME.format(name=name)) from error

    @property
    def new(self) -> tuple[str, ...]:
        """The names of the new columns."""
        return output_names(self.output, self.prefix)

    def check(self, path: Path, names: Sequence[str]) -> int:
        """Return the place of the text column among a table's columns.

        Raises:
            InputError: it is not there, or not there once, or a new column's name is taken.
        """
        if self.text not in names:
            raise InputError(NO_FIELD.format(path=path, name=self.text, names=_listed(names)))
        if names.count(self.text) > 1:
            raise InputError(TWICE.format(path=path, count=names.count(self.text), name=self.text))
        for name in self.new:
            if name in names:
                raise InputError(CLASH.format(path=path, name=name))
        return names.index(self.text)


def _listed(names: Sequence[str], most: int = 20) -> str:
    shown = [repr(name[:60]) for name in names[:most]]
    return ", ".join([*shown, "..."] if len(names) > most else shown) or "it has none"


def text_error(text: str) -> str | None:
    """Return why a string cannot be restored, or None."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return HALF_PAIR
    return None


class Table(Protocol):
    """One input, read row by row, with the way to write its output.

    Attributes:
        unit: what positions count (`bytes` or `files`).
        identity: bytes that say which file this is, where its rows' own bytes are not at hand.
    """

    unit: str
    identity: bytes

    def rows(self) -> Iterator[tuple[Row, int]]:
        """Yield the rows in order, each with the position in the input after it.

        Raises:
            InputError: the input cannot be read on.
        """

    def total(self) -> int:
        """Return the position at the input's end."""

    def pack(self, rows: Sequence[Row], outcomes: Sequence[Outcome], signature: str) -> bytes:
        """Return the output rows of a part, as they are saved until the output is put together."""

    def finish(self, parts: Iterable[bytes], scratch: Path) -> None:
        """Put the output together at a path where nothing stands yet.

        Args:
            parts: the packed parts, in order.
            scratch: the path.
        """

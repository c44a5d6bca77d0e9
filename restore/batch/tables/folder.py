"""A folder of text files: a folder of restored ones under the same names, with a table of what was done.

Every regular file counts whose name does not begin with a dot, in subfolders too; `.gz`, `.zst` and `.xz` are unpacked and
packed again. Links to files are read; links to folders are not gone into. The table, `_restore.jsonl`, has one line a file.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from restore.batch.compression import open_input, packed, reading, reason
from restore.batch.lines import BOM
from restore.batch.rows import Outcome, Row
from restore.batch.tables.base import NOT_UTF8, TOO_LONG, Columns
from restore.errors import InputError

INDEX = "_restore.jsonl"
TAKEN = "{path}: is there already, which the output needs; this looks like an output of `restore batch`"
UNREADABLE = "it cannot be read ({why})"
ZERO_BYTE = "its byte {place} is a zero byte, so it is no text"
LINKED = "{path}: is a link, which is not followed; remove it, or choose another place for the output"
IN_THE_WAY = "{path}: is a {kind}, and stands where a {other} of the output goes; move it, or choose another place for the output"

_PIECE = 1 << 16


class FolderTable:
    """A folder of text files."""

    unit = "files"
    identity = b""

    def __init__(self, path: Path, columns: Columns) -> None:
        self._path = path
        self._columns = columns
        if (path / INDEX).exists():
            raise InputError(TAKEN.format(path=path / INDEX))
        with reading(path):
            self._total = sum(1 for _ in files_of(path))

    def total(self) -> int:
        """Return the number of files at the start."""
        return self._total

    def rows(self) -> Iterator[tuple[Row, int]]:
        """Yield a row for each file, in the order of their names."""
        with reading(self._path):
            for number, name in enumerate(files_of(self._path), 1):
                text, error, digest = self._read(self._path / name)
                shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
                shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in shown)
                yield Row(number, shown, text, error, name, digest + os.fsencode(name)), number

    def _read(self, path: Path) -> tuple[str | None, str | None, bytes]:
        """Return a file's text or what is wrong with it, and a digest of its content."""
        limit, digest = self._columns.max_bytes, sha256()
        if path.exists() and not path.is_file():  # a link to a pipe or a device, which may never end
            return None, UNREADABLE.format(why="it is no regular file"), b""
        try:
            with reading(path):
                stream, _ = open_input(path)
                with stream:
                    data = stream.read(limit + 1)
                    digest.update(data)
                    size = len(data)
                    while size > limit and (piece := stream.read(_PIECE)):
                        digest.update(piece)
                        size += len(piece)
        except InputError as error:
            return None, UNREADABLE.format(why=reason(error.__cause__)), digest.digest()
        if size > limit:
            return None, TOO_LONG.format(size=size, limit=limit), digest.digest()
        zero = data.find(b"\0")
        if zero >= 0:
            return None, ZERO_BYTE.format(place=zero), digest.digest()
        try:
            return data.removeprefix(BOM).decode(), None, digest.digest()
        except UnicodeDecodeError as error:
            return None, NOT_UTF8.format(place=error.start), digest.digest()

    def pack(self, rows: Sequence[Row], outcomes: Sequence[Outcome], signature: str) -> bytes:
        """Return a line for each file of a part, its restored text included."""
        lines = []
        for row, outcome in zip(rows, outcomes, strict=True):
            cells = dict(zip(self._columns.new, outcome.cells(signature), strict=True))
            name = json.dumps(row.record)  # in ASCII: a name need not be UTF-8
            lines.append(f'{{"file": {name}, {json.dumps(cells, ensure_ascii=False)[1:]}\n'.encode())
        return b"".join(lines)

    def finish(self, parts: Iterable[bytes], scratch: Path) -> None:
        """Write the folder."""
        scratch.mkdir()
        made = {""}
        with (scratch / INDEX).open("xb") as index:
            for part in parts:
                for line in part.splitlines(keepends=True):
                    row = json.loads(line)
                    name, text = row["file"], row.pop(self._columns.output)
                    index.write(json.dumps(row).encode() + b"\n")
                    if text is None:
                        continue
                    parent = os.path.dirname(name)
                    if parent not in made:
                        (scratch / parent).mkdir(parents=True, exist_ok=True)
                        made.add(parent)
                    path = scratch / name
                    with path.open("xb") as file, packed(file, path.suffix) as stream:
                        stream.write(text.encode())


def files_of(top: Path, under: str = "") -> Iterator[str]:
    """Yield the files below a folder by name, one folder's names in memory at a time.

    Raises:
        InputError: a folder cannot be read, so that nobody knows what is in it.
    """
    with reading(top / under), os.scandir(top / under) as found:
        entries = sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)
    for entry in entries:
        path = os.path.join(under, entry.name)
        if entry.is_dir(follow_symlinks=False):
            yield from files_of(top, path)
        elif _is_file(entry):
            yield path


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Tell a file; so is a link to nowhere, or to itself, which cannot be read."""
    try:
        return entry.is_file() or (entry.is_symlink() and not entry.is_dir())
    except OSError:
        return True


def check_merge(names: Iterable[str], target: Path) -> None:
    """Check that nothing in a folder is in the way of files of these names.

    Raises:
        InputError: a folder stands in the place of a file, or a file or a link in that of a folder.
    """
    folders = {""}
    for name in names:
        path = target / name
        if path.is_dir() and not path.is_symlink():
            raise InputError(IN_THE_WAY.format(path=path, kind="folder", other="file"))
        parents = [parent for parent in map(str, Path(name).parents[:-1]) if parent not in folders]
        for folder in parents:
            path = target / folder
            if path.is_symlink():
                raise InputError(LINKED.format(path=path))
            if path.exists() and not path.is_dir():
                raise InputError(IN_THE_WAY.format(path=path, kind="file", other="folder"))
        folders.update(parents)


def merge_folder(scratch: Path, target: Path) -> None:
    """Move the files of a finished folder into one that exists, over files of the same names, one by one.

    Raises:
        InputError: something is in the way; no file has been moved.
    """
    check_merge((os.path.relpath(Path(folder, name), scratch) for folder, _, names in os.walk(scratch) for name in names), target)
    for folder, _, names in os.walk(scratch):
        into = target / os.path.relpath(folder, scratch)
        into.mkdir(exist_ok=True)
        for name in names:
            _move(Path(folder, name), into / name)


def _move(source: Path, target: Path) -> None:
    """Move a file over another, also to another file system, where it is copied under another name first."""
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        scratch = target.with_name(f".{target.name}.restore-batch")
        shutil.copyfile(source, scratch)
        os.replace(scratch, target)

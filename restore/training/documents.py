"""Read the documents of a corpus file, one by one.

A corpus file (`.txt`, `.txt.xz` or `.txt.gz`, UTF-8) holds documents: paragraphs, one a line, closed by a
blank line and a line `%%%`. A text without `%%%` is one document.
"""

from __future__ import annotations

import gzip
import lzma
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from restore.errors import InputError

CLOSE = "%%%"

UNREADABLE = "{path}: {why}; give a UTF-8 text, plain (.txt) or packed (.txt.xz, .txt.gz)"
UNDECODABLE = "{path}, line {line}: byte {byte:#04x} is not UTF-8; convert the file to UTF-8"


def read_documents(path: str | os.PathLike[str], blank_lines: bool = False) -> Iterator[str]:
    """Yield each document of a corpus file: its paragraphs, joined by line breaks, with none at the end.

    The spaces around paragraphs are left out, and so are documents without a paragraph.

    Args:
        path: the file.
        blank_lines: whether those between paragraphs stay; without it, every line is a paragraph.

    Raises:
        InputError: the file is missing, is not packed as its name says, or has bytes that are not UTF-8.
    """
    paragraphs: list[str] = []
    try:
        with open_packed(Path(path)) as stream:
            for number, raw in enumerate(stream, 1):
                line = _decode(raw, path, number).strip()
                if line == CLOSE:
                    if paragraphs:
                        yield "\n".join(paragraphs).rstrip("\n")
                    paragraphs = []
                elif line or (blank_lines and paragraphs):
                    paragraphs.append(line)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        why = getattr(error, "strerror", None) or str(error) or "unreadable"
        raise InputError(UNREADABLE.format(path=os.fspath(path), why=why)) from error
    if paragraphs:
        yield "\n".join(paragraphs).rstrip("\n")


def stem(path: Path) -> str:
    """Return a file's name without `.txt` and what it is packed by: what options call it.

    >>> stem(Path("train/opensource.com-00.txt.xz"))
    'opensource.com-00'
    """
    name = path.name
    for suffix in (".xz", ".gz", ".txt"):
        name = name.removesuffix(suffix)
    return name


def open_packed(path: Path) -> IO[bytes]:
    """Open a file to read its bytes, unpacked as its name says."""
    if path.suffix == ".xz":
        return lzma.open(path, "rb")
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    return path.open("rb")


def _decode(raw: bytes, path: str | os.PathLike[str], number: int) -> str:
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        byte = raw[error.start]
        raise InputError(UNDECODABLE.format(path=os.fspath(path), line=number, byte=byte)) from error

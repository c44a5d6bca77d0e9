"""Lines of any length, read in bounded memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import IO, NamedTuple

BOM = b"\xef\xbb\xbf"
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
_PIECE = 1 << 16


class Line(NamedTuple):
    """One line with its end.

    Attributes:
        number: counted from 1.
        data: the line, or if it is longer than the limit a SHA-256 of it.
        size: its length in bytes.
    """

    number: int
    data: bytes
    size: int


def read_lines(stream: IO[bytes], limit: int) -> Iterator[Line]:
    r"""Yield the lines of a stream, which end with `\n` alone: other separators, such as U+2028, may stand inside."""
    number = 0
    while data := stream.readline(limit + 1):
        number += 1
        if len(data) <= limit:
            yield Line(number, data, len(data))
            continue
        digest, size, last = hashlib.sha256(data), len(data), data[-1:]
        del data
        while last != b"\n" and (piece := stream.readline(_PIECE)):
            digest.update(piece)
            size += len(piece)
            last = piece[-1:]
        yield Line(number, digest.digest(), size)


def is_wide(start: bytes) -> bool:
    """Tell by a file's first bytes whether it is in UTF-16 or UTF-32."""
    return start.startswith(_WIDE)


def readable(data: bytes) -> str:
    r"""Return bytes as text, those that are not UTF-8 written as `\xff`."""
    return data.decode("utf-8", "backslashreplace")

"""Compressed files by their suffix: `.gz`, `.zst`, `.xz`.

Reading holds little memory whatever the file says of itself: a few kilobytes are unpacked at a time, and a file cut short is
an error, never a shorter text. Writing gives the same bytes for the same content: no name and no time is stored.
"""

from __future__ import annotations

import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from restore.errors import InputError, RestoreError

SUFFIXES = (".gz", ".zst", ".xz")

CUT_SHORT = "the compressed data ends too early"
NEEDS_EXTRA = (
    "{what} needs the package {name!r}, which is not installed; install the extra: pip install 'restore-prose[{extra}]'"
)
UNREADABLE = "{path}: cannot be read ({why}); what was done so far is kept"

_SLICE = 256
"""Bytes unpacked at a time: some formats swell ten-thousandfold, so this bounds memory at some megabytes."""
_XZ_MEMORY = 256_000_000


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Unpacking(io.RawIOBase):
    """The content of a compressed stream, which may hold several compressed pieces one after the other."""

    def __init__(self, stream: IO[bytes], make: Callable[[], _Decompressor]) -> None:
        self._stream = stream
        self._make = make
        self._current: _Decompressor | None = None
        self._ready = memoryview(b"")
        self._rest = b""
        self._seen = False  # whether there was any compressed data

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            data = self._rest or self._stream.read(_SLICE)
            self._rest = b""
            if self._current is None:
                data = data.lstrip(b"\0") or self._next()  # pieces may be padded
                if data:
                    self._current = self._make()
                    self._seen = True
            if not data:
                if self._current is not None or not self._seen:
                    raise EOFError(CUT_SHORT)
                return 0
            assert self._current is not None
            self._ready = memoryview(self._current.decompress(data))
            if self._current.eof:
                self._rest = self._current.unused_data
                self._current = None
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _next(self) -> bytes:
        while data := self._stream.read(_SLICE):
            if data := data.lstrip(b"\0"):
                return data
        return b""

    def close(self) -> None:
        self._stream.close()
        super().close()


def _zstandard() -> Any:
    try:
        import zstandard
    except ModuleNotFoundError as error:
        raise RestoreError(
            NEEDS_EXTRA.format(what="reading and writing .zst", name=error.name, extra="batch")
        ) from error
    return zstandard


def _unpacker(suffix: str) -> Callable[[], _Decompressor]:
    if suffix == ".gz":
        return lambda: zlib.decompressobj(wbits=31)
    if suffix == ".xz":
        return lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
    zstandard = _zstandard()
    return lambda: zstandard.ZstdDecompressor().decompressobj()


def open_input(path: Path) -> tuple[IO[bytes], Callable[[], int]]:
    """Open a file for reading, unpacked, with a function that says how many of its bytes have been read.

    Raises:
        OSError: it cannot be opened.
        RestoreError: the package for its compression is missing.
    """
    make = _unpacker(path.suffix) if path.suffix in SUFFIXES else None
    file = path.open("rb")
    if make is None:
        return file, file.tell
    return io.BufferedReader(_Unpacking(file, make), 1 << 18), file.tell


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong in reading a file into one clear line.

    Raises:
        InputError: in place of errors of the system and of the decompressors.
    """
    try:
        yield
    except Exception as error:
        known = isinstance(error, (OSError, EOFError, zlib.error, lzma.LZMAError))
        if not known and type(error).__name__ != "ZstdError":  # that package may not be there
            raise
        raise InputError(UNREADABLE.format(path=path, why=reason(error))) from error


def reason(error: BaseException | None) -> str:
    """Return what went wrong in a few words, without the numbers and names that the system adds."""
    return str(getattr(error, "strerror", None) or error).partition("\n")[0]


@contextmanager
def packed(stream: IO[bytes], suffix: str) -> Iterator[IO[bytes]]:
    """Give a stream that compresses what is written to it, by a file's suffix; others pass it on as it is."""
    writer: Any
    if suffix == ".gz":
        writer = gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=stream, mtime=0)
    elif suffix == ".xz":
        writer = lzma.LZMAFile(stream, "wb")  # noqa: SIM115 (closed below, with the others)
    elif suffix == ".zst":
        writer = _zstandard().ZstdCompressor().stream_writer(stream, closefd=False)
    else:
        yield stream
        return
    with writer:
        yield writer

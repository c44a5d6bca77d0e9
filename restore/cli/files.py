"""Read input and write output without surprises."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from restore.errors import InputError

DEVICES = Path("/dev")
"""Where devices stand, and links to what a process has open, such as /dev/stdout."""

NO_FILE = "{path}: cannot be read ({why}); check the path"
NOT_TEXT = "{path}: byte {place} is a zero byte, so this is no text file; give plain text in UTF-8"
NOT_UTF8 = "{path}: byte {place} is not UTF-8; convert the file, for example with: iconv -f WINDOWS-1252 -t UTF-8"
SAME_FILE = "{path}: is the input; choose another name for the output, the input is never overwritten"
SAME_STREAM = "{path}: is the input, and standard output is sent into it; write to another file, for example with -o"
FOLDER = "{path}: is a folder; name a file in it, or restore a whole folder with: restore batch {path} -o OUT"
NO_OUTPUT = "{path}: cannot be written ({why}); choose another place for the output"
OPTION = "{path}: looks like an option, and a file's name is wanted before it; a file of such a name is ./{path}"
PACKED = "{path}: is {what}, and no plain text; {way}"
CLOSED = "standard {stream} is closed; name a file, or open it"
KINDS = (
    (b"\x1f\x8b", "packed by gzip", "unpack it: gzip -dc {path} | restore"),
    (b"\xfd7zXZ\0", "packed by xz", "unpack it: xz -dc {path} | restore"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd", "unpack it: zstd -dc {path} | restore"),
    (b"PK\x03\x04", "a zip archive or an office document", "save its text as plain text in UTF-8"),
    (b"%PDF-", "a PDF", "take its text out first, for example with: pdftotext {path} - | restore"),
    (b"\xff\xfe", "UTF-16", "convert it: iconv -f UTF-16 -t UTF-8 {path} | restore"),
    (b"\xfe\xff", "UTF-16", "convert it: iconv -f UTF-16 -t UTF-8 {path} | restore"),
)
"""First bytes of what is often given for a text, what it is, and what to do."""


def read_text(path: str) -> str:
    """Return the text of a file, or of standard input for `-`.

    Raises:
        InputError: it cannot be read, or is not text in UTF-8.
    """
    name = "standard input" if path == "-" else path
    if path == "-" and sys.stdin is None:
        raise InputError(CLOSED.format(stream="input"))
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except IsADirectoryError as error:
        raise InputError(FOLDER.format(path=name)) from error
    except OSError as error:
        raise InputError(NO_FILE.format(path=name, why=error.strerror or error)) from error
    for start, what, way in KINDS:
        if data.startswith(start):
            raise InputError(PACKED.format(path=name, what=what, way=way.format(path="FILE" if path == "-" else path)))
    zero = data.find(b"\0")
    if zero >= 0:
        raise InputError(NOT_TEXT.format(path=name, place=zero))
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InputError(NOT_UTF8.format(path=name, place=error.start)) from error


def name_of(path: str) -> str:
    """Return what to call an input: its file's name, or nothing for standard input."""
    return "" if path == "-" else Path(path).name


def check_output(output: str | None, inputs: tuple[str, ...]) -> None:
    """Refuse an output that is one of the inputs or can be no file, before any work is done.

    Raises:
        InputError: it is, or cannot.
    """
    if output is None or output == "-":
        return
    if output.startswith("-"):
        raise InputError(OPTION.format(path=output))
    for path in inputs:
        if same_file(output, path):
            raise InputError(SAME_FILE.format(path=output))
    if os.path.isdir(output):
        raise InputError(NO_OUTPUT.format(path=output, why="it is a folder"))
    if not os.path.isdir(folder := os.path.dirname(output) or "."):
        raise InputError(NO_OUTPUT.format(path=output, why=f"there is no folder {folder}"))


def same_file(output: str, path: str) -> bool:
    """Tell whether an output is an input's file; `-` is standard input, which may be one too."""
    try:
        found = os.fstat(sys.stdin.fileno()) if path == "-" else os.stat(path)
        return (path != "-" or stat.S_ISREG(found.st_mode)) and os.path.samestat(os.stat(output), found)
    except (OSError, ValueError, AttributeError):  # no such file, or no standard input that is a file
        return False


def check_standard_output(path: str) -> None:
    """Refuse an input into which the shell sends standard output.

    Raises:
        InputError: it is one.
    """
    try:
        found, out = os.stat(path), os.fstat(sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):  # no such file, or no standard output that is a file
        return
    if stat.S_ISREG(out.st_mode) and os.path.samestat(found, out):
        raise InputError(SAME_STREAM.format(path=path))


def write_text(output: str | None, text: str) -> None:
    """Write a text to a file, whole or not at all, or to standard output for None and `-`.

    Raises:
        InputError: the file cannot be written.
    """
    write_pieces(output, (text,))


def write_pieces(output: str | None, pieces: Iterable[str]) -> None:
    """Write a text that comes in pieces: to a file, whole or not at all, or to standard output, for None and `-`, as it comes.

    A device or a pipe, such as /dev/null, is written to as it is.

    Raises:
        InputError: the file cannot be written.
    """
    if output is None or output == "-":
        if sys.stdout is None:
            raise InputError(CLOSED.format(stream="output"))
        last = ""
        for last in filter(None, pieces):
            sys.stdout.buffer.write(last.encode("utf-8"))
            sys.stdout.buffer.flush()
        if sys.stdout.isatty() and not last.endswith("\n"):
            sys.stdout.buffer.write(b"\n")
        return
    target = Path(output)
    scratch = None
    try:
        if target.absolute().parent == DEVICES or (target.exists() and not target.is_file()):
            with target.open("wb") as stream:
                stream.writelines(piece.encode("utf-8") for piece in pieces)
            return
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask()
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".restore-", delete=False) as stream:
            scratch = Path(stream.name)
            for piece in pieces:
                stream.write(piece.encode("utf-8"))
        scratch.chmod(mode)
        scratch.replace(target)
        scratch = None
    except OSError as error:
        raise InputError(NO_OUTPUT.format(path=output, why=error.strerror or error)) from error
    finally:
        if scratch is not None:  # whatever happened: the pieces may fail, and Control-C comes at any time
            scratch.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

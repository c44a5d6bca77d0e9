"""Which documents are scored: files in, originals out, by half and limit.

Documents of odd number, counted from 1 in each file's order, choose and calibrate; those of even number report. What
was tuned on the first half is thus never reported on it.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from restore.errors import InputError
from restore.training.documents import CLOSE, open_packed, read_documents

HALVES = ("all", "odd", "even")

NO_DOCUMENTS = "{files}: no documents to score; check --half and --limit"
WRONG_NUMBER = "{path}: {found} outputs for {wanted} documents; give one for each, closed by a line %%%"
UNREADABLE = "{path}: {why}; give a UTF-8 text with a line %%% after each output"

Item = TypeVar("Item")


def select(items: Iterable[Item], half: str = "all", limit: int | None = None) -> Iterator[Item]:
    """Yield the items of one half, counted from 1, and no more than `limit`.

    >>> list(select("abcde", "odd")), list(select("abcde", "even", 1))
    (['a', 'c', 'e'], ['b'])
    """
    start, step = {"all": (0, 1), "odd": (0, 2), "even": (1, 2)}[half]
    chosen = islice(items, start, None, step)
    return chosen if limit is None else islice(chosen, limit)


def read_originals(files: Sequence[Path], half: str = "all", limit: int | None = None) -> list[str]:
    """Return the documents of some files, each file's own half and limit.

    Raises:
        InputError: a file cannot be read, or there is nothing to score in it.
    """
    documents: list[str] = []
    for path in files:
        chosen = list(select(read_documents(path, blank_lines=True), half, limit))
        if not chosen:
            raise InputError(NO_DOCUMENTS.format(files=path))
        documents += chosen
    if not documents:
        raise InputError(NO_DOCUMENTS.format(files="no files"))
    return documents


def read_outputs(path: Path, files: Sequence[Path], half: str, limit: int | None) -> list[str]:
    """Return ready-made outputs for the documents that `read_originals` returns.

    The file holds one output for each document of all the files, or one for each that is scored, closed by a line
    `%%%`. Other than in a corpus, an output may be empty, and its line breaks are kept as they are.

    Raises:
        InputError: it cannot be read, or holds another number of outputs.
    """
    try:
        with open_packed(path) as stream:
            text = stream.read().decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, lzma.LZMAError, zlib.error) as error:
        raise InputError(UNREADABLE.format(path=path, why=getattr(error, "strerror", None) or error)) from error
    outputs: list[str] = []
    lines: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.strip() == CLOSE:
            outputs.append("\n".join(lines).strip())
            lines = []
        else:
            lines.append(line)
    if any(map(str.strip, lines)) or not outputs:
        outputs.append("\n".join(lines).strip())
    sizes = [sum(1 for _ in read_documents(file)) for file in files]
    if len(outputs) == sum(sizes):
        chosen: list[str] = []
        place = 0
        for size in sizes:
            chosen += select(outputs[place : place + size], half, limit)
            place += size
        return chosen
    wanted = sum(len(list(select(range(size), half, limit))) for size in sizes)
    if len(outputs) != wanted:
        raise InputError(WRONG_NUMBER.format(path=path, found=len(outputs), wanted=wanted))
    return outputs

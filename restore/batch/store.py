"""The working folder of a run: what is done is kept there, so that a run killed at any moment goes on where it was.

The folder stands beside the output, `.NAME.restore-batch` for an output NAME, and goes when the output is whole:

    job.json                 what shapes the output: a run with other options does not go on with these parts
    lock                     held by the run at work
    parts/000012/000345      part 12,345: a line of JSON, then its packed rows
    result                   the output, until it is whole
    done                     there once `result` is whole, with the run's identity: if `result` has gone, it has become the output
    merging                  there once `result` is moved file by file into a folder that was there and empty

A part's first line says which rows of which input it holds, and gives the size and the SHA-256 of what follows. Every file is
written under another name first and then renamed, so it is there whole or not at all. A part that does not agree with
its first line is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from restore.batch.compression import reason
from restore.batch.rows import Part
from restore.errors import InputError, RestoreError

try:
    import fcntl
except ModuleNotFoundError:  # Windows: two runs at once are not noticed there
    fcntl = None  # type: ignore[assignment]

FORMAT, VERSION = "restore-batch", 1

NOT_WRITTEN = "{path}: cannot be written ({why}); what was done so far is kept, so run the same command again"
NOT_OURS = "{path}: is not a working folder of `restore batch`; move it away, or choose another output"
AT_WORK = "{path}: another run is at work on this output"
NO_PLACE = "{path}: cannot be written ({why}), where the work is kept; make its folder writable, or choose another output"
OTHER_OPTIONS = (
    "{path}: keeps an unfinished run with other options ({what}); "
    "give the same ones to go on with it, or remove this folder to start again"
)
OTHER_INPUT = (
    "{source}: has changed since the unfinished run that {path} keeps, in rows {first} to {last}; "
    "give the same input to go on with it, or remove this folder to start again"
)
DAMAGED = "{path}: is damaged; it has been removed, run the same command again"


@dataclass(frozen=True)
class Head:
    """What the first line of a part says.

    Attributes:
        input: the digest of its input rows.
        first, rows: the number of its first row, and how many there are.
        errors: how many of them could not be restored.
        error: what was wrong with the first of these.
        size, sha256: of what follows the line.
    """

    input: str
    first: int
    rows: int
    errors: int
    error: str
    size: int
    sha256: str


class Store:
    """The working folder of one output.

    Args:
        target: the output.
        source: the input, for messages.
    """

    def __init__(self, target: Path, source: Path) -> None:
        target = Path(os.path.abspath(target))  # whose name is not "." or ".."
        self.folder = target.parent / f".{target.name}.restore-batch"
        self._source = source
        self._lock: IO[bytes] | None = None

    def open(self) -> None:
        """Make the folder, or take up the one that an earlier run left, and lock it.

        Raises:
            RestoreError: it cannot be made, is something else, or another run is at work in it.
        """
        try:
            if not self.folder.is_dir() or self.folder.is_symlink():
                self._make()
            elif (names := os.listdir(self.folder)) and "lock" not in names:
                raise RestoreError(NOT_OURS.format(path=self.folder))
            self._lock = (self.folder / "lock").open("ab")
            if fcntl is not None:
                fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileExistsError as error:
            raise RestoreError(NOT_OURS.format(path=self.folder)) from error
        except BlockingIOError as error:
            raise RestoreError(AT_WORK.format(path=self.folder)) from error
        except OSError as error:
            raise RestoreError(NOT_WRITTEN.format(path=self.folder, why=reason(error))) from error

    def _make(self) -> None:
        try:
            self.folder.mkdir()
        except FileExistsError:
            raise
        except OSError as error:
            raise RestoreError(NO_PLACE.format(path=self.folder, why=reason(error))) from error

    def claim(self, job: Mapping[str, Any]) -> None:
        """Check that the folder's work was done for this job, or note the job if it is new.

        Raises:
            RestoreError: it was done for another.
        """
        path = self.folder / "job.json"
        wanted = {FORMAT: VERSION, **job}
        if not path.exists():
            self._write(path, json.dumps(wanted, indent=2).encode() + b"\n", sure=True)
            return
        try:
            found = dict(json.loads(path.read_bytes()))
            found[FORMAT]
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise RestoreError(NOT_OURS.format(path=self.folder)) from error
        names = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
        if names:
            what = ", ".join(f"{name} {found.get(name)}, now {wanted.get(name)}" for name in names)
            raise RestoreError(OTHER_OPTIONS.format(path=self.folder, what=what))

    def path(self, index: int) -> Path:
        """Return where a part stands."""
        return self.folder / "parts" / f"{index // 1000:06d}" / f"{index % 1000:06d}"

    def find(self, part: Part) -> Head | None:
        """Return the head of a part that has been done, or None.

        Raises:
            InputError: it was done of other rows.
        """
        if not self.path(part.index).exists():
            return None
        found = self._read(part.index)
        if found is None:
            return None
        head = found[0]
        if head.input != part.digest:
            self._refuse(head)
        return head

    def check_end(self, count: int) -> None:
        """Check that no part is left over after so many.

        Raises:
            InputError: the input had more rows before.
        """
        for index in self._indices(count):
            if (found := self._read(index)) is not None:
                self._refuse(found[0])

    def _indices(self, start: int) -> Iterator[int]:
        """Yield the numbers of the parts that are there, from one on."""
        parts = self.folder / "parts"
        for shard in sorted(os.listdir(parts)) if parts.exists() else ():
            if (int(shard) + 1) * 1000 > start:
                numbers = (int(shard) * 1000 + int(name) for name in sorted(os.listdir(parts / shard)))
                yield from (number for number in numbers if number >= start)

    def _refuse(self, head: Head) -> None:
        last = head.first + head.rows - 1
        raise InputError(OTHER_INPUT.format(source=self._source, path=self.folder, first=head.first, last=last))

    def add(self, part: Part, errors: list[str], packed: bytes) -> None:
        """Keep a part that is done.

        Raises:
            RestoreError: it cannot be written.
        """
        head = Head(
            input=part.digest,
            first=part.rows[0].number,
            rows=len(part.rows),
            errors=len(errors),
            error=errors[0] if errors else "",
            size=len(packed),
            sha256=hashlib.sha256(packed).hexdigest(),
        )
        self._write(self.path(part.index), json.dumps(asdict(head)).encode() + b"\n" + packed)

    def packed(self, count: int) -> Iterator[bytes]:
        """Yield the packed rows of the first so many parts.

        Raises:
            RestoreError: one has been damaged since.
        """
        for index in range(count):
            found = self._read(index)
            if found is None:
                path = self.path(index)
                path.unlink(missing_ok=True)
                raise RestoreError(DAMAGED.format(path=path))
            yield found[1]

    def _read(self, index: int) -> tuple[Head, bytes] | None:
        """Return a part, or None if it is not sound."""
        try:
            first, _, packed = self.path(index).read_bytes().partition(b"\n")
            head = Head(**json.loads(first))
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        sound = len(packed) == head.size and hashlib.sha256(packed).hexdigest() == head.sha256
        return (head, packed) if sound else None

    def _write(self, path: Path, data: bytes, sure: bool = False) -> None:
        """Write a file; surely, where a power cut must not leave it empty: of a part, its checksum would tell."""
        scratch = self.folder / "scratch"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with scratch.open("wb") as file:
                file.write(data)
                if sure:
                    file.flush()
                    os.fsync(file.fileno())
            scratch.replace(path)
        except OSError as error:
            with suppress(OSError):
                scratch.unlink()
            raise RestoreError(NOT_WRITTEN.format(path=path, why=reason(error))) from error

    def close(self) -> None:
        """Let go of the folder; what is in it stays, if it is more than the lock."""
        if self._lock is not None and not self._lock.closed:
            with suppress(OSError):  # while it is held, as another run may be waiting to take it
                if os.listdir(self.folder) == ["lock"]:
                    (self.folder / "lock").unlink()
                    self.folder.rmdir()
            self._lock.close()

    def clear(self) -> None:
        """Remove what is in the folder, but for the lock.

        Raises:
            RestoreError: something cannot be removed.
        """
        try:
            for name in os.listdir(self.folder):
                if name != "lock":
                    path = self.folder / name
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError as error:
            raise RestoreError(NOT_WRITTEN.format(path=self.folder, why=reason(error))) from error

    def remove(self, identity: str) -> None:
        """Remove the folder of a finished run.

        It is renamed first, to a name that says which run it was, so that the next run understands a kill amid this.
        """
        if self._lock is not None and fcntl is None:
            self._lock.close()  # Windows moves no open file
        gone = self.folder.with_name(f"{self.folder.name}.{identity[:16]}")
        with suppress(OSError):
            self.folder.rename(gone)
        if self._lock is not None:
            self._lock.close()
        shutil.rmtree(gone if gone.exists() else self.folder, ignore_errors=True)

    def remnants(self) -> list[Path]:
        """Return the folders of runs that were killed while they removed them."""
        name = re.compile(re.escape(self.folder.name) + r"\.[0-9a-f]{16}")
        found = [path for path in self.folder.parent.iterdir() if name.fullmatch(path.name)]
        return [path for path in found if path.is_dir() and not path.is_symlink()]

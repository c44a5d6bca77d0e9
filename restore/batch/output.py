"""The output: where it may stand, and how it gets there whole."""

from __future__ import annotations

import enum
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from restore.batch.compression import reading, reason
from restore.batch.store import NOT_WRITTEN, Store
from restore.batch.tables import Table, output_kind
from restore.batch.tables.folder import INDEX, check_merge, files_of, merge_folder
from restore.errors import InputError, RestoreError
from restore.version import __version__

NO_INPUT = "{path}: cannot be read ({why}); check the path"
NO_FILE = "{path}: is no regular file and no folder; give one of these"
SAME = "{path}: is the input, which is never overwritten; choose another name for the output"
INSIDE = "{path}: the output would stand within the input folder, or the input within the output; choose another place"
EXISTS = "{path}: is there already; give --force to overwrite it, or choose another name for the output"
NO_FOLDER = "{path}: cannot be written (the folder {folder} does not exist); make it first"
NOT_A_FOLDER = "{path}: is a file, but the output of a folder is a folder; choose another name for it"
NOT_A_FILE = "{path}: is a folder, but the output is a file; choose another name for it"


def check_paths(source: Path, target: Path, kind: str) -> None:
    """Refuse an output that cannot or must not be written, before any work is done.

    Raises:
        InputError: the message says why.
    """
    output_kind(target, kind)
    if not target.parent.is_dir():
        raise InputError(NO_FOLDER.format(path=target, folder=target.parent))
    if target.exists() and os.path.samefile(source, target):
        raise InputError(SAME.format(path=target))
    if kind == "folder":
        inside, outside = target.parent.resolve() / target.name, source.resolve()
        if outside in inside.parents or target.resolve() in outside.parents:
            raise InputError(INSIDE.format(path=target))
    elif target.is_dir():
        raise InputError(NOT_A_FILE.format(path=target))
    if kind == "folder" and target.exists() and not target.is_dir():
        raise InputError(NOT_A_FOLDER.format(path=target))


def check_room(source: Path, target: Path) -> None:
    """Check that nothing in an output folder that exists is in the way of a folder's files.

    Raises:
        InputError: something is.
    """
    if source.is_dir() and target.is_dir() and not target.is_symlink():
        check_merge(chain([INDEX], files_of(source)), target)


def check_input(source: Path) -> None:
    """Refuse an input that is neither a file nor a folder.

    Raises:
        InputError: it is not.
    """
    try:
        os.stat(source)
    except OSError as error:
        raise InputError(NO_INPUT.format(path=source, why=reason(error))) from error
    if not source.is_file() and not source.is_dir():
        raise InputError(NO_FILE.format(path=source))


def is_taken(target: Path) -> bool:
    """Tell whether something would be overwritten: anything but an empty folder, a link to nowhere included."""
    if target.is_dir() and not target.is_symlink():
        return bool(os.listdir(target))
    return os.path.lexists(target)


def identity_of(source: Path, facts: Mapping[str, Any]) -> str:
    """Return what tells one run from another: a digest of its options, and of the sizes and times of what it reads.

    Args:
        source: the input.
        facts: the options, as plain data.

    Raises:
        InputError: the input cannot be read.
    """
    digest = hashlib.sha256(json.dumps({**facts, "version": __version__}, sort_keys=True, default=str).encode())
    with reading(source):
        for name in files_of(source) if source.is_dir() else ("",):
            path = source / name
            found = path.stat() if path.exists() else path.lstat()  # a link to nowhere is a file that cannot be read
            digest.update(f"{found.st_size} {found.st_mtime_ns} ".encode() + os.fsencode(name) + b"\n")
    return digest.hexdigest()


class Earlier(enum.Enum):
    """What an earlier run for an output has left."""

    NOTHING = enum.auto()  # that is finished: parts to go on with, if anything
    FINISHED = enum.auto()  # the output; it was killed only after this had become whole
    MERGING = enum.auto()  # a part of the output, in a folder that was empty
    OTHER = enum.auto()  # the same of another run: of other options, or another input


def earlier_run(store: Store, target: Path, identity: str, force: bool) -> Earlier:
    """Tell what an earlier run has left, and remove what one that was killed had begun to remove.

    Where an output may be replaced, it is not taken for finished, as it may be another that was there before: its parts make
    it again.
    """
    found = Earlier.NOTHING
    for remnant in store.remnants():
        if remnant.name.endswith(identity[:16]) and os.path.lexists(target) and not force:
            found = Earlier.FINISHED
        shutil.rmtree(remnant, ignore_errors=True)
    result, done = store.folder / "result", store.folder / "done"
    if not done.exists() or not os.path.lexists(target):
        return found
    same = done.read_text(encoding="ascii", errors="replace") == identity
    if not result.exists() or (target.exists() and os.path.samefile(result, target)):
        if same:
            return found if force else Earlier.FINISHED
        return Earlier.OTHER
    return Earlier.MERGING if same and (store.folder / "merging").exists() else found


def finish(store: Store, table: Table, parts: Iterable[bytes], target: Path, force: bool, identity: str) -> None:
    """Put the output together and move it to its place, at once.

    Args:
        store: its folder is where it is made.
        table: knows how.
        parts: the packed parts, in order.
        target: where it goes.
        force: whether it may replace what is there.
        identity: what tells this run from others.

    Raises:
        RestoreError: it cannot be written, or something has come to stand there.
    """
    result, done = store.folder / "result", store.folder / "done"
    try:
        done.unlink(missing_ok=True)
        shutil.rmtree(result) if result.is_dir() else result.unlink(missing_ok=True)
        table.finish(parts, result)
        if result.is_file():
            with result.open("rb+") as file:
                os.fsync(file.fileno())
        elif hasattr(os, "sync"):
            os.sync()  # for a power cut, once for all of its files
        done.write_text(identity, encoding="ascii")
        if result.is_dir():
            _place_folder(result, target, force, store.folder / "merging")
        else:
            _place_file(result, target, force)
    except OSError as error:
        raise RestoreError(NOT_WRITTEN.format(path=target, why=reason(error))) from error


def _place_file(result: Path, target: Path, force: bool) -> None:
    if not force:
        try:
            os.link(result, target)  # which, unlike renaming, replaces nothing
        except FileExistsError as error:
            raise RestoreError(EXISTS.format(path=target)) from error
        except OSError:  # a file system without links
            if os.path.lexists(target):
                raise RestoreError(EXISTS.format(path=target)) from None
        else:
            result.unlink()
            return
    result.replace(target)


def _place_folder(result: Path, target: Path, force: bool, merging: Path) -> None:
    if is_taken(target):
        if not force:
            raise RestoreError(EXISTS.format(path=target))
        if target.is_symlink():
            target.unlink()
            result.rename(target)
            return
    elif not (target.is_dir() and os.path.samefile(target, os.curdir)):  # a shell would be left in a folder without a name
        try:
            result.rename(target)
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.EXDEV):  # where a file system is mounted
                raise
        else:
            return
    if not force:
        merging.touch()
    merge_folder(result, target)
    shutil.rmtree(result)

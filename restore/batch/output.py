"""The output: where it may stand, and how it gets there whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from restore.batch.compression import reason
from restore.batch.store import NOT_WRITTEN, Store
from restore.batch.tables import Table, output_kind
from restore.batch.tables.folder import merge_folder
from restore.errors import InputError, RestoreError

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


def is_finished(store: Store, target: Path, force: bool) -> bool:
    """Tell whether an earlier run was killed only after its output had become whole."""
    result = store.folder / "result"
    if not store.folder.is_dir() or not os.path.lexists(target):
        return False
    if not (store.folder / "done").exists():
        # It goes last: an empty folder had one. But a run that may overwrite begins with an empty folder, too.
        return not force and not os.listdir(store.folder)
    return not result.exists() or (target.exists() and os.path.samefile(result, target))


def finish(store: Store, table: Table, parts: Iterable[bytes], target: Path, force: bool) -> None:
    """Put the output together and move it to its place, at once.

    Args:
        store: its folder is where it is made.
        table: knows how.
        parts: the packed parts, in order.
        target: where it goes.
        force: whether it may replace what is there.

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
        done.touch()
        if result.is_dir():
            _place_folder(result, target, force)
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


def _place_folder(result: Path, target: Path, force: bool) -> None:
    if is_taken(target):
        if not force:
            raise RestoreError(EXISTS.format(path=target))
        if target.is_symlink():
            target.unlink()
            result.rename(target)
        else:
            merge_folder(result, target)
            shutil.rmtree(result)
    else:
        result.rename(target)

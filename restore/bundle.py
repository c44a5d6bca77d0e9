"""Folders of data files with a card: read with checks, written whole.

Every table and model that restore reads is a *bundle*: a folder with a `card.json` and the files the
card names. The card is for people (what the data is, where it comes from, its licence, the command
that made it, its scores) and for the program (format, version, and the SHA-256 of each file):

    {"format": "restore-lexicon", "version": 1,
     "about": "...", "licence": "...", "command": "...",
     "files": {"lexicon.safetensors": {"sha256": "...", "bytes": 123}}}

Nothing in a bundle is executable: files are JSON, text, safetensors or ONNX.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from restore.errors import ResourceError

CARD = "card.json"

BAD_CARD = "{path}: not a readable bundle ({why}); point to a folder made by `restore train`, or reinstall restore"
NO_FOLDER = "{path}: there is no such folder; point to a folder made by `restore train`, or reinstall restore"
BAD_FORMAT = "{path}: holds {found!r}, but {wanted!r} is needed here; point to a folder of that kind"
BAD_VERSION = "{path}: format version {found}, this release reads version {wanted}; make it again with `restore train`"
BAD_FILE = "{path}: {why}; the file is damaged or was changed, so reinstall restore or make it again"


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its folder and its checked card."""

    folder: Path
    card: Mapping[str, Any]

    def file(self, name: str) -> Path:
        """Return the path of a file of this bundle once its size and SHA-256 agree with the card.

        Raises:
            ResourceError: the card does not name the file, or the file is missing or differs.
        """
        path = self.folder / name
        entry = self.card["files"].get(name)
        if entry is None:
            raise ResourceError(BAD_FILE.format(path=path, why="the card does not name it"))
        try:
            size = path.stat().st_size
        except OSError as error:
            raise ResourceError(BAD_FILE.format(path=path, why=error.strerror or "unreadable")) from error
        if size != entry["bytes"]:
            raise ResourceError(BAD_FILE.format(path=path, why=f"{size} bytes instead of {entry['bytes']}"))
        if sha256(path) != entry["sha256"]:
            raise ResourceError(BAD_FILE.format(path=path, why="its checksum differs from the card's"))
        return path

    @property
    def checksum(self) -> str:
        """What names this data in signatures; see `checksum_of`."""
        return checksum_of((name, entry["sha256"]) for name, entry in sorted(self.card["files"].items()))


def checksum_of(files: Iterable[tuple[str, str]]) -> str:
    """Return the first 12 hex digits of a SHA-256 over files' names and SHA-256s, in order: it names data in signatures."""
    lines = "".join(f"{name} {digest}\n" for name, digest in files)
    return hashlib.sha256(lines.encode()).hexdigest()[:12]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def open_bundle(folder: str | os.PathLike[str], wanted: str, version: int) -> Bundle:
    """Read and check the card of a bundle.

    Args:
        folder: the bundle's folder.
        wanted: the format that the caller reads, such as `restore-ngram`.
        version: the format version that the caller reads.

    Raises:
        ResourceError: no folder, no card, a broken one, another format or another version.
    """
    path = Path(folder) / CARD
    if not path.parent.is_dir():
        raise ResourceError(NO_FOLDER.format(path=path.parent))
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ResourceError(BAD_CARD.format(path=path, why=error.strerror or "unreadable")) from error
    except (ValueError, RecursionError) as error:
        raise ResourceError(BAD_CARD.format(path=path, why="its card is not JSON")) from error
    if not isinstance(card, dict) or not _files_are_sound(card.get("files")):
        raise ResourceError(BAD_CARD.format(path=path, why="its card lists no files"))
    if card.get("format") != wanted:
        raise ResourceError(BAD_FORMAT.format(path=path, found=card.get("format"), wanted=wanted))
    if card.get("version") != version:
        raise ResourceError(BAD_VERSION.format(path=path, found=card.get("version"), wanted=version))
    return Bundle(Path(folder), card)


def _files_are_sound(files: object) -> bool:
    return isinstance(files, dict) and all(
        isinstance(entry, dict)
        and isinstance(entry.get("sha256"), str)
        and entry["sha256"].isascii()
        and isinstance(entry.get("bytes"), int)
        and name.isascii()
        and name not in ("", ".", "..")
        and not ({"/", "\\", "\0"} & set(name))
        for name, entry in files.items()
    )


def write_bundle(
    folder: str | os.PathLike[str],
    wanted: str,
    version: int,
    files: Mapping[str, Callable[[Path], None]],
    card: Mapping[str, Any],
) -> Bundle:
    """Write a bundle: each file through a temporary name, the card last, so that a card never lies.

    Args:
        folder: made if need be; files of the same names are replaced.
        wanted: the format's name.
        version: the format's version.
        files: file name to a function that writes the file at the path it is given.
        card: whatever else the card should say (`about`, `licence`, `command`, scores...).
    """
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    entries: dict[str, dict[str, Any]] = {}
    for name, write in files.items():
        with tempfile.TemporaryDirectory(dir=home) as scratch:
            path = Path(scratch) / name
            write(path)
            path.chmod(0o644)
            entries[name] = {"sha256": sha256(path), "bytes": path.stat().st_size}
            path.replace(home / name)
    text = json.dumps({"format": wanted, "version": version, **card, "files": entries}, indent=2, ensure_ascii=False)
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        path = Path(scratch) / CARD
        path.write_text(text + "\n", encoding="utf-8")
        path.replace(home / CARD)
    return open_bundle(home, wanted, version)


@lru_cache(maxsize=1)
def resources_folder() -> Path:
    """Return the folder of the data that comes with restore.

    In an installed package it stands inside the package; in a checkout, at the top of the repository.

    Raises:
        ResourceError: neither is there.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "resources", package.parent / "resources"):
        if folder.is_dir():
            return folder
    raise ResourceError(BAD_CARD.format(path=package / "resources", why="the folder is missing"))

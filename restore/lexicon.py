"""The lexicon: which word forms English has, how frequent each is, and how it is cased.

A lexicon is a bundle with one safetensors file (https://huggingface.co/docs/safetensors: eight bytes of header
length, a JSON header, raw little-endian arrays), mapped into memory and never parsed as a whole:

    text      uint8  [bytes]   every form as it is written ("iPhone"), UTF-8, one after the other
    offset    uint32 [n + 1]   form i is text[offset[i] : offset[i + 1]]
    cost      uint8  [n]       its frequency: -ln P(form) in steps of 0.1 nat
    hash      uint32 [n]       CRC-32 of the lower-cased form; the forms are sorted by it
    frequent  uint32 [m]       the most frequent forms, best first
    part.hash, part.form       for forms with more than ASCII letters and digits ("U.S.", "O'Rourke"): CRC-32 of
                               each lower-cased ASCII run in it ("u", "s"; "o", "rourke"), sorted, and the form
    map.NAME.hash, .form       for each word map: CRC-32 of what the map makes of a lower-cased form, where that is
                               not the form itself, sorted, and the form: the map's preimages

To look up "us", take the forms whose hash is CRC-32("us") and keep those that lower-case to "us": `US`, `us`.
Hashes only narrow the search; every find is checked against the form itself.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from restore.bundle import BAD_FILE, Bundle, open_bundle, resources_folder
from restore.errors import ResourceError
from restore.tensors import map_tensors

FORMAT, VERSION = "restore-lexicon", 1
FILE = "lexicon.safetensors"
STEP = 0.1
"""Nats for each step of a stored cost."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A word form and its log-probability among all running words, in nats."""

    form: str
    logprob: float


def key_hash(key: str) -> int:
    """Return the CRC-32 under which a lower-cased key is filed."""
    return zlib.crc32(key.encode("utf-8", "surrogatepass"))


class Lexicon:
    """Word forms with frequencies, looked up by lower-cased form, by part, or by what a word map makes of them."""

    def __init__(self, arrays: dict[str, npt.NDArray[Any]], checksum: str = "") -> None:
        self._arrays = arrays
        self._text = arrays["text"]
        self._offset = arrays["offset"]
        self._cost = arrays["cost"]
        self.checksum = checksum
        if not self._is_sound():
            raise ResourceError("lexicon: its arrays do not fit each other; reinstall restore or make it again")

    def _is_sound(self) -> bool:
        """Tell whether every array is there, of the right size, and points into the others."""
        arrays, forms = self._arrays, self._cost.size
        if any(array.ndim != 1 for array in arrays.values()):
            return False
        if self._offset.size != forms + 1 or arrays["hash"].size != forms or not forms:
            return False
        if int(self._offset[-1]) > self._text.size or bool((np.diff(self._offset.astype(np.int64)) < 0).any()):
            return False
        indexes = [name for name in arrays if name.endswith(".form")]
        pairs = [(arrays[name], arrays[name.removesuffix("form") + "hash"]) for name in (*indexes, "part.form")]
        lengths = {name for name in arrays if name.endswith(".hash")} == {n.removesuffix("form") + "hash" for n in indexes}
        inside = all(form.size == hashes.size and (not form.size or int(form.max()) < forms) for form, hashes in pairs)
        frequent = arrays["frequent"]
        return lengths and inside and (not frequent.size or int(frequent.max()) < forms)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Lexicon:
        """Open a lexicon bundle.

        Raises:
            ResourceError: it is missing, damaged, or of another version.
        """
        bundle: Bundle = open_bundle(folder, FORMAT, VERSION)
        path = bundle.file(FILE)
        try:
            return cls(map_tensors(path), bundle.checksum)
        except (KeyError, IndexError) as error:
            raise ResourceError(BAD_FILE.format(path=path, why=f"no array {error}")) from error

    def __len__(self) -> int:
        return self._cost.size

    def entry(self, index: int) -> Entry:
        """Return the form at an index, from 0 up to the lexicon's length."""
        start, end = int(self._offset[index]), int(self._offset[index + 1])
        return Entry(self._text[start:end].tobytes().decode(errors="replace"), -STEP * int(self._cost[index]))

    def variants(self, lower: str) -> list[Entry]:
        """Return the forms that lower-case to `lower`, in any casing, unordered."""
        found = self._find("hash", None, lower)
        return [entry for entry in found if entry.form.lower() == lower]

    def with_part(self, part: str) -> list[Entry]:
        """Return the forms of which `part` is a lower-cased ASCII run between other characters ("U.S." for "u")."""
        return list(self._find("part.hash", "part.form", part))

    def preimage(self, map_name: str, token: str) -> list[Entry]:
        """Return forms that the named word map takes to `token`, other than by leaving them as they are.

        The caller checks each: equal hashes of different tokens are rare but not impossible.
        """
        if f"map.{map_name}.hash" not in self._arrays:
            return []
        return list(self._find(f"map.{map_name}.hash", f"map.{map_name}.form", token))

    def frequent(self, count: int) -> list[Entry]:
        """Return the most frequent forms, best first, `count` of them at most."""
        return [self.entry(int(index)) for index in self._arrays["frequent"][:count]]

    def _find(self, hashes: str, forms: str | None, key: str) -> Iterator[Entry]:
        array, wanted = self._arrays[hashes], np.uint32(key_hash(key))
        start = int(array.searchsorted(wanted, "left"))
        end = int(array.searchsorted(wanted, "right"))
        for place in range(start, end):
            yield self.entry(place if forms is None else int(self._arrays[forms][place]))


@lru_cache(maxsize=1)
def default_lexicon() -> Lexicon:
    """Return the lexicon that comes with restore, opened once."""
    return Lexicon.open(resources_folder() / "lexicon")

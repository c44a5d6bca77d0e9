"""WordNet's morphology from a small table, equal to NLTK's `WordNetLemmatizer` but without its two-second start.

The table (`resources/wordnet/`) holds, for each part of speech, WordNet 3.0's one-word lemmas and its
exception list. The rules are those of WordNet's `morphy` as NLTK applies them
(https://wordnet.princeton.edu/documentation/morphy7wn): take the exception's lemmas if the word is listed,
else detach each suffix that fits; keep what is a lemma, the word itself included; the shortest wins, the
first among equals; a word of which nothing is kept stays as it is.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from restore.bundle import open_bundle, resources_folder
from restore.errors import ResourceError

FORMAT, VERSION = "restore-wordnet", 1
FILE = "wordnet.json.gz"

# Suffix and replacement, in the order in which NLTK tries them.
SUFFIXES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "n": (
        ("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"),
        ("ches", "ch"), ("shes", "sh"), ("men", "man"), ("ies", "y"),
    ),
    "v": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    "a": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "r": (),
}  # fmt: skip


@dataclass(frozen=True)
class Morphology:
    """One part of speech: its lemmas, its exceptions, and its suffix rules."""

    lemmas: frozenset[str]
    exceptions: Mapping[str, tuple[str, ...]]
    suffixes: tuple[tuple[str, str], ...]

    def lemmatize(self, word: str) -> str:
        """Return the shortest lemma that `word` can be a form of, or `word` itself."""
        found = self.exceptions.get(word)
        if found is None:
            found = tuple(word[: -len(old)] + new for old, new in self.suffixes if word.endswith(old))
        kept = [form for form in (word, *found) if form in self.lemmas]
        return min(kept, key=len) if kept else word

    def unlemmatize(self, lemma: str) -> Iterator[str]:
        """Yield every string that `lemmatize` might take to `lemma`; the caller checks which it does."""
        yield lemma
        for old, new in self.suffixes:
            if lemma.endswith(new):
                yield lemma[: len(lemma) - len(new)] + old
        for word, lemmas in self.exceptions.items():
            if lemma in lemmas:
                yield word


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    path = open_bundle(resources_folder() / "wordnet", FORMAT, VERSION).file(FILE)
    try:
        table = json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
        raise ResourceError(f"{path}: cannot be unpacked; reinstall restore") from error
    if not isinstance(table, dict) or not all(_is_sound(table.get(part)) for part in SUFFIXES):
        raise ResourceError(f"{path}: lacks a part of speech; reinstall restore")
    return table


def _is_sound(entry: object) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("lemmas"), str):
        return False
    exceptions = entry.get("exceptions")
    return isinstance(exceptions, dict) and all(
        isinstance(lemmas, list) and all(isinstance(lemma, str) for lemma in lemmas) for lemmas in exceptions.values()
    )


@lru_cache(maxsize=len(SUFFIXES))
def morphology(part_of_speech: str) -> Morphology:
    """Return the morphology of `n`, `v`, `a` or `r`, read once.

    Raises:
        ResourceError: the table is missing or damaged.
    """
    entry = _table()[part_of_speech]
    return Morphology(
        lemmas=frozenset(entry["lemmas"].split(" ")),
        exceptions={word: tuple(lemmas) for word, lemmas in entry["exceptions"].items()},
        suffixes=SUFFIXES[part_of_speech],
    )

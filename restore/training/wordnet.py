"""Make `resources/wordnet/` from a WordNet 3.0 database folder, such as Debian's /usr/share/wordnet."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from restore.bundle import write_bundle
from restore.channel.wordnet import FILE, FORMAT, SUFFIXES, VERSION

_FILE_NAMES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}


def build_wordnet(database: Path, out: Path, licence: str) -> None:
    """Write the lemma and exception table of the WordNet in `database` as a bundle in `out`.

    Args:
        database: a folder with `index.noun`, `noun.exc` and so on.
        out: the bundle's folder.
        licence: the licence text that goes along with what is derived from WordNet.
    """
    table: dict[str, Any] = {}
    for part, name in _FILE_NAMES.items():
        # The index begins with a licence, whose lines start with two spaces.
        rows = (database / f"index.{name}").read_text(encoding="utf-8").splitlines()
        lemmas = {row.split(" ", 1)[0] for row in rows if not row.startswith("  ")}
        exceptions: dict[str, list[str]] = {}
        for row in (database / f"{name}.exc").read_text(encoding="utf-8").splitlines():
            word, *found = row.split()
            exceptions[word] = found
        # A channel's tokens hold no spaces, so the lemmas of several words (with `_`) can never match.
        reachable = sorted(lemma for lemma in lemmas if "_" not in lemma)
        table[part] = {
            "lemmas": " ".join(reachable),
            "exceptions": {word: exceptions[word] for word in sorted(exceptions) if "_" not in word},
        }
    assert set(table) == set(SUFFIXES)
    packed = gzip.compress(json.dumps(table, ensure_ascii=False).encode(), 9, mtime=0)
    write_bundle(
        out, FORMAT, VERSION,
        {FILE: lambda path: _write(path, packed), "LICENSE": lambda path: _write(path, licence.encode())},
        {
            "about": "One-word lemmas and exception lists of WordNet 3.0, for the lemmatising channels.",
            "source": "WordNet 3.0, Princeton University (Debian packages wordnet-base and wordnet-sense-index)",
            "licence": "WordNet 3.0 licence, see LICENSE",
            "command": "restore train wordnet /usr/share/wordnet -o resources/wordnet",
        },
    )  # fmt: skip


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)

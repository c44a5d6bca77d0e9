"""Make a lexicon from running text and word lists.

The frequency of a word is the mean of its share in the running text and, where a frequency list is given, its share
there. The casing of a word comes from running text away from sentence starts; a word not met there is cased as the
word lists have it.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from restore.bundle import write_bundle
from restore.channel.wordmaps import word_map
from restore.errors import InputError
from restore.lattice.forms import unknown_cases
from restore.lexicon import FILE, FORMAT, STEP, VERSION, key_hash
from restore.tensors import write_tensors
from restore.training.documents import UNREADABLE, read_documents
from restore.units import is_word, segment, sentence_starts

MAPS = ("wordnet-noun", "wordnet-nvar", "porter", "snowball")
_RUN = re.compile("[A-Za-z0-9]+")
_COMPOUND = re.compile(r"(?<![\w-])[^\W_]+(?:-[^\W_]+)+(?![\w-])")
_LONGEST = 40
_RAREST = 10 ** (1.4 - 9)  # a Zipf frequency of 1.4: rarer words of frequency lists are mostly misspellings


def build_lexicon(
    files: Iterable[Path],
    out: Path,
    *,
    frequencies: Mapping[str, float] | None = None,
    word_lists: Iterable[Path] = (),
    min_count: int = 2,
    short_parts: frozenset[str] = frozenset(),
    about: Mapping[str, object] | None = None,
) -> None:
    """Write a lexicon bundle.

    Args:
        files: running text, as `read_documents` takes it.
        out: the bundle's folder.
        frequencies: share of running words by lower-cased word, from another source.
        word_lists: files of cased words, one a line.
        min_count: a form met fewer times in running text is left out, unless a list has it.
        short_parts: hyphenated compounds are kept when one of their parts is among these ("re-enter").
        about: what the card should say.
    """
    inside, everywhere, compounds = _count(files, short_parts)
    listed = _read_lists(word_lists)
    shares = _shares(everywhere, compounds, frequencies or {}, listed, min_count)
    forms = sorted(
        ((form, share) for lower, share in shares.items() for form, share in _cased(lower, share, inside, listed)),
        key=lambda pair: (key_hash(pair[0].lower()), -pair[1], pair[0]),
    )
    arrays = _arrays(forms)
    write_bundle(
        out, FORMAT, VERSION,
        {FILE: lambda path: write_tensors(path, arrays)},
        {"forms": len(forms), **(about or {})},
    )  # fmt: skip


def wordfreq_shares() -> dict[str, float]:
    """Return the shares of running words of the wordfreq package's large English list (CC BY-SA 4.0).

    Raises:
        ModuleNotFoundError: the package is not installed.
    """
    import wordfreq

    return {word: share for word, share in wordfreq.get_frequency_dict("en", "large").items() if share >= _RAREST}


def _count(
    files: Iterable[Path], short_parts: frozenset[str]
) -> tuple[dict[str, Counter[str]], Counter[str], Counter[str]]:
    inside: dict[str, Counter[str]] = defaultdict(Counter)
    everywhere: Counter[str] = Counter()
    compounds: Counter[str] = Counter()
    flat: Counter[str] = Counter()
    for path in files:
        for document in read_documents(path):
            units = segment(document)
            for unit, start in zip(units, sentence_starts(units), strict=True):
                if is_word(unit):
                    word = unit.lstrip()
                    everywhere[word.lower()] += 1
                    if not start:
                        flat[word] += 1
            for match in _COMPOUND.finditer(document):
                word = match.group()
                if any(part.lower() in short_parts for part in word.split("-")):
                    compounds[word] += 1
    for word, count in (flat + compounds).items():
        inside[word.lower()][word] += count
    lower_compounds: Counter[str] = Counter()
    for word, count in compounds.items():
        lower_compounds[word.lower()] += count
    return inside, everywhere, lower_compounds


def _read_lists(paths: Iterable[Path]) -> dict[str, set[str]]:
    listed: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(UNREADABLE.format(path=path, why=error.strerror or error)) from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: byte {error.start} is not UTF-8; convert the list to UTF-8") from error
        for line in text.splitlines():
            word = line.strip()
            if word and not word.endswith("'s"):
                listed[word.lower()].add(word)
    return listed


def _shares(
    everywhere: Counter[str],
    compounds: Counter[str],
    frequencies: Mapping[str, float],
    listed: Mapping[str, set[str]],
    min_count: int,
) -> dict[str, float]:
    total = everywhere.total() or 1
    floor = 0.2 / total
    shares: dict[str, float] = {}
    for word in everywhere.keys() | frequencies.keys() | listed.keys():
        count = everywhere[word]
        if count < min_count and word not in frequencies and word not in listed:
            continue
        if len(word) > _LONGEST or not word[0].isalnum():
            continue
        # Frequency lists write possessives and abbreviations in ways of their own: those come from running text.
        if count < min_count and not word.isalnum():
            continue
        share = count / total
        shares[word] = max(floor, (share + frequencies[word]) / 2 if word in frequencies else share)
    for word, count in compounds.items():
        if count >= min_count:
            shares[word] = max(floor, count / total)
    return shares


def _cased(
    lower: str, share: float, inside: Mapping[str, Counter[str]], listed: Mapping[str, set[str]]
) -> Iterator[tuple[str, float]]:
    """Yield the casings of a word with their parts of its share."""
    counts: dict[str, float] = dict(inside.get(lower, {}))
    seen = sum(counts.values())
    known = listed.get(lower, set())
    # What the lists say is worth one occurrence; a word in no list is most likely a name.
    if known:
        for form in known:
            counts[form] = counts.get(form, 0) + 1.0 / len(known)
    elif seen < 5 and lower.isalpha():
        for form, part in unknown_cases(lower):
            counts[form] = counts.get(form, 0) + part
    if not counts:
        counts[lower] = 1.0
    total = sum(counts.values())
    for form, count in counts.items():
        if count / total >= 0.001 or count >= 3:
            yield form, share * count / total


def _arrays(forms: list[tuple[str, float]]) -> dict[str, npt.NDArray[Any]]:
    encoded = [form.encode() for form, _ in forms]
    lowered = [form.lower() for form, _ in forms]
    costs = [-math.log(share) for _, share in forms]
    by_frequency = sorted(range(len(forms)), key=costs.__getitem__)[:20_000]
    arrays: dict[str, npt.NDArray[Any]] = {
        "text": np.frombuffer(b"".join(encoded), np.uint8),
        "offset": np.cumsum([0, *map(len, encoded)], dtype=np.uint32),
        "cost": np.clip(np.round(np.array(costs) / STEP), 0, 255).astype(np.uint8),
        "hash": np.array([key_hash(word) for word in lowered], np.uint32),
        "frequent": np.array(by_frequency, np.uint32),
    }
    parts = [
        (key_hash(part), index)
        for index, word in enumerate(lowered)
        if not (word.isascii() and word.isalnum())
        for part in sorted(set(_RUN.findall(word)))
    ]
    arrays |= _index("part", parts)
    for name in MAPS:
        apply = word_map(name).apply
        pairs = []
        for index, word in enumerate(lowered):
            image = apply(word)
            if image != word:
                pairs.append((key_hash(image), index))
        arrays |= _index(f"map.{name}", pairs)
    return arrays


def _index(name: str, pairs: list[tuple[int, int]]) -> dict[str, npt.NDArray[Any]]:
    table = np.array(sorted(pairs), np.uint32).reshape(-1, 2)
    return {f"{name}.hash": np.ascontiguousarray(table[:, 0]), f"{name}.form": np.ascontiguousarray(table[:, 1])}

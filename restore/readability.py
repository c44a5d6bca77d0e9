"""Readability: established formulas before and after.

Formulas count words, sentences, letters and syllables. They reward short sentences and short words, whether or not they
make sense: a stripped text without a full stop is one endless sentence, and any full stop helps. Read them with the text.

The counts and four formulas are textstat's (`pip install 'restore-prose[readability]'`). Its Flesch formulas would fetch the
CMU pronouncing dictionary over the network; syllables are counted here by the hyphenation patterns of pyphen, which comes
with textstat, and nothing is fetched.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from restore.errors import RestoreError

NEEDS_EXTRA = (
    "readability needs the package {name!r}, which is not installed; install the extra: "
    "pip install 'restore-prose[readability]'"
)
CAUTION = "formulas reward short sentences and short words, sense or not; read them with the text"

FORMULAS = {
    "flesch_reading_ease": "Flesch reading ease (more is easier, 60 is plain English)",
    "flesch_kincaid_grade": "Flesch-Kincaid grade (US school years)",
    "coleman_liau_index": "Coleman-Liau index (US school years)",
    "automated_readability_index": "Automated readability index (US school years)",
    "lix": "LIX (over 50 is difficult)",
    "rix": "RIX (long words a sentence)",
}


@dataclass(frozen=True)
class Readability:
    """Formulas by name, of the input and of the text; `FORMULAS` describes them."""

    before: dict[str, float]
    after: dict[str, float]
    caution: str = CAUTION


@lru_cache(maxsize=1)
def _packages() -> tuple[Any, Any]:
    try:
        import pyphen
        import textstat
    except ImportError as error:
        raise RestoreError(NEEDS_EXTRA.format(name=error.name)) from error
    return textstat.textstat if hasattr(textstat, "textstat") else textstat, pyphen.Pyphen(lang="en_US")


def formulas(text: str) -> dict[str, float]:
    """Return the value of each formula for a text; nothing for a text without words.

    Raises:
        RestoreError: textstat is not installed.
    """
    textstat, hyphens = _packages()
    words = [word for word in text.split() if any(map(str.isalnum, word))]
    if not words:
        return {}
    syllables = sum(1 + len(hyphens.positions(word.strip(".,;:?!\"'()").lower())) for word in words)
    length = len(words) / max(1, textstat.sentence_count(text))
    share = syllables / len(words)
    values = {
        "flesch_reading_ease": 206.835 - 1.015 * length - 84.6 * share,
        "flesch_kincaid_grade": 0.39 * length + 11.8 * share - 15.59,
        **{name: getattr(textstat, name)(text) for name in list(FORMULAS)[2:]},
    }
    return {name: round(float(value), 2) for name, value in values.items()}


def measure(source: str, text: str) -> Readability:
    """Return the formulas of an input and of what was made of it.

    Raises:
        RestoreError: textstat is not installed.
    """
    return Readability(formulas(source), formulas(text))

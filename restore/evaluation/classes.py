"""Classes of function words, so that scores can tell a lost "not" from a lost "the".

The table is `word_classes.json` beside this module; it says where its classes come from.

>>> word_class("the"), word_class("don't"), word_class("very")
('determiner', 'negation', 'other')
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

TABLE = "word_classes.json"
OTHER = "other"
WORD_CLASSES = ("determiner", "preposition", "pronoun", "auxiliary", "conjunction", "negation", OTHER)

# Classes whose words, when capitalised, open a sentence rather than name someone: see `reading`.
_OPENING = frozenset(("determiner", "preposition", "pronoun", "conjunction"))


@lru_cache(maxsize=1)
def _table() -> Mapping[str, str]:
    classes = json.loads(files(__package__).joinpath(TABLE).read_text(encoding="utf-8"))["classes"]
    return {word: name for name, words in classes.items() for word in words}


def word_class(word: str) -> str:
    """Return the class of a lower-case word, its apostrophe straight."""
    return _table().get(word, OTHER)


def opens_sentence(word: str) -> bool:
    """Tell whether a word is capitalised though it is no name, so that it must stand at a sentence's start.

    >>> opens_sentence("The"), opens_sentence("the"), opens_sentence("I"), opens_sentence("Department")
    (True, False, False, False)
    """
    return word != "I" and word[:1].isupper() and word_class(word.lower()) in _OPENING

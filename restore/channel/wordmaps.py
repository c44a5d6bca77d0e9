"""Word maps: what a channel turns each kept token into, and the way back.

A word map is a pure function from token to token. Its inverse is a search: `candidates(token)` yields
strings that the map may take to `token`, and the caller keeps those that it does. The inverse over real words
comes from the lexicon (see `restore.lexicon`); the search here serves the tokens that no real word explains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from restore.channel.wordnet import morphology
from restore.errors import ChannelError


@dataclass(frozen=True)
class WordMap:
    """A named map over tokens, with a generator of candidates for its inverse."""

    name: str
    apply: Callable[[str], str]
    candidates: Callable[[str], Iterator[str]]


def _identity(token: str) -> str:
    return token


def _itself(token: str) -> Iterator[str]:
    yield token


def _wordnet_noun() -> WordMap:
    noun = morphology("n")
    return WordMap("wordnet-noun", noun.lemmatize, noun.unlemmatize)


def _wordnet_nvar() -> WordMap:
    parts = [morphology(part) for part in "nvar"]

    def apply(token: str) -> str:
        for part in parts:
            if (lemma := part.lemmatize(token)) != token:
                return lemma
        return token

    def candidates(token: str) -> Iterator[str]:
        for part in parts:
            yield from part.unlemmatize(token)

    return WordMap("wordnet-nvar", apply, candidates)


# What the Porter and Snowball steps take off or put on, as (ending of the word, what remains of it): the steps'
# own rules (https://tartarus.org/martin/PorterStemmer/def.txt, https://snowballstem.org/algorithms/english/stemmer.html),
# read backwards. A stem is the work of the last step that changed it, so one rule, or one after a plural, undoes it.
_ENDINGS: tuple[tuple[str, str], ...] = (
    ("", ""), ("e", ""), ("s", ""), ("y", "i"), ("es", ""), ("ies", "i"), ("sses", "ss"),
    ("ed", ""), ("ing", ""), ("eed", "ee"), ("ed", "e"), ("ing", "e"), ("ied", "i"), ("ies", "ie"), ("ied", "ie"),
    ("al", ""), ("ance", ""), ("ence", ""), ("er", ""), ("ic", ""), ("able", ""), ("ible", ""), ("ant", ""),
    ("ement", ""), ("ment", ""), ("ent", ""), ("ion", ""), ("ou", ""), ("ism", ""), ("ate", ""), ("iti", ""),
    ("ous", ""), ("ive", ""), ("ize", ""), ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"),
    ("izer", "ize"), ("bli", "ble"), ("abli", "able"), ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous"),
    ("ization", "ize"), ("ation", "ate"), ("ator", "ate"), ("alism", "al"), ("iveness", "ive"), ("fulness", "ful"),
    ("ousness", "ous"), ("aliti", "al"), ("iviti", "ive"), ("biliti", "ble"), ("logi", "log"), ("icate", "ic"),
    ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", ""), ("ousness", ""),
    ("iveness", ""), ("fulness", ""), ("alism", ""), ("alize", ""), ("ality", ""), ("ization", ""), ("ation", ""),
    ("ational", ""), ("lessli", "less"), ("li", ""), ("ly", ""), ("fulli", "ful"), ("ll", "l"), ("'s", ""), ("'", ""),
    ("edly", ""), ("ingly", ""), ("'s'", ""),
)  # fmt: skip


def _unstem(stem: str) -> Iterator[str]:
    once = [stem[: len(stem) - len(rest)] + ending for ending, rest in _ENDINGS if stem.endswith(rest)]
    yield from once
    # Doubled consonants are undone by the stemmers after -ed and -ing ("hopp-ing").
    if stem:
        yield stem + stem[-1] + "ing"
    for word in once:
        for ending, rest in _ENDINGS[1:20]:
            if word.endswith(rest):
                yield word[: len(word) - len(rest)] + ending
    for ending in ("ousness", "iveness", "fulness", "ousli", "ization", "ational"):
        yield stem + ending + "e"


LONGEST_STEMMED = 200
"""Longer tokens are their own stems, in characters: NLTK's stemmers recurse, and take time that grows with the square."""


def _short(stem: Callable[[str], str]) -> Callable[[str], str]:
    return lambda token: stem(token) if len(token) <= LONGEST_STEMMED else token


def _porter() -> WordMap:
    from nltk.stem.porter import PorterStemmer

    return WordMap("porter", _short(PorterStemmer().stem), _unstem)


def _snowball() -> WordMap:
    from nltk.stem.snowball import EnglishStemmer

    return WordMap("snowball", _short(EnglishStemmer().stem), _unstem)


_MAKERS: dict[str, Callable[[], WordMap]] = {
    "none": lambda: WordMap("none", _identity, _itself),
    "wordnet-noun": _wordnet_noun,
    "wordnet-nvar": _wordnet_nvar,
    "porter": _porter,
    "snowball": _snowball,
}

WORD_MAPS = tuple(_MAKERS)


@lru_cache(maxsize=len(_MAKERS))
def word_map(name: str) -> WordMap:
    """Return a word map by name, loading what it needs on first use.

    Raises:
        ChannelError: no map of that name.
        ResourceError: its table is missing or damaged.
    """
    try:
        make = _MAKERS[name]
    except KeyError:
        raise ChannelError(f"word map {name!r} is unknown; choose one of {', '.join(_MAKERS)}") from None
    return make()

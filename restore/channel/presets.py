"""The channels that come with restore, by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from restore.bundle import BAD_FILE, open_bundle, resources_folder
from restore.channel.channel import Channel
from restore.errors import ChannelError, ResourceError

STOP_FORMAT, STOP_VERSION = "restore-stopwords", 1

ASCII = "[A-Za-z0-9]"


@lru_cache(maxsize=8)
def stop_list(name: str) -> frozenset[str]:
    """Return a stop list of `resources/stopwords/` by name, one word a line.

    Raises:
        ResourceError: it is missing or damaged.
    """
    bundle = open_bundle(resources_folder() / "stopwords", STOP_FORMAT, STOP_VERSION)
    path = bundle.file(f"{name}.txt")
    try:
        return frozenset(path.read_text(encoding="utf-8").split())
    except UnicodeDecodeError as error:
        raise ResourceError(BAD_FILE.format(path=path, why="not UTF-8")) from error


def _nltk() -> Channel:
    return Channel(
        name="nltk",
        about="the usual NLTK recipe: letters and digits, lower case, no stop words, nouns lemmatised",
        characters=ASCII,
        stop_words=stop_list("nltk"),
        map="wordnet-noun",
    )


def _nltk_cased_stop() -> Channel:
    about = "the NLTK recipe, but stop words are dropped before lower-casing, so that capitalised ones stay"
    return replace(_nltk(), name="nltk-cased-stop", about=about, stop_as_written=True)


def _lemma_first() -> Channel:
    about = 'the NLTK recipe, but words are lemmatised before stop words are dropped: "was" stays as "wa"'
    return replace(_nltk(), name="lemma-first", about=about, order="map-drop")


def _transcript() -> Channel:
    return Channel(
        name="transcript",
        about="case and punctuation lost, every word kept, ' and - inside words kept",
        characters=ASCII,
        keep="'-",
    )


def _stemmed() -> Channel:
    return replace(_nltk(), name="stemmed", about="no stop words (NLTK's list), Porter stems", map="porter")


def _snowball() -> Channel:
    return replace(
        _nltk(), name="snowball", about="no stop words (NLTK's list), Snowball (Porter2) stems", map="snowball"
    )


def _wordnet_nvar() -> Channel:
    about = "the NLTK recipe, with the first change that lemmatising as noun, verb, adjective or adverb makes"
    return replace(_nltk(), name="wordnet-nvar", about=about, map="wordnet-nvar")


def _spacy() -> Channel:
    return Channel(
        "spacy", "letters and digits, lower case, spaCy's stop words dropped", ASCII, stop_words=stop_list("spacy")
    )


def _sklearn() -> Channel:
    return Channel(
        name="sklearn",
        about="scikit-learn's CountVectorizer: words of two or more characters, lower case, its stop words dropped",
        characters=r"\w",
        stop_words=stop_list("sklearn"),
        min_length=2,
    )


def _gensim() -> Channel:
    return Channel(
        name="gensim",
        about="gensim's preprocess_string: letters only, no numbers, no word under three letters, its stop words "
        "dropped, Porter stems",
        characters=r"[^\W\d_]",
        stop_words=stop_list("gensim"),
        min_length=3,
        map="porter",
    )


def _unicode() -> Channel:
    about = "the NLTK recipe for letters and digits of any script, accents kept"
    return replace(_nltk(), name="unicode", about=about, characters=r"(?:[^\W_]|[\u0300-\u036f])")


def _lower() -> Channel:
    return Channel("lower", "nothing lost but capitals: pieces between white space, lower case", r"\S")


_MAKERS: tuple[Callable[[], Channel], ...] = (
    _nltk, _nltk_cased_stop, _lemma_first, _transcript, _stemmed, _snowball,
    _wordnet_nvar, _spacy, _sklearn, _gensim, _unicode, _lower,
)  # fmt: skip
_PRESETS: dict[str, Callable[[], Channel]] = {make.__name__[1:].replace("_", "-"): make for make in _MAKERS}


def channel_names() -> tuple[str, ...]:
    """Return the names of the channels that come with restore."""
    return tuple(_PRESETS)


@lru_cache(maxsize=len(_PRESETS))
def _preset(name: str) -> Channel:
    return _PRESETS[name]()


OTHER_NAMES = {"porter": "stemmed", "stem": "stemmed", "wordnet": "nltk", "lemma": "nltk", "asr": "transcript"}
"""What people call a preset who have not read its name."""


def get_channel(channel: str | os.PathLike[str] | Channel) -> Channel:
    """Return a channel by its name, or by the path of a TOML file; a channel is returned as it is.

    Raises:
        ChannelError: no channel of that name.
        ResourceError: its data are missing or damaged.
    """
    if isinstance(channel, Channel):
        return channel
    channel = os.fspath(channel)
    if channel.endswith(".toml"):
        from restore.channel.definition import read_channel

        return read_channel(Path(channel))
    if channel not in _PRESETS:
        name = channel.lower()
        close = [OTHER_NAMES[name]] if name in OTHER_NAMES else get_close_matches(name, _PRESETS, n=1)
        near = "".join(f"did you mean {name}? " for name in close)
        raise ChannelError(f"channel {channel!r} is unknown; {near}choose one of {', '.join(_PRESETS)}, or a .toml file")
    return _preset(channel)

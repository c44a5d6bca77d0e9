"""The channels that come with restore, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from restore.bundle import open_bundle, resources_folder
from restore.channel.channel import Channel
from restore.errors import ChannelError

STOP_FORMAT, STOP_VERSION = "restore-stopwords", 1

ASCII = "[A-Za-z0-9]"


@lru_cache(maxsize=8)
def stop_list(name: str) -> frozenset[str]:
    """Return a stop list of `resources/stopwords/` by name, one word a line.

    Raises:
        ResourceError: it is missing or damaged.
    """
    bundle = open_bundle(resources_folder() / "stopwords", STOP_FORMAT, STOP_VERSION)
    return frozenset(bundle.file(f"{name}.txt").read_text(encoding="utf-8").split())


def _nltk() -> Channel:
    return Channel(
        name="nltk",
        about="the usual NLTK recipe: letters and digits, lower case, no stop words, nouns lemmatised",
        characters=ASCII,
        stop_words=stop_list("nltk"),
        map="wordnet-noun",
    )


def _transcript() -> Channel:
    return Channel(
        name="transcript",
        about="case and punctuation lost, every word kept, ' and - inside words kept",
        characters=ASCII,
        keep="'-",
    )


def _stemmed() -> Channel:
    return Channel(
        name="stemmed",
        about="letters and digits, lower case, no stop words (NLTK's list), Porter stems",
        characters=ASCII,
        stop_words=stop_list("nltk"),
        map="porter",
    )


_PRESETS: dict[str, Callable[[], Channel]] = {"nltk": _nltk, "transcript": _transcript, "stemmed": _stemmed}


def channel_names() -> tuple[str, ...]:
    """Return the names of the channels that come with restore."""
    return tuple(_PRESETS)


@lru_cache(maxsize=len(_PRESETS))
def _preset(name: str) -> Channel:
    return _PRESETS[name]()


def get_channel(channel: str | Channel) -> Channel:
    """Return a channel by its name; a channel is returned as it is.

    Raises:
        ChannelError: no channel of that name.
        ResourceError: its data are missing or damaged.
    """
    if isinstance(channel, Channel):
        return channel
    if channel not in _PRESETS:
        raise ChannelError(f"channel {channel!r} is unknown; choose one of {', '.join(_PRESETS)}")
    return _preset(channel)

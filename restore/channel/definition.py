"""Channels defined by users in a TOML file.

    name = "ours"
    about = "what our old pipeline did"
    characters = "[A-Za-z0-9]"     # one character of a word, as a regular expression
    keep = "-"                     # kept inside words
    lowercase = true
    stop_list = "nltk"             # one of restore's lists, and/or:
    stop_words = ["said", "mr"]
    stop_file = "ours.txt"         # white-space separated, beside the TOML file
    stop_as_written = false
    min_length = 2
    numbers = false
    map = "porter"                 # none, wordnet-noun, wordnet-nvar, porter, snowball
    order = "drop-map"             # or map-drop

Every field may be left out; the defaults are those of `Channel`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from restore.channel.channel import Channel
from restore.channel.presets import stop_list
from restore.errors import ChannelError, ResourceError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_TYPES: dict[str, type] = {
    "name": str, "about": str, "characters": str, "keep": str, "lowercase": bool, "stop_as_written": bool,
    "min_length": int, "numbers": bool, "map": str, "order": str, "stop_list": str, "stop_words": list, "stop_file": str,
}  # fmt: skip


def read_channel(path: Path) -> Channel:
    """Read a channel from a TOML file.

    Raises:
        ChannelError: the file cannot be read, or a field is unknown or of the wrong type; the message names it.
    """
    try:
        fields: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ChannelError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (ValueError, RecursionError) as error:
        raise ChannelError(f"{path}: not TOML ({error}); see the documentation of channels") from error
    for key, value in fields.items():
        if key not in _TYPES:
            raise ChannelError(f"{path}: field {key!r} is unknown; the fields are {', '.join(_TYPES)}")
        if not isinstance(value, _TYPES[key]) or (_TYPES[key] is int and isinstance(value, bool)):
            raise ChannelError(f"{path}: field {key!r} must be of type {_TYPES[key].__name__}")
    stop = _stop_words(path, fields)
    return Channel(**{"name": path.stem, **fields, "stop_words": stop})


def _stop_words(path: Path, fields: dict[str, Any]) -> frozenset[str]:
    stop: set[str] = set()
    words = fields.pop("stop_words", [])
    if not all(isinstance(word, str) for word in words):
        raise ChannelError(f"{path}: field 'stop_words' must be a list of words")
    stop.update(words)
    if (name := fields.pop("stop_list", None)) is not None:
        try:
            stop |= stop_list(name)
        except ResourceError as error:
            raise ChannelError(f"{path}: stop list {name!r} is unknown; take nltk, spacy, sklearn or gensim") from error
    if (file := fields.pop("stop_file", None)) is not None:
        try:
            stop.update((path.parent / file).read_text(encoding="utf-8-sig").split())
        except (OSError, ValueError) as error:
            raise ChannelError(
                f"{path}: stop file {file!r} cannot be read; check its path and that it is UTF-8"
            ) from error
    return frozenset(stop)

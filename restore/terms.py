"""Terms: how the user wants names and words written, whatever the model thinks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from restore.channel import Channel
from restore.errors import InputError

NO_TERMS = "{path}: cannot be read ({why}); give a file of names and words, one a line"
NOT_A_TERM = "term {term!r}: the {channel} channel keeps no word of it, so it cannot be asked for; leave it out"


def read_terms(path: str) -> tuple[str, ...]:
    """Read terms from a file in UTF-8, one a line, as they should be written; blank lines and `#` comments are skipped.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8"
        raise InputError(NO_TERMS.format(path=path, why=why)) from error
    return tuple(line.strip() for line in lines if line.strip() and not line.strip().startswith("#"))


def index_terms(terms: Iterable[str], channel: Channel) -> dict[str, list[tuple[tuple[str, ...], str]]]:
    """Index terms by the first token that the channel makes of them: token to (all tokens, term).

    Raises:
        InputError: the channel keeps nothing of a term.
    """
    index: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for term in terms:
        tokens = tuple(token.text for token in channel.tokens(term))
        if not tokens:
            raise InputError(NOT_A_TERM.format(term=term, channel=channel.name))
        index.setdefault(tokens[0], []).append((tokens, term))
    return index

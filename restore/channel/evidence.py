"""What speaks for a detected channel, in words for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from restore.channel.channel import Channel
from restore.channel.presets import get_channel, stop_list
from restore.channel.sources import LONGEST, Sources
from restore.channel.wordnet import morphology

EXAMPLES = 3
"""Words shown in a statement."""
RIVAL = 0.01
"""The next best preset is named as possible from this probability on."""
TELLING = 10.0
"""How many times likelier a token must be as the map's work than as a word, to be shown."""

_WORK = {
    "wordnet-noun": "WordNet's noun lemmatiser",
    "wordnet-nvar": "WordNet's lemmatiser",
    "porter": "Porter's stemmer",
    "snowball": "the Snowball stemmer",
}
_OUTER = ".,;:!?\"'()[]"


def describe(
    pieces: Sequence[str], channel: Channel | None, others: Mapping[str, float], sources: Sources
) -> tuple[str, ...]:
    """Return what speaks for a preset, or for readable text, and what against it.

    Args:
        pieces: the text, cut at white space.
        channel: what was detected, None for readable text.
        others: the other presets that would have left another text, with their probabilities.
        sources: where words may have come from.
    """
    if not pieces:
        return ("the text has no words",)
    cores = (piece.strip(_OUTER) for piece in pieces)
    words = Counter(core.lower() for core in cores if core.isascii() and core.isalpha() and len(core) <= LONGEST)
    statements = [
        _stop_words(words, channel, len(pieces), sources),
        _marks(pieces),
        _inflection(words, channel, sources),
        _map_work(words, channel, sources) if channel is not None else "",
        _impossible(pieces, channel, sources) if channel is not None else "",
        _rival(words, channel, others, sources),
    ]
    return tuple(statement for statement in statements if statement)


def _stop_words(words: Counter[str], channel: Channel | None, size: int, sources: Sources) -> str:
    tokens = _count(size, "token")
    if channel is None or not channel.stop_words:
        shown, found = "", [word for word in words if word in stop_list("nltk")]
    else:
        found = [word for word in words if word in channel.stop_words]
        if not channel.stop_as_written:
            # A stop word may be what the word map made of another word: "shows".
            found = [word for word in found if not sources.image(channel, word)]
        shown = f" ({_examples(found)})"
    if not found:
        return f"no stop words in {tokens}"
    return f"{_count(sum(words[word] for word in found), 'stop word')} in {tokens}{shown}"


def _marks(pieces: Sequence[str]) -> str:
    capitals = sum(piece != piece.lower() for piece in pieces)
    inside = [piece for piece in pieces if not piece.isalnum() and piece[0].isalnum() and piece[-1].isalnum()]
    outside = sum(not piece.isalnum() for piece in pieces) - len(inside)
    accents = [piece for piece in pieces if not piece.isascii() and any(char.isalpha() for char in piece)]
    parts = [f"{_count(capitals, 'word')} with capitals" if capitals else "no capitals"]
    if outside:
        parts.append(f"{_count(outside, 'word')} with marks")
    elif inside:
        parts.append(f"no marks but those inside words ({_examples(inside)})")
    else:
        parts.append("no marks")
    if accents and not outside:
        parts.append(f"letters beyond ASCII ({_examples(accents)})")
    return ", ".join(parts)


def _inflection(words: Counter[str], channel: Channel | None, sources: Sources) -> str:
    """Say whether nouns are in the plural and verbs inflected, where no stemmer took their endings."""
    if channel is not None and channel.map in ("porter", "snowball"):
        return ""
    noun, verb = morphology("n"), morphology("v")
    singular = plural = 0
    plurals, verbs = [], []
    for word, count in words.items():
        lemma = noun.lemmatize(word)
        if lemma != word and len(word) > 3 and not sources.words("wordnet-noun", word):
            plural += count
            plurals.append(word)
        elif lemma == word and word in noun.lemmas and len(sources.words("wordnet-noun", word)) > 1:
            singular += count
        if lemma == word != verb.lemmatize(word) and len(word) > 3 and not sources.words("wordnet-nvar", word):
            verbs.append(word)
    parts = []
    if plurals:
        parts.append(f"{_count(plural, 'noun')} in the plural ({_examples(plurals)})")
    elif singular > 1:
        parts.append(f"{singular:,} nouns, all singular")
    if verbs:
        parts.append(f"inflected verbs ({_examples(verbs)})")
    elif singular > 1:
        parts.append("no inflected verbs")
    return ", ".join(parts)


def _map_work(words: Counter[str], channel: Channel, sources: Sources) -> str:
    """Name tokens that are likelier the word map's work than words: `wa`, from "was"."""
    told: list[tuple[float, str, str]] = []
    for token in words:
        made = {word: share for word, share in sources.words(channel.map, token).items() if word != token}
        ratio = sources.image(channel, token) / sources.share(token)
        if made and ratio > TELLING:
            told.append((-ratio, token, max(made, key=made.__getitem__)))
    if not told:
        return ""
    shown = ", ".join(f'`{token}` from "{word}"' for _, token, word in sorted(told)[:EXAMPLES])
    rest = f" and {len(told) - EXAMPLES:,} more" if len(told) > EXAMPLES else ""
    return f"{shown}{rest}: {_WORK[channel.map]}"


def _impossible(pieces: Sequence[str], channel: Channel, sources: Sources) -> str:
    """Name what the preset cannot have left, other than stop words: damage, or the work of another channel."""
    count = Counter(pieces)
    odd = [piece for piece in count if piece not in channel.stop_words and not _may_leave(channel, piece, sources)]
    if not odd:
        return ""
    return (
        f"against it: {_count(sum(count[piece] for piece in odd), 'token')} that it does not leave ({_examples(odd)})"
    )


def _may_leave(channel: Channel, piece: str, sources: Sources) -> bool:
    if not channel.is_word(piece) or (channel.lowercase and piece != piece.lower()):
        return False
    if len(piece) > LONGEST:
        return True
    if piece.isascii() and piece.isalpha():
        return sources.image(channel, piece) > 0
    return channel.image(piece) is not None


def _rival(words: Counter[str], channel: Channel | None, others: Mapping[str, float], sources: Sources) -> str:
    """Name the next best preset, and the tokens that it does not leave."""
    if not others:
        return ""
    other = max(others, key=others.__getitem__)
    rival = get_channel(other)
    odd = [
        word
        for word in words
        if not sources.image(rival, word) and (channel is None or sources.image(channel, word) > 0)
    ]
    if others[other] >= RIVAL:
        against = f", though that does not leave {_examples(odd)}" if odd else ""
        return f"{other} is possible too ({others[other]:.0%}){against}"
    return f"{other} does not leave {_examples(odd)}" if odd else ""


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _examples(words: Iterable[str]) -> str:
    distinct = [word if len(word) <= LONGEST else word[:LONGEST] + "..." for word in dict.fromkeys(words)]
    return ", ".join(distinct[:EXAMPLES]) + (", ..." if len(distinct) > EXAMPLES else "")

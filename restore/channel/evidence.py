"""What speaks for a detected channel, in words for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from restore.channel.channel import Channel
from restore.channel.presets import get_channel, stop_list
from restore.channel.sources import Sources
from restore.channel.wordnet import morphology

EXAMPLES = 3
"""Words shown for a statement."""
RIVAL = 0.01
"""Other presets are named from this probability on."""
TELLING = 10.0
"""How many times likelier a token must be as the map's work than as a word, to be shown."""

_WORK = {
    "wordnet-noun": "WordNet's noun lemmatiser",
    "wordnet-nvar": "WordNet's lemmatiser",
    "porter": "Porter's stemmer",
    "snowball": "the Snowball stemmer",
}


def describe(pieces: Sequence[str], name: str, scores: Mapping[str, float], sources: Sources) -> tuple[str, ...]:
    """Return what speaks for a preset, or for readable text, and what against it.

    Args:
        pieces: the text, cut at white space.
        name: what was detected.
        scores: the probability of each preset.
        sources: where words may have come from.
    """
    if not pieces:
        return ("the text has no words",)
    channel = None if name not in scores or name == "readable" else get_channel(name)
    words = Counter(piece.lower() for piece in map(_core, pieces) if piece.isascii() and piece.isalpha())
    statements = [_stop_words(words, channel, len(pieces)), _marks(pieces), _inflection(words, channel, sources)]
    if channel is not None:
        statements += [_map_work(words, channel, sources), _impossible(pieces, channel, sources)]
    statements.append(_rivals(words, name, scores, sources))
    return tuple(statement for statement in statements if statement)


def _core(piece: str) -> str:
    return piece.strip(".,;:!?\"'()[]")


def _stop_words(words: Counter[str], channel: Channel | None, size: int) -> str:
    stop = channel.stop_words if channel is not None and channel.stop_words else stop_list("nltk")
    found = {word: count for word, count in words.items() if word in stop}
    count = sum(found.values())
    tokens = f"{size:,} token{'s' if size != 1 else ''}"
    if not count:
        return f"no stop words in {tokens}"
    shown = f" ({', '.join(list(found)[:EXAMPLES])})" if count <= 20 and channel is not None and channel.stop_words else ""
    return f"{count:,} stop word{'s' if count != 1 else ''} in {tokens}{shown}"


def _marks(pieces: Sequence[str]) -> str:
    capitals = sum(piece != piece.lower() for piece in pieces)
    inside = [piece for piece in pieces if not piece.isalnum() and piece[0].isalnum() and piece[-1].isalnum()]
    outside = sum(not piece.isalnum() for piece in pieces) - len(inside)
    accents = [piece for piece in pieces if not piece.isascii() and any(char.isalpha() for char in piece)]
    parts = [f"{capitals:,} words with capitals" if capitals else "no capitals"]
    if outside:
        parts.append(f"{outside:,} words with marks")
    elif inside:
        parts.append(f"no marks but those inside words ({_examples(inside)})")
    else:
        parts.append("no marks")
    if accents and not outside:
        parts.append(f"letters beyond ASCII ({_examples(accents)})")
    return ", ".join(parts)


def _inflection(words: Counter[str], channel: Channel | None, sources: Sources) -> str:
    """Say whether nouns are in the plural and verbs inflected, as far as no stemmer took their endings."""
    if channel is not None and channel.map in ("porter", "snowball"):
        return ""
    noun, verb = morphology("n"), morphology("v")
    singular = sum(
        count
        for word, count in words.items()
        if word in noun.lemmas and len(sources.words("wordnet-noun", word)) > 1 and noun.lemmatize(word) == word
    )
    plural = [word for word in words if len(word) > 3 and noun.lemmatize(word) != word]
    verbs = [word for word in words if len(word) > 3 and noun.lemmatize(word) == word != verb.lemmatize(word)]
    parts = []
    if plural:
        count = sum(words[word] for word in plural)
        parts.append(f"{count:,} noun{'s' if count != 1 else ''} in the plural ({_examples(plural)})")
    elif singular > 1:
        parts.append(f"{singular:,} nouns, all singular")
    if verbs:
        parts.append(f"inflected verbs ({_examples(verbs)})")
    elif singular > 1:
        parts.append("no inflected verbs")
    return ", ".join(parts)


def _map_work(words: Counter[str], channel: Channel, sources: Sources) -> str:
    """Name tokens that are likelier the word map's work than words: `wa`, from "was"."""
    told = []
    for token in words:
        made = {word: share for word, share in sources.words(channel.map, token).items() if word != token}
        if made and sources.image(channel, token) > TELLING * sources.share(token):
            told.append((sources.image(channel, token) / sources.share(token), token, max(made, key=made.__getitem__)))
    if not told:
        return ""
    told.sort(key=lambda row: -row[0])
    shown = ", ".join(f'`{token}` from "{word}"' for _, token, word in told[:EXAMPLES])
    more = len(told) - EXAMPLES
    rest = f" and {more:,} more" if more > 0 else ""
    return f"{shown}{rest}: the work of {_WORK.get(channel.map, channel.map)}"


def _impossible(pieces: Sequence[str], channel: Channel, sources: Sources) -> str:
    """Name what the preset cannot have left, which is damage or tells of another channel."""
    odd = [piece for piece in dict.fromkeys(pieces) if not _may_leave(channel, piece, sources)]
    if not odd:
        return ""
    count = sum(piece in set(odd) for piece in pieces)
    return f"against it: {count:,} token{'s' if count != 1 else ''} that it does not leave ({_examples(odd)})"


def _may_leave(channel: Channel, piece: str, sources: Sources) -> bool:
    if channel.word.fullmatch(piece) is None or (channel.lowercase and piece != piece.lower()):
        return False
    if piece.isascii() and piece.isalpha():
        return sources.image(channel, piece) > 0
    return channel.image(piece) is not None


def _rivals(words: Counter[str], name: str, scores: Mapping[str, float], sources: Sources) -> str:
    """Name the next best preset, with the tokens it could not have left."""
    others = [(score, other) for other, score in scores.items() if other not in (name, "readable")]
    score, rival = max(others, default=(0.0, ""))
    if score < RIVAL:
        return ""
    channel = get_channel(rival)
    odd = [word for word in words if not sources.image(channel, word)]
    why = f", which does not leave {_examples(odd)}" if odd else ""
    return f"it may be {rival} as well ({score:.0%}){why}"


def _examples(words: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(words))
    return ", ".join(distinct[:EXAMPLES]) + (", ..." if len(distinct) > EXAMPLES else "")

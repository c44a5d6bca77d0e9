"""Training windows: what a channel leaves of a text, paired with the text itself."""

from __future__ import annotations

import os
import random
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Any

from restore.channel import Channel, Token, get_channel
from restore.errors import RestoreError
from restore.training.documents import read_documents, stem
from restore.training.people import PRONOUN, exchanged

CHANNEL_SHARES: Mapping[str, float] = {"nltk": 0.8, "transcript": 0.1, "stemmed": 0.1}

SOURCE_WEIGHTS: Mapping[str, float] = {
    "wikinews-2019-20": 6,
    "gum": 5,
    "wikipedia-wtf": 4,
    "wikipedia-xquad": 4,
    "wikipedia-gensim": 4,
    "onrr": 2,
    "18f": 2,
    "cdc-mmwr-supplements": 2.5,
    "fed-board": 2.5,
    "digitalgov": 2,
    "whitehouse-2017": 1,
    "turing-way": 0.5,
    "opensource-guide": 0.5,
    "opensource.com": 0.5,
    "carpentries": 0.3,
    "fedora-magazine": 0.5,
    "presidential-speeches": 0.6,
    "state-union": 0.6,
    "ropensci": 0.3,
    "rust-blog": 0.3,
    "un-general-debate": 0.4,
}
"""How much oftener than its length a source is drawn from: news and reference first, speeches and technology last, but none so
often that it is learnt by heart. (Drawn 30 times, the news that was trained on came to cost 0.40 nats a piece, other 0.96.)"""

MOST_DRAWS = 1_000
"""Documents in a row of which a channel keeps too little, after which nothing is expected of the text."""
NOTHING_KEPT = "training: the channels keep hardly a word of the text; is it English?"

_SENTENCE_END = re.compile(r"[.!?][\"')\]]*(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Window:
    r"""One training example: `source`, then `prefix` (given in decoding), then `target`.

    The model reads and writes one sequence of pieces, and the decoder relies on its form:

        <|im_start|> encode(" " + source) <|im_end|> encode(prefix) encode(target) <|endoftext|>

    The pieces before <|im_end|> see each other both ways, all others only what is before them. `source` is the kept tokens of the
    whole window, separated by single spaces. `prefix + target` is the original text from just after the kept token before the
    window (from the first character, where the window opens the document), so it begins with a space or a mark when the text
    does there. A paragraph break is one "\n".

    - The *prefix* ends with the last of the window's first few kept tokens: in decoding it is the text restored so
      far. It is often empty. In training it is learnt like the target, of which only its encoding keeps it apart.
    - The target ends with a kept token, without the marks that follow it; but a window that ends where a document
      or (often) a sentence ends has the closing words and marks too.
    - When the source goes on beyond the target (*lookahead*), `closed` is false and the sequence has no <|endoftext|>.

    `places` are where the first tokens of the source stand in `prefix + target`, in characters; there are none where the
    source is damaged, as its tokens are not those of the text then.
    """

    source: str
    prefix: str
    target: str
    closed: bool
    channel: str = ""
    places: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """How windows are cut, in kept tokens and in shares of all windows.

    Attributes:
        body: fewest and most kept tokens that carry loss.
        short, short_share: the same for short inputs, and how many there are.
        prefix, prefix_share: kept tokens of a given prefix.
        lookahead, lookahead_share: kept tokens of the source beyond the target.
        opening_share: windows that begin with their document, beyond those that do so by chance.
        sentence_share: windows without lookahead that are moved to end with a sentence.
        damage_share: windows whose source is damaged as real input is.
    """

    body: tuple[int, int] = (30, 130)
    short: tuple[int, int] = (3, 30)
    short_share: float = 0.04
    prefix: tuple[int, int] = (20, 40)
    prefix_share: float = 0.4
    lookahead: tuple[int, int] = (10, 30)
    lookahead_share: float = 0.45
    opening_share: float = 0.08
    sentence_share: float = 0.5
    damage_share: float = 0.04


def source_name(path: Path) -> str:
    """Return the name of the source that a corpus file is a part of.

    >>> source_name(Path("train/un-general-debate-00.txt.xz"))
    'un-general-debate'
    """
    name = stem(path)
    return name if name in SOURCE_WEIGHTS else re.sub(r"-\d\d$", "", name)


def _clean_cuts(text: str, tokens: Sequence[Token]) -> list[int]:
    """Return the token numbers at which a window may begin or end: 0, and where no letter follows the token before."""
    return [0, *(n for n, token in enumerate(tokens, 1) if not text[token.end : token.end + 1].isalnum())]


def _draw(chance: random.Random, span: tuple[int, int]) -> int:
    return chance.randint(*span)


def cut_window(text: str, tokens: Sequence[Token], shape: Shape, chance: random.Random) -> Window | None:
    """Cut one window out of a document.

    Args:
        text: the document.
        tokens: what the channel keeps of it.
        shape: how windows are cut.
        chance: where all the choices come from.

    Returns:
        The window, its source undamaged; None if the channel keeps nothing.
    """
    if not tokens:
        return None
    cuts = _clean_cuts(text, tokens)
    last = cuts[-1]

    def near(token: int) -> int:
        return cuts[min(bisect_left(cuts, token), len(cuts) - 1)]

    size = _draw(chance, shape.short if chance.random() < shape.short_share else shape.body)
    given = _draw(chance, shape.prefix) if chance.random() < shape.prefix_share else 0
    ahead = _draw(chance, shape.lookahead) if chance.random() < shape.lookahead_share else 0
    opening = chance.random() < shape.opening_share
    # Starts before the document are moved to its start, so that its first words are seen as often as others.
    start = 0 if opening else near(max(0, chance.randint(-size // 2, max(0, last - size // 2))))
    begin = near(start + given) if given else start
    if begin >= last:
        start = begin = 0
    end = max(near(min(begin + size, last)), near(begin + 1))
    over = near(min(end + ahead, last)) if ahead and end < last else end
    tail = ""
    if over == end:
        if end == last or chance.random() < shape.sentence_share:
            end, tail = _sentence_end(text, tokens, cuts, begin, end)
        over = end
    left = tokens[start - 1].end if start else 0
    middle = tokens[begin - 1].end if begin > start else left
    right = tokens[end - 1].end
    return Window(
        source=" ".join(token.text for token in tokens[start:over]),
        prefix=text[left:middle],
        target=text[middle:right] + tail,
        closed=over == end,
        places=tuple((token.start - left, token.end - left) for token in tokens[start:end]),
    )


def _sentence_end(text: str, tokens: Sequence[Token], cuts: Sequence[int], begin: int, end: int) -> tuple[int, str]:
    """Return the last cut up to `end` whose gap ends a sentence, and the text up to there; else `end` itself and ""."""
    if end == len(tokens):
        return end, text[tokens[-1].end :]
    for cut in reversed(cuts[bisect_left(cuts, begin + 1) : bisect_left(cuts, end) + 1]):
        left = tokens[cut - 1].end
        found = _SENTENCE_END.search(text, left, tokens[cut].start)
        if found and cut > begin + (end - begin) // 2:
            return cut, text[left : found.end()]
    return end, ""


def damage(source: Sequence[str], stop_words: Sequence[str], chance: random.Random) -> list[str]:
    """Return the source with one or two faults of real input: glued, repeated, missing or surviving words."""
    words = list(source)
    for _ in range(chance.randint(1, 2)):
        if len(words) < 3:
            break
        at = chance.randrange(1, len(words) - 1)
        fault = chance.choice(("glue", "glue", "repeat", "miss", "survive"))
        if fault == "glue":
            words[at - 1 : at + 1] = [words[at - 1] + words[at]]
        elif fault == "repeat":
            words.insert(at, words[at])
        elif fault == "miss":
            del words[at]
        elif stop_words:
            words.insert(at, chance.choice(stop_words))
    return words


@dataclass(frozen=True)
class WindowSource:
    """An endless, random-access row of windows: window n is a function of the seed and n alone.

    So a run resumes from a number, and two runs with one seed see the same windows.

    Attributes:
        documents: the documents of each source, by its name.
        channels: the channels and their shares of the windows.
        weights: how much oftener than its length a source is drawn from; 1 for a source not named.
        shape: how windows are cut.
        seed: what the windows depend on.
        exchange: the share of drawn documents in which women and men are in each other's place (`restore.training.people`).
        persons: the share of windows whose document is drawn by how often it says "he" or "she".
    """

    documents: Mapping[str, Sequence[str]]
    channels: Mapping[str, float] = field(default_factory=lambda: dict(CHANNEL_SHARES))
    weights: Mapping[str, float] = field(default_factory=lambda: dict(SOURCE_WEIGHTS))
    shape: Shape = Shape()
    seed: int = 0
    exchange: float = 0.0
    persons: float = 0.0

    def __post_init__(self) -> None:
        if not any(text for texts in self.documents.values() for text in texts):
            raise RestoreError("training: the corpus files hold no documents")
        if not self.channels or min(self.channels.values()) < 0 or not sum(self.channels.values()):
            raise RestoreError(f"training: channel shares {dict(self.channels)} must be positive")
        names = sorted(self.documents)
        totals = {name: list(accumulate(map(len, self.documents[name]))) for name in names}
        shares = [self.weights.get(name, 1.0) * (totals[name][-1] if totals[name] else 0) for name in names]
        stripped = {name: get_channel(name) for name in self.channels}
        object.__setattr__(self, "_names", names)
        object.__setattr__(self, "_totals", totals)
        object.__setattr__(self, "_shares", shares)
        object.__setattr__(self, "_channels", stripped)
        object.__setattr__(self, "_stop_words", {name: sorted(c.stop_words) for name, c in stripped.items()})
        object.__setattr__(self, "_tokens", lru_cache(maxsize=64)(self._document_tokens))

    _names: list[str] = field(init=False, repr=False, compare=False)
    _totals: dict[str, list[int]] = field(init=False, repr=False, compare=False)
    _shares: list[float] = field(init=False, repr=False, compare=False)
    _channels: dict[str, Channel] = field(init=False, repr=False, compare=False)
    _stop_words: dict[str, list[str]] = field(init=False, repr=False, compare=False)
    _tokens: Callable[[str, str, int], list[Token]] = field(init=False, repr=False, compare=False)

    def _document_tokens(self, channel: str, source: str, number: int) -> list[Token]:
        return self._channels[channel].tokens(self.documents[source][number])

    def document(self, chance: random.Random) -> tuple[str, str, list[Token]]:
        """Draw a document; return the name of a channel, the document, and what the channel keeps of it."""
        return self._drawn(chance, self._shares, self._totals)

    def person(self, chance: random.Random) -> tuple[str, str, list[Token], int]:
        """Draw a document by what it says of persons, and a place where it says "he" or "she".

        Returns:
            The name of a channel, the document, what the channel keeps of it, and how many of these are before the place.
        """
        shares, totals = self._pronouns
        channel, text, tokens = self._drawn(chance, shares, totals)
        places = [match.start() for match in PRONOUN.finditer(text)]
        return channel, text, tokens, bisect_left(tokens, chance.choice(places or [0]), key=lambda token: token.start)

    def _drawn(
        self, chance: random.Random, shares: Sequence[float], totals: Mapping[str, Sequence[int]]
    ) -> tuple[str, str, list[Token]]:
        channel = chance.choices(list(self.channels), list(self.channels.values()))[0]
        source = chance.choices(self._names, shares)[0]
        within = totals[source]
        which = min(bisect_left(within, chance.random() * within[-1]), len(within) - 1)
        if self.exchange and chance.random() < self.exchange:
            text = exchanged(self.documents[source][which])
            return channel, text, self._channels[channel].tokens(text)
        return channel, self.documents[source][which], self._tokens(channel, source, which)

    @cached_property
    def _pronouns(self) -> tuple[list[float], dict[str, list[int]]]:
        """For each source its share of the pronouns, and how many its documents have, added up."""
        counts = {name: [sum(1 for _ in PRONOUN.finditer(text)) for text in self.documents[name]] for name in self._names}
        totals = {name: list(accumulate(found)) for name, found in counts.items()}
        shares = [self.weights.get(name, 1.0) * (totals[name][-1] if totals[name] else 0) for name in self._names]
        return (shares, totals) if any(shares) else (self._shares, self._totals)

    def window(self, number: int) -> Window:
        """Return window `number`.

        Raises:
            RestoreError: the channels keep nothing of the documents.
        """
        chance = random.Random(f"{self.seed}:{number}")
        for _ in range(MOST_DRAWS):
            of_persons = self.persons and chance.random() < self.persons
            channel, text, tokens = self._drawn(chance, *self._pronouns) if of_persons else self.document(chance)
            window = cut_window(text, tokens, self.shape, chance)
            if window is None:
                continue
            if chance.random() < self.shape.damage_share:
                words = damage(window.source.split(" "), self._stop_words[channel], chance)
                window = replace(window, source=" ".join(words), places=())
            return replace(window, channel=channel)
        raise RestoreError(NOTHING_KEPT)


def sampled_gaps(source: WindowSource, chance: random.Random, documents: int) -> Iterator[tuple[str, Token, str]]:
    """Yield gaps of training text, up to 120 in a row of each document.

    Args:
        source: what the documents are drawn from.
        chance: where all draws come from.
        documents: how many to draw.

    Yields:
        The text of the gap before a token, the token, and its form.
    """
    for _ in range(documents):
        _, text, tokens = source.document(chance)
        start = chance.randint(0, max(0, len(tokens) - 120))
        for place in range(max(1, start), min(len(tokens), start + 120)):
            token = tokens[place]
            yield text[tokens[place - 1].end : token.start], token, text[token.start : token.end]


def read_sources(files: Sequence[Path]) -> dict[str, list[str]]:
    """Return the documents of corpus files by the name of their source, in the order of the files."""
    documents = dict[str, list[str]]()
    for path in files:
        documents.setdefault(source_name(path), []).extend(read_documents(path))
    return documents


def check_weights(weights: Mapping[str, float] | None, documents: Mapping[str, Sequence[str]]) -> None:
    """Check that weights name sources that are there.

    Raises:
        RestoreError: one does not.
    """
    if unknown := sorted(set(weights or ()) - set(documents)):
        raise RestoreError(f"training: --weight {', '.join(unknown)}: the sources are {', '.join(sorted(documents))}")


def open_source(
    files: Sequence[str | os.PathLike[str]],
    *,
    channels: Mapping[str, float] | None = None,
    weights: Mapping[str, float] | None = None,
    seed: int = 0,
    shape: Shape | None = None,
    exchange: float = 0.0,
    persons: float = 0.0,
) -> WindowSource:
    """Return the windows of corpus files.

    Args:
        files: the files.
        channels: the channels that strip, and their shares; the usual ones if not given.
        weights: how much oftener than its length each source is drawn from, 1 for one not named; the usual ones if not given.
        seed: what the windows depend on.
        shape: how windows are cut.
        exchange: the share of drawn documents in which women and men change places.
        persons: the share of windows whose document is drawn by how often it says "he" or "she".

    Raises:
        InputError: a file cannot be read.
        RestoreError: a weight names no source that is there, or there is no text.
    """
    documents = read_sources([Path(path) for path in files])
    check_weights(weights, documents)
    return WindowSource(
        documents,
        channels=dict(channels or CHANNEL_SHARES),
        weights=dict(SOURCE_WEIGHTS if weights is None else weights),
        shape=shape or Shape(),
        seed=seed,
        exchange=exchange,
        persons=persons,
    )


def facts_of(source: WindowSource) -> dict[str, Any]:
    """Return what tells one source of windows from another, as plain data."""
    digest = sha256()
    for name, texts in sorted(source.documents.items()):
        for text in (name, *texts):
            digest.update(text.encode() + b"\0")
    shares = {name: source.weights.get(name, 1.0) for name in source.documents}
    who = {"exchange": source.exchange, "persons": source.persons}
    return {"text": digest.hexdigest(), "channels": dict(source.channels), "weights": shares, **who}


def held_out_windows(path: Path, count: int, channel: str = "nltk", seed: int = 0) -> list[Window]:
    """Return windows of the odd-numbered documents of a file, spread over them evenly.

    They have no given prefix and no damage; their shape is fixed, so that losses of different runs compare.
    """
    documents = list(read_documents(path))[::2]
    shape = Shape(body=(40, 70), short_share=0, prefix_share=0, lookahead_share=0.5, damage_share=0)
    tokens = [get_channel(channel).tokens(text) for text in documents]
    return list(_spread(documents, tokens, shape, count, seed))


def _spread(
    documents: Sequence[str], tokens: Sequence[list[Token]], shape: Shape, count: int, seed: int
) -> Iterator[Window]:
    for number in range(count if any(tokens) else 0):
        which = number * len(documents) // count
        window = cut_window(documents[which], tokens[which], shape, random.Random(f"{seed}:{number}"))
        if window:
            yield window

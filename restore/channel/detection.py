"""Detection: which channel a text went through, told from the text alone.

Each piece of the text between white space leaves *traces*:

    shape     s:oC       marks around it (o), ' or - inside (k), other marks inside (x), an underscore (_), a capital (C),
                         a letter beyond ASCII (é); digits alone, by how many (1, 2, 3 or more), or among letters (m)
    fit       w:11291111 for a word of ASCII letters: the share of running words that are this word, and the shares that
                         each preset turns into it, against the best of them: none (0), below 2 % (1), 30 % (2), 70 % (3),
                         more (9). `wa` is rare as a word, but often what `lemma-first` makes of "was"
    ending    e:A        whether words end like this and stems do not (A, B), or stems and not words (C, D)

A text is a bag of traces. How often each occurs in texts of a preset is known from stripped training text, with how much
that varies from text to text: counts are negative-binomial. Presets that only a stemmer tells apart (Porter, Snowball)
are told apart in a second step, so that other texts need no stemmer. Beside the presets stand `readable` for text
that was never stripped, and an unknown channel with rates anywhere between theirs, to which goes what fits none.

The bundle `resources/detection/` holds one JSON file, made by `restore.training.detection`:

    presets   names, in the order of the lists below
    all       {trace: [[occurrences in 1,000 pieces, by preset], [spread, by preset]]}; the spread is the variance of the
              rate over texts of 150 pieces, divided by the square of its mean
    stems     the same for the stemmed presets alone, with their names
    endings   {class: endings of two and three letters}
    same      {preset: {other: how often a text of the other, where both are likely, is what the preset too would have
              made of the original}}
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from restore.bundle import BAD_FILE, open_bundle, resources_folder
from restore.channel.channel import Channel
from restore.channel.evidence import describe
from restore.channel.presets import get_channel
from restore.channel.sources import LONGEST, Sources
from restore.errors import ChannelError, ResourceError
from restore.lexicon import default_lexicon

FORMAT, VERSION = "restore-detection", 1
FILE = "detection.json"

READABLE = "readable"
"""The name of text that was never stripped."""

MAX_PIECES = 1500
"""A text is judged by its first pieces: more would change nothing."""
STEM_MARGIN = 12.0
"""Stemmers are asked unless the stemmed presets are this much less likely than the best, in nats."""
STEMMERS = ("porter", "snowball")
"""The word maps that are stemmers."""
DAMAGE = 0.005
"""Share of pieces that may have any origin: typos, glued words, a heading left in."""
FIRST_CHOICE = {"nltk": 2.0}
"""Presets that are likelier than the others before the text is seen, and by what factor."""
UNKNOWN = 3.0
"""How likely an unknown channel is before the text is seen, beside 1 for a preset."""
UNKNOWN_SPREAD = 2.0
"""The spread of every trace in a text of an unknown channel."""

STEM_PIECES = 300
"""Stems are looked for among the first pieces of a text."""
RARE = -16.0
"""log P below which a word of more than three letters is rare, in nats."""
RARE_SHARE = 0.15
"""Share of rare words from which a text may have been stemmed: stems have a third of them, other texts a thirtieth."""
SURE_OF_STEMS = 0.9
"""Probability from which a text is said to have been stemmed."""

ALIKE = 0.9
"""Presets that so often come to the same, where both are likely, are not named as possible too."""

NONE_FITS = "a channel that restore does not know is likelier than any that it knows"

_CUTS = ((0.0, "0"), (0.02, "1"), (0.3, "2"), (0.7, "3"))
_INNER = re.compile(r"[\w\u0300-\u036f]+")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Detection:
    """What a text was stripped by.

    Attributes:
        name: a preset's name, or `readable` for text that was never stripped.
        probability: that stripping the original by this preset gives this text. The rest is shared by the other presets
            and by channels that restore does not know; where those are likelier, it is near 0.
        evidence: what speaks for it, in words.
        scores: the probability of each preset, and of `readable`, to be the very channel. Presets that differ in
            nothing that shows in this text share them, so `probability` may be more than the best of these.
    """

    name: str
    probability: float
    evidence: tuple[str, ...]
    scores: Mapping[str, float]


def detect_channel(text: str) -> Detection:
    """Tell which channel a text was stripped by.

    >>> detection = detect_channel("he said he didn't know where they had been since the war began in the north")
    >>> detection.name, detection.evidence[0]
    ('transcript', '9 stop words in 16 tokens')

    Args:
        text: a text of any length; 30 tokens are mostly enough. Its first 1,500 pieces are read.

    Returns:
        The most likely preset. For a text without words it is the usual recipe, `nltk`, with a low probability.

    Raises:
        ResourceError: a data file is missing or damaged.
    """
    return default_detector().detect(text)


def detect_stems(text: str) -> tuple[str, float] | None:
    """Tell whether a text was stemmed. If not, that takes no more than looking up its words.

    >>> detect_stems("immigration official routinely deport non citizen felony drug conviction advocate shocked week")
    >>> name, probability = detect_stems("citi council vote close three public librari branch despit month protest resid")
    >>> name in ("stemmed", "snowball", "gensim"), round(probability, 2)
    (True, 1.0)

    Args:
        text: a text of any length; its beginning is read.

    Returns:
        None, or the preset that most likely left the stems, and the probability that any of those that stem did.

    Raises:
        ResourceError: a data file is missing or damaged.
    """
    pieces = text[: STEM_PIECES * LONGEST].split()[:STEM_PIECES]
    words = [word for word in (read_piece(piece)[1] for piece in pieces) if len(word) > 3]
    lexicon = default_lexicon()
    rare = sum(all(entry.logprob < RARE for entry in lexicon.variants(word)) for word in words)
    if rare < max(2.0, RARE_SHARE * len(words)):
        return None
    found = detect_channel(" ".join(pieces))
    scores = {name: score for name, score in found.scores.items() if name != READABLE and get_channel(name).map in STEMMERS}
    whole = sum(scores.values())
    return (max(scores, key=scores.__getitem__), min(1.0, whole)) if whole >= SURE_OF_STEMS else None


@lru_cache(maxsize=1)
def default_detector() -> Detector:
    """Return the detector that comes with restore, opened once."""
    return Detector.open(resources_folder() / "detection")


class Tracer:
    """Turns pieces of text into traces. Safe to share between threads.

    Args:
        sources: where words may have come from.
        channels: the presets whose images are looked at.
        endings: the class of each ending; without it, endings leave no traces.
    """

    def __init__(self, sources: Sources, channels: Sequence[Channel], endings: Mapping[str, str] | None) -> None:
        self._sources = sources
        # A channel that neither drops nor maps leaves every word as it is, which is the first share of a fit.
        self._channels = [channel for channel in channels if channel.stop_words or channel.map != "none"]
        self._endings = endings
        self._traces = lru_cache(maxsize=1 << 16)(self._of_piece)

    def count(self, pieces: Iterable[str]) -> Counter[str]:
        """Count the traces of some pieces."""
        traces: Counter[str] = Counter()
        for piece, count in Counter(pieces).items():
            for trace in self._traces(piece):
                traces[trace] += count
        return traces

    def _of_piece(self, piece: str) -> tuple[str, ...]:
        shape, word = read_piece(piece)
        if not word:
            return ("s:" + shape,)
        fit = "w:" + self._fit(word)
        if self._endings is None:
            return ("s:" + shape, fit)
        ending = self._endings.get(word[-3:]) or self._endings.get(word[-2:], "=") if len(word) > 3 else "="
        return ("s:" + shape, fit, "e:" + ending)

    def _fit(self, word: str) -> str:
        shares = [self._sources.share(word), *(self._sources.image(channel, word) for channel in self._channels)]
        best = max(shares)
        return "".join(next((sign for cut, sign in _CUTS if share <= cut * best), "9") for share in shares)


@lru_cache(maxsize=1 << 14)
def read_piece(piece: str) -> tuple[str, str]:
    """Return the shape of a piece, and its word in lower case if it holds one of ASCII letters alone.

    >>> read_piece("Officials,"), read_piece("2014"), read_piece("non-citizens")
    (('oC', 'officials'), ('3', ''), ('k', ''))
    """
    start, end = 0, len(piece)
    while start < end and not piece[start].isalnum():
        start += 1
    while end > start and not piece[end - 1].isalnum():
        end -= 1
    core = piece[start:end]
    if not core:
        return "mark", ""
    inner = _INNER.sub("", core)
    shape = "o" if core != piece else ""
    if inner:
        shape += "x" if inner.strip("'-") else "k"
    if "_" in piece:
        shape += "_"
    if core != core.lower():
        shape += "C"
    if not core.isascii():
        shape += "é"
    if core.isdigit():
        return shape + str(min(3, len(core))), ""
    if any(char.isdigit() for char in core):
        return shape + "m", ""
    word = core.lower()
    return shape, word if word.isascii() and word.isalpha() and len(word) <= LONGEST else ""


class Rates:
    """How often each trace occurs in the texts of some presets, and how likely counts of traces are under each.

    Args:
        traces: by trace, occurrences in 1,000 pieces for each preset, and spreads, as the file has them.
        presets: how many presets there are.
    """

    def __init__(self, traces: Mapping[str, Sequence[Sequence[float]]], presets: int) -> None:
        self._index = {trace: place for place, trace in enumerate(traces)}
        table = np.array(list(traces.values()), dtype=np.float64)
        if table.shape != (len(traces), 2, presets):
            raise ValueError(f"rates and spreads are not of {presets} presets")
        if not ((table[:, 0] >= 0) & (table[:, 0] <= 1000)).all() or not ((table[:, 1] > 1e-6) & (table[:, 1] < 1e6)).all():
            raise ValueError("a rate or a spread is out of range")
        clean = table[:, 0, :].T / 1000
        middle = clean.mean(axis=0)
        self._rate = np.vstack([(1 - DAMAGE) * clean + DAMAGE * middle, middle])
        self._shape = 1 / np.vstack([table[:, 1, :].T, np.full(len(traces), UNKNOWN_SPREAD)])

    def score(self, traces: Mapping[str, int], size: int) -> Floats:
        """Return log P(traces | preset) for each preset and last the unknown channel, in nats, less a constant.

        The negative binomial distribution of each trace's count n, with mean m = rate * size and shape k = 1 / spread:
        P(n) = G(n + k) / (G(k) n!) (m / (m + k))^n (k / (m + k))^k, where G is the gamma function.

        Args:
            traces: counts by trace; traces that no training text had count for nothing.
            size: how many pieces were counted.
        """
        found = [(self._index[trace], count) for trace, count in traces.items() if trace in self._index]
        mean, shape = self._rate * size, self._shape
        total: Floats = (shape * np.log(shape / (mean + shape))).sum(axis=1)
        for place, count in found:
            k, m = shape[:, place], mean[:, place]
            gammas = [math.lgamma(count + one) - math.lgamma(one) for one in k]
            total += count * np.log(m / (m + k)) + gammas
        return total


class Detector:
    """Detects channels. Holds its data; safe to use from several threads.

    Args:
        table: what the bundle's file holds.
        sources: where words may have come from.
    """

    def __init__(self, table: Mapping[str, Any], sources: Sources) -> None:
        self.names: tuple[str, ...] = tuple(table["presets"])
        stems = tuple(table["stems"]["presets"])
        plain = [get_channel(name) for name in self.names if name != READABLE and name not in stems]
        self._sources = sources
        self._tracer = Tracer(
            sources, plain, {end: kind for kind, ends in table["endings"].items() for end in ends.split()}
        )
        self._rates = Rates(table["all"], len(self.names))
        self._stems = [self.names.index(name) for name in stems]
        self._stem_tracer = Tracer(sources, [get_channel(name) for name in stems], None)
        self._stem_rates = Rates(table["stems"]["traces"], len(stems))
        self._prior = np.log([*(FIRST_CHOICE.get(name, 1.0) for name in self.names), UNKNOWN])
        self._same = np.eye(len(self.names))
        for name, others in table["same"].items():
            for other, share in others.items():
                self._same[self.names.index(name), self.names.index(other)] = share

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Detector:
        """Open a detection bundle.

        Raises:
            ResourceError: it is missing, damaged, or of another version.
        """
        path = open_bundle(folder, FORMAT, VERSION).file(FILE)
        try:
            return cls(json.loads(path.read_text(encoding="utf-8")), Sources(default_lexicon()))
        except (ChannelError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
            raise ResourceError(BAD_FILE.format(path=path, why=f"not a sound detection table ({error})")) from error

    def detect(self, text: str) -> Detection:
        """Tell which channel a text was stripped by; see `detect_channel`."""
        # What is remembered of long pieces would fill memory: they are told by how they begin.
        pieces = [piece[: 4 * LONGEST] for piece in text.split(maxsplit=MAX_PIECES)[:MAX_PIECES]]
        scores = self.posterior(pieces)
        # Where two presets are both likely, what tells them apart does not show, and may not have been there.
        right = (self._same * np.minimum.outer(scores, scores)).sum(axis=1)
        best = int(right.argmax())
        name, by_name = self.names[best], dict(zip(self.names, scores.tolist(), strict=True))
        others = {
            other: by_name[other]
            for place, other in enumerate(self.names)
            if other != READABLE and self._same[best, place] < ALIKE
        }
        evidence = describe(pieces, None if name == READABLE else get_channel(name), others, self._sources)
        if scores.sum() < 0.5:
            evidence += (NONE_FITS,)
        return Detection(name, min(1.0, float(right[best])), evidence, by_name)

    def posterior(self, pieces: Sequence[str]) -> Floats:
        """Return the probability of each preset, given the pieces of a text; an unknown channel has the rest."""
        scores = self._rates.score(self._tracer.count(pieces), len(pieces)) + self._prior
        family = _log_sum(scores[self._stems])
        if self._stems and family > scores.max() - STEM_MARGIN:
            within = self._stem_rates.score(self._stem_tracer.count(pieces), len(pieces))[:-1]
            scores[self._stems] = family + within - _log_sum(within)
        shares: Floats = np.exp(scores - _log_sum(scores))[:-1]
        return shares


def _log_sum(values: Floats) -> float:
    top = float(values.max(initial=-np.inf))
    return top + math.log(float(np.exp(values - top).sum())) if math.isfinite(top) else top

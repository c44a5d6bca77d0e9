"""Opinions: what the tagger adds to the scores of hypotheses. `restore.rows` says how it reads a text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np

from restore.channel import Channel
from restore.lattice.forms import MAX_LENGTH, Form
from restore.lattice.gaps import ENDED, Insertion, Place
from restore.rows import STRIDE, Rows
from restore.source import TokenStream
from restore.tags import (
    COMMA,
    NO_WORD,
    OTHER_EDIT,
    OTHER_WORD,
    PRONOUNS,
    Case,
    Floats,
    Mark,
    Tags,
    case_of,
    edit_of,
    mark_of_gap,
    words_of_gap,
)
from restore.units import CLITICS

LEAST_ODDS = -7.0
"""Log-odds, in nats, from which a word is worth remembering."""
_CLITIC = re.compile(rf"(?<=.)(?:{'|'.join(CLITICS)})$")


class Held(NamedTuple):
    """What a gap holds.

    Attributes:
        mark: its mark.
        first, last: its first and its last word, or `NO_WORD`.
        words: how many there are.
        item: the insertion that its last word is, without a clitic after it.
    """

    mark: Mark = Mark.NONE
    first: str = NO_WORD
    last: str = NO_WORD
    words: int = 0
    item: Insertion | None = None


NOTHING = Held()
"""An empty gap."""


class FormTags(NamedTuple):
    """The tags of what a form spells.

    Attributes:
        tokens: the edit and the casing of each token in it.
        gaps: what stands between these.
        mark: the mark that it ends in, which training found in the gap after it.
    """

    tokens: tuple[tuple[str, Case | None], ...]
    gaps: tuple[str, ...]
    mark: Mark


def mark_of(insertion: Insertion) -> Mark:
    """Return the mark that an insertion is."""
    if insertion.kind == "word" or insertion.leads_to is Place.CLITIC:
        return Mark.NONE
    if insertion.kind == "break":
        return Mark.BREAK
    if insertion.kind == "join":
        return Mark.JOIN
    if insertion.leads_to in ENDED:
        return Mark.END
    return Mark.COMMA if COMMA.search(insertion.text) else Mark.OTHER


def word_of(insertion: Insertion, before: str) -> str:
    """Return the last word of a gap once it holds one insertion more, of which a clitic is one with the word before it.

    Args:
        insertion: it.
        before: the last word so far, or `NO_WORD`.
    """
    if insertion.kind != "word":
        return before
    word = insertion.text.strip().lower()
    return before + word if insertion.leads_to is Place.CLITIC else word


def with_insertion(held: Held, insertion: Insertion) -> Held:
    """Return what a gap holds that holds one insertion more."""
    if insertion.kind != "word":
        return held._replace(mark=max(held.mark, mark_of(insertion)))
    word = word_of(insertion, held.last)
    words = held.words + (insertion.leads_to is not Place.CLITIC or not held.words)
    item = insertion if insertion.leads_to is not Place.CLITIC or held.item is None else held.item
    return Held(held.mark, word if words == 1 else held.first, word, words, item)


def read_form(text: str, channel: Channel) -> FormTags:
    """Return the tags of a form, as training reads them off a text: of what the channel keeps of it.

    >>> from restore.channel import get_channel
    >>> read_form("U.S.", get_channel("nltk"))
    FormTags(tokens=(('=', <Case.TITLE: 1>),), gaps=(), mark=<Mark.NONE: 0>)
    """
    tokens = channel.tokens(text)
    tags = [(token.text.lower(), text[token.start : token.end]) for token in tokens]
    return FormTags(
        tuple([(edit_of(token, surface), case_of(surface)) for token, surface in tags]),
        tuple([text[one.end : other.start] for one, other in pairwise(tokens)]),
        mark_of_gap(text[tokens[-1].end :] + " ") if tokens else Mark.NONE,
    )


@dataclass(frozen=True, slots=True)
class Tagged:
    """What the tagger by itself holds of a gap and the token after it: probabilities, given the text on both sides.

    Attributes:
        words: that the gap holds each word, with the space before it, where that is at all likely.
        marks: that its mark is each, by `Mark`.
        empty: that it holds nothing.
        forms: that the token has each form that it was asked about.
    """

    words: Mapping[str, float]
    marks: tuple[float, ...]
    empty: float
    forms: Mapping[str, float]


class Tagger(Protocol):
    """What is asked of a tagger: see `restore.models.tagger`."""

    @property
    def checksum(self) -> str:
        """What names its data in signatures."""

    @property
    def words(self) -> Mapping[str, int]:
        """The columns of the words."""

    @property
    def edits(self) -> Mapping[str, int]:
        """The columns of the edits."""

    def tag(self, tokens: Sequence[str], start: int = 0, stop: int | None = None) -> Tags:
        """Tag tokens, given their neighbours."""


@dataclass(frozen=True, slots=True)
class TagWeights:
    """What a nat of the tagger's opinion is worth beside one of the language model's. Chosen on development text.

    Attributes:
        mark: of a gap's mark.
        first, last, held: of a gap's first and last word, and of each of its words.
        edit, case: of a form's spelling and casing.
        alike: how much what the tagger says of the same words elsewhere counts, from 0 to 1 (see `restore.discourse`).
        women: what is added to the odds that a word speaks of a woman and not of a man, in nats: the tagger learnt from text with
            three men to a woman, and holds back where it does not know.
    """

    mark: float = 0.0
    first: float = 0.0
    last: float = 0.0
    held: float = 0.0
    edit: float = 0.0
    case: float = 0.0
    alike: float = 0.0
    women: float = 0.0


class Adviser:
    """A tagger with all that its opinions rest on. Safe to share between threads.

    Args:
        tagger: says what each gap held, and how each token was spelt.
        weights: what that is worth.
        channel: what stripped the text.
        words: the words that may be inserted, with their log-probabilities, in nats.
    """

    def __init__(self, tagger: Tagger, weights: TagWeights, channel: Channel, words: Mapping[str, float]) -> None:
        self.tagger = tagger
        self.weights = weights
        self._channel = channel
        self._short = lru_cache(maxsize=1 << 15)(self._read)
        self._genders = [[number for word, number in tagger.words.items() if word in PRONOUNS[name]] for name in ("she", "he")]
        others: dict[str, float] = {}
        for word, logprob in words.items():
            if word.lower() not in tagger.words:
                others[word.lower()] = others.get(word.lower(), 0.0) + math.exp(logprob)
        self._others = math.log(sum(others.values())) if others else 0.0

    def tag(self, tokens: Sequence[str], start: int, stop: int) -> Tags:
        """Tag tokens, and weigh women and men of each gap anew; see `TagWeights.women`.

        Args:
            tokens: what the tagger reads.
            start: the first token to tag, by its place in `tokens`.
            stop: the one after the last.
        """
        tags = self.tagger.tag(tokens, start, stop)
        if not self.weights.women or not all(self._genders):
            return tags
        return replace(tags, first=self._weighed(tags.first), last=self._weighed(tags.last))

    def _weighed(self, logprobs: Floats) -> Floats:
        """Return words' log-probabilities with women and men weighed anew, both together being as likely as before."""
        weight, made = self.weights.women, logprobs.copy()
        women, men = (np.logaddexp.reduce(logprobs[:, numbers], axis=1) for numbers in self._genders)
        anew = np.logaddexp(women, men) - np.logaddexp(women + weight, men)
        made[:, self._genders[0]] += (anew + weight)[:, None]
        made[:, self._genders[1]] += anew[:, None]
        return made

    def share(self, item: Insertion) -> float:
        """Return a word's share of all those that have no tag of their own, as a log-probability in nats."""
        return min(0.0, item.logprob - self._others) if item.leads_to is not Place.CLITIC else 0.0

    def read(self, text: str) -> FormTags:
        """Return the tags of a form."""
        return self._short(text) if len(text) <= MAX_LENGTH else self._read(text)

    def after(self, form: Form) -> Held:
        """Return what the gap after a form holds before anything is inserted: the mark that the form ends in."""
        mark = self.read(form.text).mark
        return NOTHING if mark is Mark.NONE else Held(mark)

    def _read(self, text: str) -> FormTags:
        return read_form(text, self._channel)


class Opinion:
    """What the tagger adds to the scores of hypotheses in one gap and at the token after it.

    Nothing inserted counts zero, so an insertion counts as much as it is likelier than nothing: that way it tells at once,
    and not only when its gap is done.
    """

    __slots__ = ("_adviser", "_index", "_place", "_tagging", "_tags")

    def __init__(self, adviser: Adviser, tagging: Tagging, index: int, tags: Tags, place: int) -> None:
        self._adviser = adviser
        self._tagging = tagging
        self._index = index  # of the input token
        self._tags = tags
        self._place = place  # of the input token in these tags

    def insertion(self, item: Insertion, before: Held) -> float:
        """Return what is added for an insertion, in nats.

        Args:
            item: the insertion.
            before: what the gap holds already.
        """
        if item.kind != "word":
            return self._marked(before.mark, max(before.mark, mark_of(item)))
        tags, place, weights, after = self._tags, self._place, self._adviser.weights, with_insertion(before, item)
        added = weights.last * (self._word(tags.last, after.last, after.item) - self._word(tags.last, before.last, before.item))
        if after.words == 1:
            counted = self._word(tags.first, before.first, before.item)
            added += weights.first * (self._word(tags.first, after.first, after.item) - counted)
        if weights.held:
            added += weights.held * float(tags.held[place, self._number(after.last)])
            if after.words == before.words:
                added -= weights.held * float(tags.held[place, self._number(before.last)])
        return added

    def most(self, before: Held) -> float:
        """Return what is added for one insertion at most, whichever it is, in nats.

        Args:
            before: what the gap holds already.
        """
        tags, weights = self._tags, self._adviser.weights
        most = -weights.last * self._word(tags.last, before.last, before.item)
        if before.words <= 1:
            most -= weights.first * self._word(tags.first, before.first, before.item)
        if weights.held:
            most += weights.held * float(tags.held[self._place].max())
            if before.words:
                most += weights.held * max(0.0, -float(tags.held[self._place, self._number(before.last)]))
        if self._index:
            marks = tags.marks[self._place]
            most = max(most, weights.mark * float(marks.max() - marks[before.mark]))
        return max(0.0, most)

    def end_chance(self) -> float:
        """Return how probable it is that a sentence ends in the gap; 0 at a text's start, which training never saw."""
        if not self._index:
            return 0.0
        marks = self._tags.marks[self._place]
        return math.exp(marks[Mark.END]) + math.exp(marks[Mark.BREAK])

    def _number(self, word: str) -> int:
        words = self._adviser.tagger.words
        return words.get(word, words[OTHER_WORD])

    def _word(self, logprobs: Floats, word: str, item: Insertion | None = None) -> float:
        """Return the log-probability of a gap's first or last word; of one without a tag of its own, if it is an insertion."""
        number = self._number(word)
        logprob = float(logprobs[self._place, number])
        if item is not None and number == self._adviser.tagger.words[OTHER_WORD]:
            logprob += self._adviser.share(item)
        return logprob

    def _marked(self, before: Mark, after: Mark) -> float:
        """Return what is added where the mark of the gap changes, in nats."""
        if before is after or not self._index:  # training saw no gap at a text's start
            return 0.0
        marks = self._tags.marks[self._place]
        return self._adviser.weights.mark * float(marks[after] - marks[before])

    def tagged(self, forms: Iterable[str]) -> Tagged:
        """Return what the tagger by itself holds of the gap and the token.

        Args:
            forms: the forms of the token that are asked about.
        """
        tags, place = self._tags, self._place
        marks = tuple(np.exp(tags.marks[place]).tolist())
        empty = math.exp(tags.first[place, self._adviser.tagger.words[NO_WORD]]) * marks[Mark.NONE]
        return Tagged(self._words(), marks, empty, {form: self._spelling(form) for form in forms})

    def _words(self) -> dict[str, float]:
        odds = self._tags.held[self._place]
        found: dict[str, float] = {}
        for name, number in self._adviser.tagger.words.items():
            if odds[number] > LEAST_ODDS and name not in (NO_WORD, OTHER_WORD):
                word = " " + _CLITIC.sub("", name)  # whoever "he's" has, has "he"
                found[word] = found.get(word, 0.0) + 1 / (1 + math.exp(-float(odds[number])))
        return found

    def _spelling(self, text: str) -> float:
        """Return how probable it is that the token, or it and those after it, are spelt and cased as in a form."""
        edits, logprob = self._adviser.tagger.edits, 0.0
        for number, (edit, case) in enumerate(self._adviser.read(text).tokens):
            if number and not self._tagging.has(self._index + number):
                break
            other = self._tagging.at(self._index + number) if number else self
            logprob += other._tags.edits[other._place, edits.get(edit, edits[OTHER_EDIT])]
            logprob += 0.0 if case is None else other._tags.cases[other._place, case]
        return math.exp(logprob)

    def form(self, form: Form, initial: bool) -> float:
        """Return what is added for a form, in nats.

        Args:
            form: it.
            initial: whether it starts a sentence, where its first capital says nothing.
        """
        read = self._adviser.read(form.text)
        if len(read.tokens) != form.span:  # it stands as it is
            return 0.0
        added = self._spelt(*read.tokens[0], initial)
        for number, gap in enumerate(read.gaps, 1):
            inner = self._tagging.at(self._index + number)
            added += inner.gap(gap) + inner._spelt(*read.tokens[number], False)
        if read.mark is not Mark.NONE and self._tagging.has(self._index + form.span):
            added += self._tagging.at(self._index + form.span)._marked(Mark.NONE, read.mark)
        return added

    def gap(self, text: str) -> float:
        """Return what is added for a gap that is known whole, in nats."""
        added = self._marked(Mark.NONE, mark_of_gap(text))
        words = words_of_gap(text)
        if not words:
            return added
        tags, weights = self._tags, self._adviser.weights
        added += weights.first * (self._word(tags.first, words[0]) - self._word(tags.first, NO_WORD))
        return added + weights.last * (self._word(tags.last, words[-1]) - self._word(tags.last, NO_WORD))

    def _spelt(self, edit: str, case: Case | None, initial: bool) -> float:
        """Return what is added for the spelling of the token, in nats."""
        tags, place, weights, edits = self._tags, self._place, self._adviser.weights, self._adviser.tagger.edits
        added = weights.edit * float(tags.edits[place, edits.get(edit, edits[OTHER_EDIT])])
        if case is not None:
            alike = [Case.LOWER, Case.TITLE] if initial and case in (Case.LOWER, Case.TITLE) else [case]
            added += weights.case * float(np.logaddexp.reduce(tags.cases[place, alike]))
        return added


class Tagging:
    """The opinions of a tagger on one text, found as they are asked for and forgotten when they are done with."""

    def __init__(self, adviser: Adviser, tokens: TokenStream) -> None:
        self._adviser = adviser
        self._tokens = tokens
        self._rows = Rows(adviser.tag, tokens, adviser.weights.alike)

    def has(self, index: int) -> bool:
        """Tell whether the text goes on to an input token."""
        return index < self._tokens.upto(index + 1)

    def at(self, index: int) -> Opinion:
        """Return the opinion on an input token and the gap before it."""
        number, place = divmod(index, STRIDE)
        return Opinion(self._adviser, self, index, self._rows[number], place)

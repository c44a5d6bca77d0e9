"""Opinions: what the tagger adds to the scores of hypotheses.

The input is tagged in chunks of a fixed number of tokens, with context on both sides, so that what a text is tagged with depends
on the text alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from restore.lattice.forms import Form
from restore.lattice.gaps import ENDED, Insertion, Place
from restore.source import TokenStream
from restore.tags import COMMA, NO_WORD, OTHER_EDIT, OTHER_WORD, Case, Mark, Tags, case_of, edit_of
from restore.units import CLITICS

CHUNK, CONTEXT = 64, 24
"""Tokens that are tagged at a time, and tokens that are read on either side of them."""
LEAST_ODDS = -7.0
"""Log-odds, in nats, from which a word is worth remembering."""
KEPT = 16
"""Chunks that are kept: windows that are searched in step are some way apart."""

_CLITIC = re.compile(rf"(?<=.)(?:{'|'.join(CLITICS)})$")

NOTHING = (Mark.NONE, NO_WORD)
"""The mark and the last word of an empty gap."""


def mark_of(insertion: Insertion) -> Mark:
    """Return the mark that an insertion is."""
    if insertion.kind == "word":
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


def with_insertion(held: tuple[Mark, str], insertion: Insertion) -> tuple[Mark, str]:
    """Return the mark and the last word of a gap that holds one insertion more."""
    return max(held[0], mark_of(insertion)), word_of(insertion, held[1])


def form_tags(token: str, form: Form) -> tuple[str, Case | None]:
    """Return the edit and the casing of a form of a token."""
    return edit_of(token, form.text), case_of(form.text)


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
    """

    mark: float = 0.0
    first: float = 0.0
    last: float = 0.0
    held: float = 0.0
    edit: float = 0.0
    case: float = 0.0


class Opinion:
    """What the tagger adds to the scores of hypotheses in one gap and at the token after it.

    Nothing inserted counts zero, so an insertion counts as much as it is likelier than nothing: that way it tells at once,
    and not only when its gap is done.
    """

    __slots__ = ("_place", "_tagger", "_tags", "_token", "_weights")

    def __init__(self, tagger: Tagger, tags: Tags, place: int, token: str, weights: TagWeights) -> None:
        self._tagger = tagger
        self._tags = tags
        self._place = place
        self._token = token
        self._weights = weights

    def insertion(self, item: Insertion, before: tuple[Mark, str]) -> float:
        """Return what is added for an insertion, in nats.

        Args:
            item: the insertion.
            before: the mark and the last word of what the gap holds already; see `held_by`.
        """
        tags, place, weights, words = self._tags, self._place, self._weights, self._tagger.words
        mark, word = before
        if item.kind == "word":
            other = words[OTHER_WORD]
            new = words.get(word_of(item, word), other)
            old = words.get(word, other)
            added = weights.last * (tags.last[place, new] - tags.last[place, old])
            if not word:
                added += weights.first * (tags.first[place, new] - tags.first[place, old])
            return float(added + weights.held * tags.held[place, new])
        after = max(mark, mark_of(item))
        return weights.mark * float(tags.marks[place, after] - tags.marks[place, mark])

    def words(self) -> dict[str, float]:
        """Return how probable it is that the gap holds each word, with the space before it, where that is at all likely."""
        odds = self._tags.held[self._place]
        found: dict[str, float] = {}
        for name, number in self._tagger.words.items():
            if odds[number] > LEAST_ODDS and name not in (NO_WORD, OTHER_WORD):
                word = " " + _CLITIC.sub("", name)  # whoever "he's" has, has "he"
                found[word] = found.get(word, 0.0) + 1 / (1 + math.exp(-float(odds[number])))
        return found

    def form(self, form: Form, initial: bool) -> float:
        """Return what is added for a form, in nats.

        Args:
            form: it.
            initial: whether it starts a sentence, where its capital says nothing.
        """
        if form.span > 1:
            return 0.0
        tags, place, weights = self._tags, self._place, self._weights
        edit, case = form_tags(self._token, form)
        number = self._tagger.edits.get(edit, self._tagger.edits[OTHER_EDIT])
        added = weights.edit * float(tags.edits[place, number])
        if case is not None and not initial:
            added += weights.case * float(tags.cases[place, case])
        return added


class Tagging:
    """The opinions of a tagger on one text, found as they are asked for and forgotten when they are done with."""

    def __init__(self, tagger: Tagger, tokens: TokenStream, weights: TagWeights) -> None:
        self._tagger = tagger
        self._tokens = tokens
        self._weights = weights
        self._chunks: dict[int, Tags] = {}

    def at(self, index: int) -> Opinion:
        """Return the opinion on an input token and the gap before it."""
        chunk, place = divmod(index, CHUNK)
        if chunk not in self._chunks:
            self._chunks.pop(chunk - KEPT, None)
            self._chunks[chunk] = self._tagged(chunk * CHUNK)
        token = self._tokens[index]
        return Opinion(self._tagger, self._chunks[chunk], place, token.core.lower(), self._weights)

    def _tagged(self, start: int) -> Tags:
        first = max(self._tokens.first, start - CONTEXT)
        row = self._tokens.row(first, start + CHUNK + CONTEXT)
        texts = [(token.core if token.word else token.text).lower() for token in row]
        return self._tagger.tag(texts, start - first, min(len(row), start - first + CHUNK))

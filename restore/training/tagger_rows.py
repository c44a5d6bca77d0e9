"""Rows that the tagger is trained on: pieces of stripped text, with what each gap held and how each token was spelt.

They are cut from documents anywhere, so that the tagger learns to do without what is beyond a row's ends.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from tokenizers import Tokenizer
from torch import Tensor

from restore.channel import Token
from restore.models.tagger import MOST_PIECES, ends_of
from restore.tags import NO_WORD, OTHER_EDIT, OTHER_WORD, Mark, case_of, edit_of, mark_of_gap, words_of_gap
from restore.training.pairs import WindowSource, sampled_gaps

ROW = 160
"""Pieces of a row."""
WORDS, EDITS, COUNTED = 200, 100, 4000
"""Words and edits that have tags of their own, and documents that they are counted in."""
IGNORED = -100
"""The tag of what is not learnt from."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows and their tags.

    Attributes:
        pieces: [rows, length], 0 beyond a row's end.
        before, after: [gaps] the places of the pieces on both sides of each gap, in all rows.
        heads: [tokens] those of each token's first piece.
        tags: by the names of outputs; `held` is [gaps, words] of 0 and 1.
    """

    pieces: Tensor
    before: Tensor
    after: Tensor
    heads: Tensor
    tags: dict[str, Tensor]


@dataclass
class Row:
    """One row of pieces with its tags, in lists."""

    pieces: list[int]
    heads: list[int] = field(default_factory=list)
    before: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    words: list[list[int]] = field(default_factory=list)
    edits: list[int] = field(default_factory=list)
    cases: list[int] = field(default_factory=list)


class RowMaker:
    """Makes rows of documents.

    Args:
        tokenizer: makes pieces.
        words, edits: the names of the tags.
    """

    def __init__(self, tokenizer: Tokenizer, words: Sequence[str], edits: Sequence[str]) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self.words = {word: number for number, word in enumerate(words)}
        self.edits = {edit: number for number, edit in enumerate(edits)}
        self._tokenizer = tokenizer
        self._begin, self._end = ends_of(tokenizer)
        self._pieces = lru_cache(maxsize=1 << 17)(self._encoded)

    def _encoded(self, token: str) -> list[int]:
        return self._tokenizer.encode(token, add_special_tokens=False).ids[:MOST_PIECES] or [self._end]

    def row(self, text: str, tokens: Sequence[Token], start: int) -> Row:
        """Make the row of as many tokens of a document as it has room for."""
        row, tails, end = Row([self._begin]), list[int](), start
        while end < len(tokens):
            pieces = self._pieces(tokens[end].text.lower())
            if len(row.pieces) + len(pieces) >= ROW:
                break
            row.heads.append(len(row.pieces))
            row.pieces.extend(pieces)
            tails.append(len(row.pieces) - 1)
            end += 1
        row.pieces.append(self._end)
        for place in range(start, end + 1):
            # What is beyond the row's ends is not seen: such gaps are left out, but at the ends of the text.
            if (place == start and start) or (place == end and end < len(tokens)):
                continue
            gap = text[tokens[place - 1].end if place else 0 : tokens[place].start if place < len(tokens) else None]
            words = [self.words.get(word, self.words[OTHER_WORD]) for word in words_of_gap(gap)]
            row.before.append(tails[place - start - 1] if place > start else 0)
            row.after.append(row.heads[place - start] if place < end else len(row.pieces) - 1)
            row.marks.append(int(mark_of_gap(gap)) if place and place < len(tokens) else IGNORED)
            row.words.append(words)
        for place in range(start, end):
            token = tokens[place]
            surface = text[token.start : token.end]
            edit = edit_of(token.text.lower(), surface)
            row.edits.append(self.edits.get(edit, self.edits[OTHER_EDIT]))
            case = case_of(surface)
            begun = place == 0 or _begins(text[tokens[place - 1].end : token.start])
            row.cases.append(IGNORED if case is None or begun else int(case))
        return row

    def batch(self, rows: Sequence[Row]) -> Batch:
        """Put rows into one batch."""
        pieces = torch.zeros(len(rows), ROW, dtype=torch.long)
        for number, row in enumerate(rows):
            pieces[number, : len(row.pieces)] = torch.tensor(row.pieces)

        def places(name: str) -> Tensor:
            return torch.tensor([place + number * ROW for number, row in enumerate(rows) for place in getattr(row, name)])

        words = [found for row in rows for found in row.words]
        held = torch.zeros(len(words), len(self.words))
        for number, found in enumerate(words):
            held[number, found] = 1.0
        none = self.words[NO_WORD]
        tags = {name: torch.tensor([tag for row in rows for tag in getattr(row, name)]) for name in ("marks", "edits", "cases")}
        tags["first"] = torch.tensor([found[0] if found else none for found in words])
        tags["last"] = torch.tensor([found[-1] if found else none for found in words])
        tags["held"] = held
        return Batch(pieces, places("before"), places("after"), places("heads"), tags)


def _begins(gap: str) -> bool:
    """Tell whether the token after a gap begins a sentence."""
    return mark_of_gap(gap) in (Mark.END, Mark.BREAK) and not words_of_gap(gap.rpartition(".")[2])


def name_tags(source: WindowSource, seed: int) -> tuple[list[str], list[str]]:
    """Return the words and the edits that occur most."""
    words, edits = Counter[str](), Counter[str]()
    for gap, token, surface in sampled_gaps(source, random.Random(f"tags:{seed}"), COUNTED):
        words.update(words_of_gap(gap))
        edits[edit_of(token.text.lower(), surface)] += 1
    words.pop(OTHER_WORD, None)
    edits.pop(OTHER_EDIT, None)
    return (
        [NO_WORD, OTHER_WORD, *(word for word, _ in words.most_common(WORDS))],
        [OTHER_EDIT, *(edit for edit, count in edits.most_common(EDITS) if count > 3)],
    )

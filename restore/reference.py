"""Force a known original through the lattice: what of it the lattice holds, and how the model likes it.

This is the oracle of evaluation: a part of the original that is not in the lattice cannot be restored by any model, and
an original that scores above the output was lost by the search, not by the model.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from restore.decoder import Decoder, after_form, left_of
from restore.lattice.forms import Form
from restore.lattice.gaps import Insertion, Position, Side
from restore.models.base import Encoded, Request, Trie
from restore.opinion import NOTHING, Tagging, with_insertion
from restore.source import TokenStream

LONGEST_GAP = 4
"""Gaps of more words are left out of the count: no search should try to guess them."""


@dataclass(frozen=True)
class ReferenceScore:
    """What became of an original in the lattice.

    Attributes:
        output_score, reference_score: the scores of the output and of the original, in nats; None where the lattice
            does not hold the whole original.
        gaps_total, gaps_reachable: gaps of up to four words, and those whose content the lattice holds.
        tokens_total, tokens_reachable: input tokens, and those whose original form the lattice holds.
    """

    output_score: float | None
    reference_score: float | None
    gaps_total: int
    gaps_reachable: int
    tokens_total: int
    tokens_reachable: int


@dataclass(frozen=True, slots=True)
class _Walk:
    """A way through the lattice that spells the original so far."""

    place: int  # characters of the original
    position: Position
    left: Side
    path: tuple[Form | Insertion, ...]


def measure_reference(
    decoder: Decoder, tokens: TokenStream, original: str, starts: Sequence[int]
) -> tuple[ReferenceScore, list[Form | Insertion] | None]:
    """Walk the lattice along an original.

    Args:
        decoder: holds the lattice.
        tokens: the stripped original's tokens.
        original: the text, with straight quotes and single spaces.
        starts: where in the original each token's run of characters starts.

    Returns:
        The counts, without scores, and the path through the lattice if it holds the whole text.
    """
    gaps = reachable_gaps = reachable_tokens = 0
    path: list[Form | Insertion] | None = []
    walks = [_Walk(0, Position(), Side.NONE, ())]
    index = 0
    while index < len(starts):
        right = decoder.right_of(tokens[index])
        before = walks[0].place
        ended = list(_fill(decoder, walks, original, right, starts[index]))
        moved: dict[int, list[_Walk]] = {}
        for walk in ended:
            for form, end in _forms_at(decoder, tokens, index, walk, original):
                position = after_form(walk.position, form)
                moved.setdefault(form.span, []).append(_Walk(end, position, left_of(form), (*walk.path, form)))
        words = len(original[before : starts[index]].split())
        counted = words <= LONGEST_GAP
        gaps += counted
        if moved:
            span = max(moved)
            walks = _distinct(moved[span])
            reachable_gaps += counted
            reachable_tokens += span
            gaps += span - 1
            reachable_gaps += span - 1
            index += span
            continue
        path = None
        # Go on after the run itself, as if the lattice had held it; say which of the two was missing.
        end = starts[index] + _run_length(original, starts[index])
        run = original[starts[index] : end]
        has_form = any(form.text in (run, run[:1].lower() + run[1:]) for form in _all_forms(decoder, tokens, index))
        reachable_tokens += has_form
        reachable_gaps += counted and not has_form and bool(ended)
        walks = [_Walk(end, Position().after_form(), Side.WORD, ())]
        index += 1
    if path is not None:
        ends = [
            walk for walk in _fill(decoder, walks, original, Side.NONE, len(original)) if walk.place == len(original)
        ]
        whole = [walk for walk in ends if decoder.is_whole(walk.position)]
        path = list(whole[0].path) if whole else None
    return ReferenceScore(None, None, gaps, reachable_gaps, len(starts), reachable_tokens), path


def _fill(decoder: Decoder, walks: list[_Walk], original: str, right: Side, upto: int) -> Iterator[_Walk]:
    """Yield the walks, grown by insertions along the original, that may be followed by a form at `upto`.

    Marks that a model writes as one come last in the menu, so they are popped first: the other ways to the same place are
    then left out.
    """
    seen = set()
    stack = list(walks)
    while stack:
        walk = stack.pop()
        key = (walk.place, walk.position)
        if key in seen:
            continue
        seen.add(key)
        yield walk
        left = walk.left if walk.position.fresh else Side.WORD
        for item in decoder.grammar.menu(walk.position, left, right):
            end = walk.place + len(item.text)
            if item.merged and not decoder.model.merges_marks:
                continue
            if end > max(upto, walk.place + 1) or not original.startswith(item.text, walk.place):
                continue
            if item.kind == "word" and original[end : end + 1].isalnum():
                continue
            stack.append(_Walk(end, walk.position.after(item, True), walk.left, (*walk.path, item)))


def _forms_at(
    decoder: Decoder, tokens: TokenStream, index: int, walk: _Walk, original: str
) -> Iterator[tuple[Form, int]]:
    space = "" if walk.position.touching else " "
    if not original.startswith(space, walk.place):
        return
    start = walk.place + len(space)
    for form, _ in decoder.form_trie(tokens, index, walk.position).all():
        end = start + len(form.text)
        if original.startswith(form.text, start) and not original[end : end + 1].isalnum():
            yield form, end


def _all_forms(decoder: Decoder, tokens: TokenStream, index: int) -> list[Form]:
    return decoder.forms(tokens, index, False) + decoder.forms(tokens, index, True)


def _run_length(text: str, start: int) -> int:
    end = start
    while end < len(text) and text[end].isalnum():
        end += 1
    return end - start


def _distinct(walks: list[_Walk]) -> list[_Walk]:
    best: dict[tuple[int, Position], _Walk] = {}
    for walk in walks:
        best.setdefault((walk.place, walk.position), walk)
    return list(best.values())


def path_score(decoder: Decoder, tokens: TokenStream, path: Sequence[Form | Insertion]) -> float:
    """Return the score that the search would give to a path through the lattice, in nats.

    A path whose brackets hold more than the search allows has a score, too.
    """
    model = decoder.model
    total = tokens.upto(sys.maxsize)
    state = model.begin([token.core if token.word else token.text for token in tokens.row(0, total)])
    pending: int | None = None
    position, left, index, score = Position(), Side.NONE, 0, 0.0
    bracketed = 0  # input tokens that the open brackets hold
    adviser = decoder.adviser
    tagging = Tagging(adviser, tokens) if adviser is not None else None
    held = NOTHING
    context = decoder.fusion.begin("") if decoder.fusion is not None else None
    for what in path:
        token = tokens[index] if index < total else None
        if isinstance(what, Form):
            node: Trie[Any] | None = decoder.form_trie(tokens, index, position)
        else:
            node = decoder.insertion_trie(position, left if position.fresh else Side.WORD, decoder.right_of(token))
        ids, bonus = _spell(node, what)
        added = decoder.fused(context, position, what)
        context = decoder.followed(context, position, what)
        score += bonus + added
        for piece in ids:
            single: Trie[Any] = Trie([(Encoded((piece,)), what)])
            answer = model.expand([Request(state, pending, None, single, 1)])[0]
            state, pending = answer.state, piece
            score += float(answer.forms[0])
        opinion = tagging.at(index) if tagging is not None and token is not None else None
        if isinstance(what, Form):
            if position.bracket:
                score += decoder.in_brackets(bracketed)
                bracketed += what.span
            if opinion is not None:
                score += opinion.form(what, position.initial or position.either)
            position, left, index = after_form(position, what), left_of(what), index + what.span
            held = adviser.after(what) if adviser is not None else NOTHING
        else:
            if opinion is not None:
                score += opinion.insertion(what, held)
            position, held = position.after(what, True), with_insertion(held, what)
            bracketed = bracketed if position.bracket else 0
    return score


def _spell(node: Trie[Any] | None, what: Form | Insertion) -> tuple[tuple[int, ...], float]:
    """Return the ids that spell an item in a trie, and its bonus."""
    stack: list[tuple[Trie[Any], tuple[int, ...]]] = [(node, ())] if node is not None else []
    while stack:
        here, ids = stack.pop()
        for child, piece in enumerate(here.ids):
            for item, bonus in here.items[child]:
                if item.text == what.text:
                    return (*ids, int(piece)), bonus
            following = here.next[child]
            if following is not None:
                stack.append((following, (*ids, int(piece))))
    raise LookupError(what.text)

"""Drafts: what restore itself might have written, for the model to go on from.

A search reads its own choices, and a third of the gaps before the one at hand do not hold what the original held. A model that
has only read originals trusts them too much: on development text, what it pays for the original's next unit rises from 2.0 to 3.1
nats when the text before it is restored. (This is exposure bias: Ranzato et al. 2016, https://arxiv.org/abs/1511.06732.) So it
also reads *drafts* in training: texts whose gaps and forms are drawn from what the tagger makes of the stripped text, while
what it learns stays the original.

    original    The|  court|  found|  no compelling|  reason
    draft       The|  court|, finding|  the compelling|  reason
    learnt      the    court   found    no              reason        each after the draft's units before it

A unit is a gap with the form after it. Where draft and original part within a unit, the original's next piece is learnt, and
nothing more of that unit: how a wrong beginning should end is not known. Scheduled sampling (Bengio et al. 2015,
https://arxiv.org/abs/1506.03099) mixes such text in too; it draws from the model itself, which would take a third longer.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from restore.channel import get_channel
from restore.models.tagger import Tagger
from restore.tags import OTHER_EDIT, OTHER_WORD, SAME, Case, Mark, mark_of_gap, words_of_gap
from restore.training.pairs import Window, WindowSource, sampled_gaps

COUNTED, LEAST = 4000, 8
"""Documents that gaps are counted in, and how often one must occur to be drawn."""
TEMPERATURE = 0.4
"""What log-probabilities are divided by before a draw."""
WHOLE, PART = 0.5, (0.2, 1.0)
"""Of drafted windows, the share in which all units are drawn; the fewest and the most of the others."""


class Drafter:
    """Draws drafts.

    Args:
        tagger: what says which gaps and forms are likely.
        gaps: how often each text between two tokens occurs.
    """

    def __init__(self, tagger: Tagger, gaps: Mapping[str, int]) -> None:
        self._tagger = tagger
        other = tagger.words[OTHER_WORD]
        classes: dict[str, tuple[Mark, int, int]] = {}
        for gap in gaps:
            words = [tagger.words.get(word, other) for word in words_of_gap(gap)] or [tagger.words[""]]
            if other not in (words[0], words[-1]):
                classes[gap] = (mark_of_gap(gap), words[0], words[-1])
        totals = Counter[tuple[Mark, int, int]]()
        for gap, found in classes.items():
            totals[found] += gaps[gap]
        self._gaps = list(classes)
        self._marks, self._first, self._last = (np.array(column) for column in zip(*classes.values(), strict=True))
        self._shares = np.log([gaps[gap] / totals[found] for gap, found in classes.items()]).astype(np.float32)
        self._begins = [mark_of_gap(gap) in (Mark.END, Mark.BREAK) and not gap[-1:].isalpha() for gap in self._gaps]
        self._edits = list(tagger.edits)
        self._image = lru_cache(maxsize=1 << 16)(lambda channel, run: get_channel(channel).image(run))

    @classmethod
    def of(cls, tagger: Tagger, source: WindowSource) -> Drafter:
        """Return a drafter that draws the gaps that occur in training text."""
        counts = Counter(gap for gap, _, _ in sampled_gaps(source, random.Random("drafts"), COUNTED))
        return cls(tagger, {gap: count for gap, count in counts.items() if count >= LEAST} or {" ": 1})

    def draft(self, window: Window, chance: random.Random) -> list[str | None]:
        """Draw some or all units of a window.

        Args:
            window: the window; nothing is drawn of one without places.
            chance: where all draws come from.

        Returns:
            For each place of the window, the unit that ends there in the draft, or None where the original's stays. The first
            gap, of which the tagger sees one side only, is the original's.
        """
        if not window.places:
            return []
        text, tokens = window.prefix + window.target, window.source.split(" ")
        tags = self._tagger.tag([token.lower() for token in tokens], 0, len(window.places))
        draws = np.random.default_rng(chance.getrandbits(64))
        scores = tags.marks[:, self._marks] + (tags.first[:, self._first] + tags.last[:, self._last]) / 2 + self._shares
        gaps, edits, cases = (_drawn(each, draws) for each in (scores, tags.edits, tags.cases))
        share = 1.0 if chance.random() < WHOLE else chance.uniform(*PART)
        made = list[str | None]()
        for number, (token, (start, end)) in enumerate(zip(tokens, window.places, strict=False)):
            gap = self._gaps[gaps[number]] if number else text[:start]
            begins = self._begins[gaps[number]] if number else text[start].isupper()
            edit, case = self._edits[edits[number]], Case(cases[number])
            form = self._form(window.channel, token, edit, case, text[start:end])
            unit = gap + (form[:1].upper() + form[1:] if begins else form)
            made.append(unit if chance.random() < share else None)
        return made

    def _form(self, channel: str, token: str, edit: str, case: Case, surface: str) -> str:
        """Return a token's form with an edit and a casing; the original's if the channel would not make that the token."""
        lower = _edited(token.lower(), edit)
        if lower is None or self._image(channel, lower) != token:
            lower = surface.lower()
        if case is Case.UPPER:
            return lower.upper()
        if case is Case.MIXED and surface.lower() == lower:
            return surface
        return lower if case is Case.LOWER else lower[:1].upper() + lower[1:]


def _edited(token: str, edit: str) -> str | None:
    """Return what an edit makes of a token; None if it cannot be made.

    >>> _edited("policy", "-y+ies"), _edited("policy", "=")
    ('policies', 'policy')
    """
    if edit in (SAME, OTHER_EDIT):
        return token if edit == SAME else None
    old, _, new = edit[1:].partition("+")
    return token[: len(token) - len(old)] + new if token.endswith(old) else None


def _drawn(scores: npt.NDArray[np.floating[Any]], draws: np.random.Generator) -> list[int]:
    """Draw a column of each row, by log-probabilities that need not be normalised (Gumbel's trick)."""
    return [int(column) for column in np.argmax(scores / TEMPERATURE + draws.gumbel(size=scores.shape), axis=1)]

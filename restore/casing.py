"""One document, one spelling: a name keeps its capitals throughout a text, and an abbreviation its full stops.

Each place where a word stands inside a sentence votes, with the posterior of each of its casings. A place whose casing
lost the vote takes the winner's, unless the word is an ordinary one that is merely capitalised now and then
("department", "Department"): there the place decides. `US` and `U.S.` vote on the other's places too, but where a sentence
ends: one of them would want a full stop there that the other has.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from restore.decoder import Step
from restore.lattice.forms import MAX_LENGTH, Form
from restore.lattice.gaps import Insertion
from restore.lexicon import Lexicon
from restore.posterior import Choice

ORDINARY = 0.1
"""Share of a word's occurrences in lower case above which it is an ordinary word."""
RARE = -14.0
"""Log-probability of a word in all its casings, in nats, below which its lexicon's casings are too few to tell: there the
document's own votes decide. (News, 40 odd development documents, engine `fast`: capitals 84.25 to 84.55.)"""
DOTTED = re.compile(r"(?:[^\W\d_]\.){2,}")
MOST_WORDS = 20_000
"""Words whose votes are remembered, those seen last: a text without end has no end of words."""


class Casing:
    """Votes on the casing of each word of one document.

    Args:
        lexicon: knows which words are ordinary ones.
        same: tells whether two forms strip to the same: where case is kept, another casing is another token.
    """

    def __init__(self, lexicon: Lexicon, same: Callable[[str, str], bool]) -> None:
        self._lexicon = lexicon
        self._same = same
        self._votes: dict[str, dict[str, float]] = {}  # the word seen last is the last

    def observe(self, steps: Iterable[Step], choices: Sequence[Choice]) -> None:
        """Count the votes of a stretch of text: its steps, and the choices made in it, one for each input token."""
        initial, place = True, 0
        for step in steps:
            if isinstance(step.what, Form):
                if not initial and step.what.span == 1 and place < len(choices):
                    self._vote(step.what, choices[place])
                place += step.what.span
            initial = step.position.initial

    def _vote(self, form: Form, choice: Choice) -> None:
        lower, dotted = form.text.lower(), _dotted(form.text)
        self._count(lower, {text: chance for text, chance in choice.forms if text.lower() == lower})
        if dotted:
            self._count(dotted, {text: chance for text, chance in choice.forms if _dotted(text) == dotted})

    def _count(self, name: str, chances: dict[str, float]) -> None:
        votes = self._votes.pop(name, {})
        for text, chance in chances.items():
            votes[text] = votes.get(text, 0.0) + chance
        if len(name) <= MAX_LENGTH:
            self._votes[name] = votes
        if len(self._votes) > MOST_WORDS:
            del self._votes[next(iter(self._votes))]

    def settled(self, steps: Iterable[Step]) -> list[Form | Insertion]:
        """Return the units of a stretch of text, with the casings that won."""
        steps = list(steps)
        initial, units = True, list[Form | Insertion]()
        for number, step in enumerate(steps):
            unit = step.what
            if isinstance(unit, Form) and not (unit.after or unit.kept or unit.asked):
                settled = self._settle(unit)
                # Where a sentence starts, a casing without capitals is not the word's own.
                unit = settled if not initial or settled.text != settled.text.lower() else unit
                if (dotted := _dotted(unit.text)) and _inside(steps, number):
                    unit = self._elect(unit, self._votes.get(dotted, {}))
            units.append(unit)
            initial = step.position.initial
        return units

    def _elect(self, form: Form, votes: dict[str, float]) -> Form:
        winner = max(votes, key=lambda text: (votes[text], text), default=form.text)
        return replace(form, text=winner) if winner != form.text and self._same(winner, form.text) else form

    def _settle(self, form: Form) -> Form:
        elected = self._elect(form, self._votes.get(form.text.lower(), {}))
        if self._ordinary(form.text.lower()) and elected.text[1:] == elected.text[1:].lower():
            return form
        return elected

    def _ordinary(self, lower: str) -> bool:
        shares = {entry.form: math.exp(entry.logprob) for entry in self._lexicon.variants(lower)}
        total = sum(shares.values())
        return total > math.exp(RARE) and shares.get(lower, 0.0) > ORDINARY * total


def _dotted(text: str) -> str:
    """Return an abbreviation of capitals as it is with full stops, `U.S.` for `US`; nothing for any other text."""
    if not text.isupper() or len(text) < 2:
        return ""
    if text.isalpha():
        return "".join(f"{letter}." for letter in text)
    return text if DOTTED.fullmatch(text) else ""


def _inside(steps: Sequence[Step], number: int) -> bool:
    """Tell whether a sentence is known to go on after the form that this step wrote."""
    for coming in range(number + 1, len(steps)):
        if steps[coming - 1].position.initial:
            return False
        if isinstance(steps[coming].what, Form):
            return True
    return False

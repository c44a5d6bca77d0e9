"""Sense warnings: places where a word that was dropped, or put in, may turn the meaning.

An article that said an agency found *no* compelling reason arrives as `found compelling reason`. What cannot be known
again can be pointed at. A flag has one of these kinds:

    negation    not, no, don't ...                   put in, or probable enough to have been dropped here
    direction   before / after, up / down, more / few, against / for ...                  likewise
    person      he, she, they, I, we, you                                                 likewise
    quotation   quotation marks: they put words into somebody's mouth                     always, where put in
    uncertain   an insertion below the least confidence, without which the text would not stand

How probable a dropped word is follows from the search's posterior of such words in that gap, from how probable the model
holds them given what is before them, and the tagger given what is around, and from the words around (`restore.cues`), by a
rule that is fitted with the calibration. `flag_words.json` has the words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import groupby
from typing import Any

from restore.calibration import Rule
from restore.cues import Cues
from restore.decisions import Decision
from restore.lattice.forms import Form
from restore.lattice.gaps import Place
from restore.posterior import Choice

WORDS = ("negation", "direction", "person")
"""Kinds of flag that a word gives rise to."""
KINDS = (*WORDS, "quotation", "uncertain")
MOST_ALTERNATIVES = 4
TABLE = "flag_words.json"

USUAL = {"negation": ("not", "no"), "direction": ("more", "after"), "person": ("he", "they")}
"""What is most often dropped: the alternatives where the search knows none."""

PUT_IN = {
    "negation": "\u201c{word}\u201d is restored; the original may have said the opposite",
    "direction": "\u201c{word}\u201d is restored; the original may have had another word, even the opposite",
    "person": "\u201c{word}\u201d is restored; the original may have named another person, or none",
}
DROPPED = {
    "negation": "a negation may have been dropped here",
    "direction": "a word such as \u201c{word}\u201d may have been dropped here",
    "person": "a word such as \u201c{word}\u201d may have been dropped here",
}
QUOTED = "these quotation marks are restored; the words may be nobody's"
UNCERTAIN = "this is less sure than asked for, but the text does not stand without it"


@dataclass(frozen=True, slots=True)
class Flag:
    """A place where what was dropped, or put in, may turn the sense.

    Attributes:
        kind: `negation`, `direction`, `person`, `quotation` or `uncertain`.
        place: the number of the input token that it stands before: its choice.
        start, end: the place in the text, in characters: what was put in, or the gap where a word may be missing.
        message: what to look out for, for a reader.
        alternatives: what may have stood there instead, the most probable first.
        probability: how probable it is that the original had a word of this kind here; for `quotation` and `uncertain`,
            that it had exactly this.
    """

    kind: str
    place: int
    start: int
    end: int
    message: str
    alternatives: tuple[str, ...] = ()
    probability: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the flag as plain data."""
        return asdict(self)


@lru_cache(maxsize=1)
def flag_words() -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the words of each kind, in lower case, each with its opposites (the others, for persons)."""
    data = json.loads(files(__package__).joinpath(TABLE).read_text(encoding="utf-8"))
    person = data["person"]
    return {
        "negation": dict.fromkeys(data["negation"], ()),
        "direction": {word: tuple(others) for word, others in data["direction"].items()},
        "person": {word: tuple(other for other in person if other != word) for word in person},
    }


class FlagFinder:
    """Finds the flags of restored texts.

    Args:
        rules: how probable a word of each kind is, and from where it is flagged.
        cues: tells dropped negations by the words around them; None to go without.
        dropped: tells whether the channel drops a word.
    """

    def __init__(self, rules: Mapping[str, Rule], cues: Cues | None, dropped: Callable[[str], bool]) -> None:
        self._rules = {kind: rules.get(kind, Rule()) for kind in WORDS}
        self._cues = cues
        self._opposites = {
            word: (kind, others)
            for kind, words in flag_words().items()
            for word, others in words.items()
            if dropped(word)
        }
        self._kinds = {kind for kind, _ in self._opposites.values()}
        self._units = {
            space + written: (kind, word)
            for word, (kind, _) in self._opposites.items()
            for space in ("", " ")
            for written in {word, word[:1].upper() + word[1:]}
        }

    def find(
        self,
        decisions: Sequence[Decision],
        choices: Sequence[Choice],
        tokens: Sequence[str],
        least: float = 0.0,
    ) -> Iterator[Flag]:
        """Yield the flags of one text, in order.

        Args:
            decisions: what was chosen, with places in the text.
            choices: what there was to choose from, for each input token and the end; empty if that was not kept.
            tokens: the input's tokens, in lower case.
            least: the least confidence that was asked for.
        """
        odds = self.log_odds(tokens)
        quotes: list[Decision] = []
        for place, group in groupby(decisions, key=lambda decision: decision.place):
            gap = list(group)
            form = next((decision for decision in gap if isinstance(decision.what, Form)), None)
            gap = [decision for decision in gap if decision is not form]
            choice = choices[place] if place < len(choices) else None
            cues = {kind: row[place] for kind, row in odds.items() if place < len(row)}
            yield from self._words(place, gap, form, choice, cues)
            for decision in gap:
                yield from _quotation(decision, quotes)
                if decision.kind != "nothing" and decision.confidence is not None and decision.confidence < least:
                    yield Flag("uncertain", place, *_trimmed(decision), UNCERTAIN, (), decision.confidence)
        for left in quotes:
            yield Flag("quotation", left.place, *_trimmed(left), QUOTED, (), left.confidence)

    def log_odds(self, tokens: Sequence[str]) -> dict[str, list[float]]:
        """Return what the words around each gap say of a dropped word of each kind."""
        return self._cues.log_odds(tokens) if self._cues is not None and self._kinds else {}

    def posteriors(self, choice: Choice) -> dict[str, float]:
        """Return the search's posterior of a word of each kind in a gap, for the kinds that the channel drops."""
        return self._sums(choice.units)

    def offers(self, choice: Choice) -> dict[str, float]:
        """Return likewise how probable the model holds such a word, given what is before it alone."""
        return self._sums(choice.offers)

    def tagged(self, choice: Choice) -> dict[str, float]:
        """Return likewise how probable the tagger holds such a word."""
        return self._sums(choice.tagged.words if choice.tagged is not None else {})

    def _sums(self, units: Mapping[str, float]) -> dict[str, float]:
        sums = dict.fromkeys(self._kinds, 0.0)
        for unit, chance in units.items():
            found = self._units.get(unit)
            if found is not None:
                sums[found[0]] += chance
        return {kind: min(1.0, total) for kind, total in sums.items()}

    def _words(
        self,
        place: int,
        gap: Sequence[Decision],
        form: Decision | None,
        choice: Choice | None,
        cues: Mapping[str, float],
    ) -> Iterator[Flag]:
        chances: dict[str, float] = {}
        if choice is not None:
            offers, tagged = self.offers(choice), self.tagged(choice)
            for kind, total in self.posteriors(choice).items():
                chances[kind] = self._rules[kind].chance(total, cues.get(kind, 0.0), offers[kind], tagged[kind])
        put_in: set[str] = set()
        for decision in gap:
            kind, word = self._units.get(decision.what.plain if decision.what is not None else "", ("", ""))
            if kind:
                put_in.add(kind)
                message = PUT_IN[kind].format(word=word if word != "i" else "I")
                others = self._others(kind, word, choice)
                yield Flag(kind, place, *_trimmed(decision), message, others, chances.get(kind))
        for kind, chance in chances.items():
            if kind not in put_in and chance >= self._rules[kind].threshold:
                others = self._others(kind, "", choice)
                message = DROPPED[kind].format(word=others[0] if others else "")
                yield Flag(kind, place, *_region(gap, form), message, others, chance)

    def _others(self, kind: str, word: str, choice: Choice | None) -> tuple[str, ...]:
        """Return the words of a kind that may have stood in a place other than the one put in, the likeliest first."""
        found: dict[str, float] = {}
        for unit, chance in choice.units.items() if choice is not None else ():
            known = self._units.get(unit)
            if known is not None and known[0] == kind and known[1] != word:
                found[known[1]] = found.get(known[1], 0.0) + chance
        usual = self._opposites[word][1] if word else USUAL[kind] if kind == "negation" or not found else ()
        ranked = dict.fromkeys([*sorted(found, key=lambda other: -found[other]), *usual])
        return tuple("I" if other == "i" else other for other in ranked)[:MOST_ALTERNATIVES]


def _quotation(decision: Decision, quotes: list[Decision]) -> Iterator[Flag]:
    """Pair quotation marks that were put in; `quotes` holds the one that is open."""
    if decision.kind != "pair" or isinstance(decision.what, Form) or decision.what is None:
        return
    if decision.what.kind != "quote":
        return
    if decision.what.leads_to is Place.OPEN:
        quotes.append(decision)
    elif quotes:
        opened = quotes.pop()
        yield Flag("quotation", opened.place, _trimmed(opened)[0], _trimmed(decision)[1], QUOTED, (), opened.confidence)


def _trimmed(decision: Decision) -> tuple[int, int]:
    """Return where an insertion stands, without the space before or after it."""
    text = decision.what.text if decision.what is not None else ""
    start = decision.start + len(text) - len(text.lstrip(" "))
    return start, start + len(text.strip(" "))


def _region(gap: Sequence[Decision], form: Decision | None) -> tuple[int, int]:
    """Return the place of a gap; of the form after it, where the gap has no extent."""
    start = gap[0].start if gap else form.start if form is not None else 0
    end = form.start if form is not None else gap[-1].end if gap else start
    if start == end and form is not None:
        return form.start, form.end
    return start, end

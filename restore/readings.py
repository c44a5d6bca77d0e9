"""Readings: what a sentence may have said instead, the most probable first.

A reading differs from the text in words: in what was dropped from a gap, or in the form of a token. What differs in a comma
only is the same reading. The n best are found over the places of a sentence as if these were independent: a reading's
probability is the product, over the sentence's gaps and tokens, of the search's posterior that just these words stood
there. So it is the chance that *every* word of the sentence is as it says: small for a long sentence, and there to be
compared with that of other readings. Full stops, quotation marks, brackets, joiners and paragraphs stay as they are in
the text, and readings of different sentences can be combined at will: the text still strips back to the input.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from restore.decisions import Decision
from restore.lattice.forms import Form
from restore.lattice.gaps import ENDED
from restore.posterior import Choice
from restore.units import SENTENCE_ENDS

FLOOR = 1e-4
"""What is not among a place's best alternatives counts as this probable; what is less probable is not offered."""
MOST_OPTIONS = 6
OPENINGS = ('"', "\u201c", "(")
"""What a text or paragraph may begin with, before a word that was put in."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a sentence: its text, and the probability that all its words are as it says."""

    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class _Option:
    """What may stand in a place: its text, its probability, and whether a sentence starts right after it."""

    text: str
    chance: float
    initial: bool = False


@dataclass(slots=True)
class _Slot:
    """A gap or a token of a sentence: what stands there, and what else may.

    Attributes:
        options: the text's own first; for a token as they are written inside a sentence.
        started: a token's options as they are written where a sentence starts, in the same order; None for a gap.
    """

    options: list[_Option]
    started: list[_Option] | None = None


def nbest(
    text: str, decisions: Sequence[Decision], choices: Sequence[Choice], n: int
) -> tuple[tuple[Reading, ...], ...]:
    """Return, for each sentence of a text, its n best readings, the text's own first.

    Args:
        text: the restored text.
        decisions: what was chosen, with places in the text.
        choices: what there was to choose from, one for each input token, and for the end.
        n: how many readings of each sentence.
    """
    sentences: list[tuple[Reading, ...]] = []
    for slots in _sentences(text, decisions, choices):
        readings = tuple(_best(slots, n))
        if readings[0].text.strip() or not sentences:
            sentences.append(readings)
        else:  # white space at the text's end
            space = readings[0].text
            sentences[-1] = tuple(Reading(before.text + space, before.probability) for before in sentences[-1])
    return tuple(sentences)


def _sentences(text: str, decisions: Sequence[Decision], choices: Sequence[Choice]) -> Iterator[list[_Slot]]:
    """Yield the slots of each sentence; a slot of one option is text that stays."""
    slots: list[_Slot] = []
    at, begins = 0, True
    for place, group in groupby(decisions, key=lambda decision: decision.place):
        gap = list(group)
        form = next((decision for decision in gap if isinstance(decision.what, Form)), None)
        units = [decision for decision in gap if decision.what is not None and decision is not form]
        choice = choices[place] if place < len(choices) else None
        # What ends a sentence stays with it.
        ends = [number for number, decision in enumerate(units, 1) if _ends(decision)]
        if ends:
            cut = _end_of(units[ends[-1] - 1])
            slots.append(_Slot([_Option(text[at:cut], 1.0)]))
            yield slots
            slots, at, begins = [], cut, True
        upto = form.start if form is not None else len(text)
        slots.append(_gap_slot(text[at:upto], units, ends[-1] if ends else 0, choice, begins and form is not None))
        if form is None:
            break
        assert isinstance(form.what, Form)
        slots.append(_form_slot(text[form.start : form.end], form.what, choice, slots[-1].options[0].initial))
        begins = form.what.after.rstrip("\"')]}")[-1:] in SENTENCE_ENDS
        at = form.end
    else:
        slots.append(_Slot([_Option(text[at:], 1.0)]))
    yield slots


def _ends(decision: Decision) -> bool:
    what = decision.what
    return not isinstance(what, Form) and what is not None and what.leads_to in ENDED


def _end_of(decision: Decision) -> int:
    text = decision.what.text if decision.what is not None else ""
    return decision.start + len(text)


def _gap_slot(text: str, units: Sequence[Decision], kept: int, choice: Choice | None, begins: bool) -> _Slot:
    """Return what may stand in a gap, of which the first units stay.

    Args:
        text: the gap's text after those units.
        units: what was put in.
        kept: how many of them stay.
        choice: what there was to choose from.
        begins: whether a sentence begins after those units.
    """
    chosen = [decision.what.plain for decision in units if decision.what is not None]
    own = "".join([decision.what.text for decision in units[kept:] if decision.what is not None])
    head, _, tail = text.partition(own) if own else ("", "", text)
    if choice is None:
        return _Slot([_Option(text, 1.0, begins and not own)])
    chances: dict[tuple[str, ...], float] = {}
    best: dict[tuple[str, ...], tuple[str, ...]] = {}
    for content, chance in choice.gaps:
        words = tuple(_words(content))
        chances[words] = chances.get(words, 0.0) + chance
        if _frame(content) == _frame(chosen) and list(content[:kept]) == chosen[:kept]:
            best.setdefault(words, content[kept:])
    mine = tuple(_words(chosen))
    options = [_Option(text, max(FLOOR, chances.get(mine, 0.0)), begins and not _words(chosen[kept:]))]
    for words, content in best.items():
        if words != mine and chances[words] > FLOOR:
            other = "".join(content)
            # A word at the very start of a text or paragraph has no space before it, but one after it.
            space = tail or (" " if content and not other.startswith(" ") and _is_word(content[-1]) else "")
            if not content and (own[:1].isalnum() or own[:1] in OPENINGS):
                space = ""
            options.append(_Option(head + other + space, chances[words], begins and not _words(content)))
    return _Slot(options[:1] + sorted(options[1:], key=lambda option: -option.chance)[: MOST_OPTIONS - 1])


def _form_slot(text: str, form: Form, choice: Choice | None, initial: bool) -> _Slot:
    """Return what form a token may have, inside a sentence and at its start; `initial` says where it stands."""
    variants: dict[str, list[str]] = {}
    chances: dict[str, float] = {}
    for other, chance in choice.forms if choice is not None else ():
        if _marks(other) == _marks(form.plain) and choice is not None and choice.spans.get(other, 1) == form.span:
            variants.setdefault(other.lower(), []).append(other)
            chances[other.lower()] = chances.get(other.lower(), 0.0) + chance
    own = form.plain.lower()
    known = variants.pop(own, [text])
    if initial:
        pairs = [(next((other for other in known if not other[:1].isupper()), text), text)]
    else:
        pairs = [(text, text if text[:1].isupper() else next(filter(_is_upper, known), text))]
    for lower in sorted(variants, key=lambda lower: -chances[lower])[: MOST_OPTIONS - 1]:
        started = next(filter(_is_upper, variants[lower]), None)
        if chances[lower] > FLOOR and (started is not None or not text[:1].isalpha()):
            pairs.append((variants[lower][0], started or variants[lower][0]))
    names = [own, *(inner.lower() for inner, _ in pairs[1:])]
    shares = [max(FLOOR, chances.get(name, 0.0)) if choice is not None else 1.0 for name in names]
    inner = [_Option(inner, share) for (inner, _), share in zip(pairs, shares, strict=True)]
    return _Slot(inner, [_Option(started, share) for (_, started), share in zip(pairs, shares, strict=True)])


def _is_upper(text: str) -> bool:
    return text[:1].isupper()


def _marks(text: str) -> list[str]:
    return [char for char in text if not char.isalnum()]


def _best(slots: Sequence[_Slot], n: int) -> Iterator[Reading]:
    """Yield the n best readings of a sentence, that of the text first."""
    ranks = []  # for each slot the order of its options by probability
    for slot in slots:
        ranks.append(sorted(range(len(slot.options)), key=lambda number: -slot.options[number].chance))
    own = tuple(0 for _ in slots)
    yield Reading(_written(slots, own), math.exp(_log(slots, own)))
    seen = {_key(_written(slots, own))}
    free = [number for number, slot in enumerate(slots) if len(slot.options) > 1]
    top = tuple(rank[0] for rank in ranks)
    heap = [(-_log(slots, top), tuple(0 for _ in free), 0)]
    found = 1
    while heap and found < n:
        cost, state, last = heapq.heappop(heap)
        chosen = list(top)
        for number, step in zip(free, state, strict=True):
            chosen[number] = ranks[number][step]
        text = _written(slots, chosen)
        if _key(text) not in seen:
            seen.add(_key(text))
            found += 1
            yield Reading(text, math.exp(-cost))
        for place in range(last, len(free)):
            number, step = free[place], state[place] + 1
            if step < len(ranks[number]):
                options = slots[number].options
                fall = math.log(options[ranks[number][step - 1]].chance / options[ranks[number][step]].chance)
                heapq.heappush(heap, (cost + fall, (*state[:place], step, *state[place + 1 :]), place))


def _written(slots: Sequence[_Slot], chosen: Sequence[int]) -> str:
    parts, initial = [], False
    for slot, number in zip(slots, chosen, strict=True):
        options = slot.started if slot.started is not None and initial else slot.options
        parts.append(options[number].text)
        initial = options[number].initial
    return "".join(parts)


def _log(slots: Sequence[_Slot], chosen: Sequence[int]) -> float:
    return sum(math.log(slot.options[number].chance) for slot, number in zip(slots, chosen, strict=True))


def _key(text: str) -> str:
    """Return what two texts share if they differ in marks only."""
    return " ".join("".join(char.lower() if char.isalnum() or char == "'" else " " for char in text).split())


def _is_word(unit: str) -> bool:
    bare = unit.strip(" ")
    return bare[:1].isalpha() or (len(bare) > 1 and bare[0] in "'\u2019")


def _words(units: Sequence[str]) -> list[str]:
    return [unit.strip(" ").lower() for unit in units if _is_word(unit)]


def _frame(units: Sequence[str]) -> list[str]:
    """Return the units that readings do not differ in: all but words and commas."""
    return [unit for unit in units if not _is_word(unit) and unit != ","]

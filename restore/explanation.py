"""Explanation: a restoration sentence by sentence, as plain data: what was given, and what was made of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, TypeVar

from restore.decisions import Decision
from restore.flags import Flag
from restore.lattice.forms import Form
from restore.lattice.gaps import Place
from restore.repair import Repair
from restore.restoration import Edit, Kept, Restoration
from restore.units import SENTENCE_ENDS

Item = TypeVar("Item")

_CLOSING = "\"')]}\u201d\u2019"


@dataclass(frozen=True)
class Sentence:
    """One sentence of the text, or what the restoration takes for one.

    Attributes:
        text: the sentence.
        given: the input that it was made of.
        confidence: the mean probability of its decisions; None where the search kept no count.
        edits: what was changed: `inserted`, `break`, `inflected`, `recased` and `joined`, each with its confidence.
        repairs: corrections of the input.
        kept: words that stand as they were.
        flags: sense warnings.
    """

    text: str
    given: str
    confidence: float | None
    edits: tuple[Edit, ...]
    repairs: tuple[Repair, ...]
    kept: tuple[Kept, ...]
    flags: tuple[Flag, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the sentence as plain data."""
        return asdict(self)


def explain(restoration: Restoration) -> tuple[Sentence, ...]:
    """Return the sentences of a restoration, each with its part of the history."""
    return tuple(_sentences(restoration))


def _sentences(restoration: Restoration) -> Iterator[Sentence]:
    start = source_start = 0
    edits = [edit.start for edit in restoration.edits]
    repairs = [repair.source_start for repair in restoration.repairs]
    kept = [place.start for place in restoration.kept]
    flags = sorted(restoration.flags, key=_place)
    flagged = [_place(flag) for flag in flags]
    for end, source_end, decisions in _cuts(restoration):
        chances = [decision.confidence for decision in decisions if decision.confidence is not None]
        yield Sentence(
            restoration.text[start:end].strip(),
            restoration.source[source_start:source_end].strip(),
            sum(chances) / len(chances) if chances else None,
            _between(restoration.edits, edits, start, max(end, start + 1)),
            _between(restoration.repairs, repairs, source_start, source_end),
            _between(restoration.kept, kept, start, end),
            _between(flags, flagged, start, end),
        )
        start, source_start = end, source_end


def _place(flag: Flag) -> int:
    """Return where a flag belongs: one of a gap in which a sentence ends, to the sentence that begins there."""
    return flag.start if flag.kind == "quotation" else max(flag.start, flag.end - 1)


def _between(items: Sequence[Item], places: Sequence[int], start: int, end: int) -> tuple[Item, ...]:
    """Return the items whose places, which are in order, lie from `start` up to `end`."""
    return tuple(items[bisect_left(places, start) : bisect_left(places, end)])


def _cuts(restoration: Restoration) -> Iterator[tuple[int, int, list[Decision]]]:
    """Yield, for each sentence, where it ends in text and input, and its decisions."""
    held: list[Decision] = []
    upto = 0  # how much of the input has been used
    ended = 0  # where a sentence has ended that goes on with nothing but closing marks
    for decision in restoration.decisions:
        if ended and not _closes(decision):
            yield ended, upto, held
            held, ended = [], 0
        held.append(decision)
        what = decision.what
        if isinstance(what, Form):
            upto = restoration.spans[decision.place].source_end
            if what.after.rstrip(_CLOSING)[-1:] in SENTENCE_ENDS:
                ended = decision.end
        elif what is not None and what.leads_to in (Place.END, Place.END_CLOSE):
            ended = decision.start + len(what.text)
    if held or not restoration.decisions:
        yield len(restoration.text), len(restoration.source), held


def _closes(decision: Decision) -> bool:
    what = decision.what
    return what is not None and not isinstance(what, Form) and what.leads_to is Place.END_CLOSE


def summary(restoration: Restoration) -> dict[str, int]:
    """Return how many changes of each kind there are, and flags by kind."""
    edits = groupby(sorted(edit.kind for edit in restoration.edits))
    flags = groupby(sorted(flag.kind for flag in restoration.flags))
    counts = {kind: sum(1 for _ in group) for kind, group in edits}
    counts.update({f"flagged: {kind}": sum(1 for _ in group) for kind, group in flags})
    return {**counts, "repaired": len(restoration.repairs), "kept": len(restoration.kept)}

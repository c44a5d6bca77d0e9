"""Which decisions of a restoration were right, by the scorer's own alignment.

Original and restored text are read with the channel's eyes (`restore.evaluation.reading`), and their kept tokens are
matched. What was decided is then right if the original has exactly this there:

- a word: it is one of those that the scorer matches between the two gaps;
- a mark, a bracket or quotation mark, a paragraph break: the original's gap has one of its class for it;
- a joiner: the two gaps are the same to the letter, and so are the forms on both sides but for case;
- a form: it is the same to the letter;
- an empty gap: the original's is empty, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from restore.channel import Channel
from restore.decisions import Decision
from restore.evaluation.align import match_tokens
from restore.evaluation.reading import Gap, Reading, read
from restore.lattice.forms import Form
from restore.lattice.gaps import Insertion

_CLASSES = {
    ",": "comma", ".": "stop", "!": "stop", "?": "question", "...": "ellipsis", ";": "semicolon", ":": "colon",
    "\u2014": "dash", "'": "apostrophe", '"': "quote", "(": "bracket", ")": "bracket",
}  # fmt: skip


class Event(NamedTuple):
    """A decision, whether it was right, and how probable the tagger by itself held it, if it said anything."""

    kind: str
    posterior: float
    right: bool
    tagged: float | None = None


def judge(
    original: str, restored: str, decisions: Iterable[Decision], channel: Channel
) -> Iterator[tuple[Decision, bool]]:
    """Yield each decision with whether it was right.

    A decision beside a token that the two texts do not share is wrong.
    """
    ours, theirs = read(original, channel), read(restored, channel)
    pairs = match_tokens([form.token for form in ours.forms], [form.token for form in theirs.forms])
    judged = _Judge(ours, theirs, {j: i for i, j in pairs})
    for place in _places(decisions):
        yield from judged.place(place)


def _places(decisions: Iterable[Decision]) -> Iterator[list[Decision]]:
    """Yield the decisions place by place: those on a gap, with that on the form after it."""
    held: list[Decision] = []
    for decision in decisions:
        if held and held[-1].place != decision.place:
            yield held
            held = []
        held.append(decision)
    if held:
        yield held


class _Judge:
    """Walks the restored text's gaps and forms along its decisions."""

    def __init__(self, ours: Reading, theirs: Reading, match: dict[int, int]) -> None:
        self._ours, self._theirs, self._match = ours, theirs, match
        self._at = 0  # the next form of the restored text

    def place(self, decisions: Sequence[Decision]) -> Iterator[tuple[Decision, bool]]:
        gap = self._at
        wanted = self._gap(gap)
        taken: Counter[str] = Counter()
        words = _matched_words(wanted, self._theirs.gaps[gap]) if wanted is not None else Counter()
        for decision in decisions:
            if isinstance(decision.what, Form):
                yield decision, self._form(decision.what.span)
            elif wanted is None:
                yield decision, False
            elif decision.what is None:
                yield decision, not (wanted.words or wanted.marks or wanted.paragraphs)
            else:
                yield decision, self._insertion(decision, decision.what, gap, wanted, words, taken)

    def _gap(self, at: int) -> Gap | None:
        """Return the original's gap for one of the restored text, if the tokens on both sides are the same."""
        match, ours, theirs = self._match, self._ours, self._theirs
        before = match.get(at - 1) if at else -1
        after = match.get(at) if at < len(theirs.forms) else len(ours.forms)
        return ours.gaps[after] if before is not None and after == before + 1 else None

    def _insertion(
        self, decision: Decision, item: Insertion, gap: int, wanted: Gap, words: Counter[str], taken: Counter[str]
    ) -> bool:
        if decision.kind == "word":
            word = item.text.strip(" ").lower().rstrip(".")
            words[word] -= 1
            return words[word] >= 0
        if decision.kind == "paragraph":
            taken["paragraph"] += 1
            return taken["paragraph"] <= wanted.paragraphs
        if decision.kind == "joiner":
            return self._same(gap)
        right = True
        for mark in _marks(item):
            taken[mark] += 1
            right = right and taken[mark] <= wanted.marks.count(mark)
        return right

    def _same(self, gap: int) -> bool:
        """Tell whether a gap and the forms on both sides are the same in both texts, but for case."""
        ours, theirs = self._match.get(gap), self._match.get(gap - 1)
        if ours is None or theirs is None:
            return False
        same = self._ours.gap_text(ours) == self._theirs.gap_text(gap)
        pairs = ((ours, gap), (theirs, gap - 1))
        return same and all(self._ours.forms[i].text.lower() == self._theirs.forms[j].text.lower() for i, j in pairs)

    def _form(self, span: int) -> bool:
        first, self._at = self._at, self._at + span
        pairs = [(self._match[at], at) for at in range(first, self._at) if at in self._match]
        if len(pairs) < span:
            return False
        same = all(self._ours.forms[i].text == self._theirs.forms[j].text for i, j in pairs)
        return same and all(self._ours.gap_text(i) == self._theirs.gap_text(j) for i, j in pairs[1:])


def _matched_words(wanted: Gap, given: Gap) -> Counter[str]:
    return Counter(wanted.words[i] for i, _ in match_tokens(wanted.words, given.words))


def _marks(item: Insertion) -> list[str]:
    """Return the classes of an insertion's marks."""
    text = item.text.strip(" ")
    return [_CLASSES.get(mark, "symbol") for mark in ([text] if text in _CLASSES else text)]

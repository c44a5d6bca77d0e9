"""The whole text, sentence by sentence: exact sentences, word errors, chrF and BLEU.

The original's sentences are the segments. The restored text is cut at the same kept tokens, so that no segment is
scored against another's text (the reason for which Matusov et al. 2005 re-segment speech translations). Where the
restored text has a sentence boundary in the gap of the cut it is cut there, else where as many of the gap's words
follow as in the original.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from restore.evaluation.align import Pair
from restore.evaluation.marks import squeeze
from restore.evaluation.reading import Reading

CHRF_ORDER = 6
BLEU_ORDER = 4


def segments(reference: Reading, system: Reading, pairs: Sequence[Pair]) -> list[tuple[str, str]]:
    """Cut both texts into (original sentence, what the system made of it).

    A sentence that holds no matched token goes with the one before; one of dropped words only, too.
    """
    place = dict(pairs)
    cuts = [(0, 0)]
    for index, gap in enumerate(reference.gaps):
        if not gap.sentences or not (index in place or index - 1 in place):
            continue
        theirs = place[index] if index in place else place[index - 1] + 1
        at = gap.sentences[-1]
        after = sum(offset >= at for offset in gap.word_offsets)
        cut = (at, _cut(system, theirs, after))
        if cut[1] >= cuts[-1][1]:
            cuts.append(cut)
    ends = [*cuts[1:], (len(reference.text), len(system.text))]
    return [
        (squeeze(reference.text[a:next_a]).strip(), squeeze(system.text[b:next_b]).strip())
        for (a, b), (next_a, next_b) in zip(cuts, ends, strict=True)
    ]


def _cut(system: Reading, index: int, after: int) -> int:
    """Return where a gap of the system's text is cut, so that `after` of its words follow if it has no boundary."""
    gap = system.gaps[index]
    if gap.sentences:
        return min(gap.sentences, key=lambda at: (abs(sum(offset >= at for offset in gap.word_offsets) - after), -at))
    if after and gap.words:
        return gap.word_offsets[-min(after, len(gap.words))]
    return system.forms[index].start if index < len(system.forms) else len(system.text)


def word_errors(reference: Sequence[str], system: Sequence[str]) -> int:
    """Return the edit distance of two word sequences (Levenshtein: substitutions, insertions, deletions).

    >>> word_errors("US officials met .".split(), "US official has met .".split())
    2
    """
    ours, theirs = list(reference), list(system)
    while ours and theirs and ours[-1] == theirs[-1]:
        ours.pop()
        theirs.pop()
    head = 0
    while head < min(len(ours), len(theirs)) and ours[head] == theirs[head]:
        head += 1
    ours, theirs = ours[head:], theirs[head:]
    if not ours or not theirs:
        return len(ours) + len(theirs)
    row = list(range(len(theirs) + 1))
    for i, word in enumerate(ours, 1):
        diagonal, left = row[0], i
        row[0] = i
        for j, other in enumerate(theirs, 1):
            above = row[j]
            best = diagonal if word == other else 1 + (diagonal if diagonal < above else above)
            if left + 1 < best:
                best = left + 1
            diagonal, left = above, best
            row[j] = best
    return row[-1]


def chrf_counts(reference: str, system: str) -> list[int]:
    """Return, for n from 1 to 6, the numbers of character n-grams: the system's, the reference's, the matches.

    White space is left out, as in chrF (Popović 2015); the counts are those of sacrebleu's `CHRF()`.
    """
    ours, theirs = "".join(reference.split()), "".join(system.split())
    counts = []
    for n in range(1, CHRF_ORDER + 1):
        total = max(0, len(ours) - n + 1)
        if ours == theirs:
            counts += [total, total, total]
            continue
        found = Counter([theirs[at : at + n] for at in range(len(theirs) - n + 1)])
        wanted = Counter([ours[at : at + n] for at in range(total)])
        matches = sum(min(count, wanted[gram]) for gram, count in found.items() if gram in wanted)
        counts += [max(0, len(theirs) - n + 1) if total else 0, total, matches]
    return counts


@lru_cache(maxsize=1)
def _bleu() -> Any:
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError:
        return None
    return BLEU()


def bleu_counts(pairs: Sequence[tuple[str, str]]) -> list[int] | None:
    """Return BLEU's sufficient statistics over (original, system) sentences, counted by sacrebleu.

    Returns:
        The system's length, the reference's, then for n from 1 to 4 the matches, then the totals; None without
        sacrebleu (`pip install sacrebleu`).
    """
    metric = _bleu()
    if metric is None:
        return None
    if not pairs:
        return [0] * (2 + 2 * BLEU_ORDER)
    result = metric.corpus_score([theirs for _, theirs in pairs], [[ours for ours, _ in pairs]])
    return [result.sys_len, result.ref_len, *result.counts, *result.totals]


def sacrebleu_version() -> str | None:
    """Return the version of sacrebleu that counts here, None if it is not installed."""
    try:
        from sacrebleu import __version__
    except ImportError:
        return None
    return str(__version__)

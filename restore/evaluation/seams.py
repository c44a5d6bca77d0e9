"""Seams: whether text is restored worse where two windows of a search meet.

A long text is restored in windows, and their *edges* fall where they fall. A gap is *near* an edge if no more than
`NEAR` tokens lie between the two. What is near an edge may be harder or easier than other text for reasons of its own
(edges are put at sentence ends), so texts are restored several times, with the edges elsewhere each time, and gaps
compared with themselves: each gap that was near an edge in some runs and not in others counts as often among the far as
among the near. Scores are those of `restore.evaluation.scores` over the two sums, resampled by document.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from restore.channel import Channel
from restore.evaluation.align import match_tokens
from restore.evaluation.counts import Row, count_region, make_row, regions
from restore.evaluation.reading import read
from restore.evaluation.scores import RESAMPLES, Comparison, compare_rows, resample

NEAR = 20
"""How many tokens from an edge a gap is still near it."""
SCORES = ("exact_gap", "function_word_f1")

Place = tuple[int, int]
"""A gap of a document: the number of each."""


def is_near(gap: int, edges: Sequence[int], near: int = NEAR) -> bool:
    """Tell whether a gap is near an edge.

    >>> [gap for gap in range(100) if is_near(gap, [30, 60], 2)]
    [28, 29, 30, 31, 32, 58, 59, 60, 61, 62]

    Args:
        gap: the number of the token that it stands before.
        edges: the numbers of the tokens that windows begin with, in order.
        near: how many tokens from an edge is near.
    """
    at = bisect_left(edges, gap - near)
    return at < len(edges) and edges[at] <= gap + near


@dataclass
class _Runs:
    """The summed counts of one gap over some runs."""

    number: int = 0
    counts: Counter[str] = field(default_factory=Counter)


class Seams:
    """Counts of gaps that were restored several times, near the edges of windows and far from them.

    The first gap of each document is left out: what stands in it depends on the document before.
    """

    def __init__(self) -> None:
        self._near: dict[Place, _Runs] = {}
        self._far: dict[Place, _Runs] = {}
        self._edges = 0

    def add(
        self,
        numbers: Sequence[int],
        originals: Sequence[str],
        restored: str,
        edges: Sequence[int],
        channel: Channel,
    ) -> None:
        """Count one run over a text of several documents.

        Args:
            numbers: the numbers of the documents, by which their gaps are known again in other runs.
            originals: the documents, in the text's order.
            restored: the text, restored.
            edges: the numbers of the input tokens that windows begin with, but for the first, in order.
            channel: how the text was stripped.
        """
        self._edges += len(edges)
        ours, theirs = read("\n".join(originals), channel), read(restored, channel)
        pairs = match_tokens([form.token for form in ours.forms], [form.token for form in theirs.forms])
        places: list[Place] = []
        for number, original in zip(numbers, originals, strict=True):
            places += [(number, gap) for gap in range(sum(1 for _ in channel.iterate(original)))]
        for left, right in regions(ours, theirs, pairs):
            if left.start == len(places) or not places[left.start][1]:
                continue
            group = self._near if is_near(left.start, edges) else self._far
            runs = group.setdefault(places[left.start], _Runs())
            runs.number += 1
            count_region(ours, theirs, left, right, runs.counts)

    def compare(self, seed: int = 0) -> dict[str, Comparison]:
        """Compare gaps near an edge (`ours`) with the very same gaps far from one (`theirs`)."""
        both = sorted(self._near.keys() & self._far.keys())
        far = {place: self._near[place].number / self._far[place].number for place in both}
        return _compared(_summed(self._near, dict.fromkeys(both, 1.0)), _summed(self._far, far), seed)

    def compare_all(self, seed: int = 0) -> dict[str, Comparison]:
        """Compare all gaps near an edge (`ours`) with all others (`theirs`), whatever is hard about either."""
        near, far = (_summed(group, dict.fromkeys(group, 1.0)) for group in (self._near, self._far))
        return _compared(near, far, seed)

    def sizes(self) -> dict[str, int]:
        """Return how much was counted: runs over gaps near and far from edges, gaps that had both, and edges."""
        return {
            "edges": self._edges,
            "near": sum(runs.number for runs in self._near.values()),
            "far": sum(runs.number for runs in self._far.values()),
            "gaps_compared_with_themselves": len(self._near.keys() & self._far.keys()),
        }


def _summed(group: Mapping[Place, _Runs], weights: Mapping[Place, float]) -> dict[int, Row]:
    """Return the weighted counts of some gaps, summed by document."""
    sums: dict[int, Row] = {}
    for place, weight in weights.items():
        row = sums.setdefault(place[0], make_row({}))
        row += weight * make_row(group[place].counts)
    return sums


def _compared(near: Mapping[int, Row], far: Mapping[int, Row], seed: int) -> dict[str, Comparison]:
    documents = sorted(near.keys() | far.keys())
    if not documents:
        return {}
    ours, theirs = (np.array([rows.get(number, make_row({})) for number in documents]) for rows in (near, far))
    found = compare_rows(ours, theirs, resample(len(documents), RESAMPLES, seed))
    return {name: found[name] for name in SCORES if name in found}

"""Alignment of two token sequences that ought to be the same.

Where a system keeps the promise they are, and nothing needs aligning. Else tokens are matched by a longest common
subsequence (Needleman and Wunsch 1970, with no credit for substitutions), exact on stretches of 2,000 tokens;
longer texts are first cut at runs of tokens that occur once in both ("patience" anchors), so that time grows with
length.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Pair = tuple[int, int]

_CELLS = 4_000_000  # the largest table of one alignment, in cells
_ANCHOR_LENGTHS = (4, 3, 2, 1)
_REORDER_WINDOW = 50  # tokens: a word that reappears farther off was lost there and invented here


@dataclass(frozen=True, slots=True)
class Differences:
    """What is wrong with a sequence of tokens, in tokens of the reference and of the system."""

    lost: int = 0
    invented: int = 0
    changed: int = 0
    reordered: int = 0


def match_tokens(reference: Sequence[str], system: Sequence[str]) -> list[Pair]:
    """Match equal tokens of two sequences, in order, as many as possible.

    >>> match_tokens(["u", "official", "deport"], ["official", "swiftly", "deport"])
    [(1, 0), (2, 2)]
    """
    if list(reference) == list(system):
        return [(i, i) for i in range(len(reference))]
    return _match(reference, system, 0, 0)


def _match(reference: Sequence[str], system: Sequence[str], i: int, j: int) -> list[Pair]:
    head = 0
    while head < min(len(reference), len(system)) and reference[head] == system[head]:
        head += 1
    tail, most = 0, min(len(reference), len(system)) - head
    while tail < most and reference[-1 - tail] == system[-1 - tail]:
        tail += 1
    inner, other = reference[head : len(reference) - tail], system[head : len(system) - tail]
    pairs = [(i + at, j + at) for at in range(head)]
    if inner and other:
        pairs += _cut(inner, other, i + head, j + head)
    n, m = len(reference), len(system)
    return pairs + [(i + n - at, j + m - at) for at in range(tail, 0, -1)]


def _cut(reference: Sequence[str], system: Sequence[str], i: int, j: int) -> list[Pair]:
    if len(reference) * len(system) <= _CELLS:
        return [(i + a, j + b) for a, b in _longest(reference, system)]
    for length in _ANCHOR_LENGTHS:
        if anchors := _anchors(reference, system, length):
            break
    else:  # nothing in common that is unique: halve both, so that time stays in bounds
        anchors = [(len(reference) // 2, len(system) // 2)]
    pairs: list[Pair] = []
    a = b = 0
    for next_a, next_b in [*anchors, (len(reference), len(system))]:
        pairs += _match(reference[a:next_a], system[b:next_b], i + a, j + b)
        a, b = next_a, next_b
    return pairs


def _anchors(reference: Sequence[str], system: Sequence[str], length: int) -> list[Pair]:
    """Return the starts of token runs that occur once in each, the longest series that is in order in both."""
    places = [_unique(tokens, length) for tokens in (reference, system)]
    common = sorted((at, places[1][run]) for run, at in places[0].items() if run in places[1])
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for index, (_, b) in enumerate(common):
        at = bisect_left(tails, b)
        before.append(ends[at - 1] if at else -1)
        tails[at : at + 1] = [b]
        ends[at : at + 1] = [index]
    chain: list[Pair] = []
    index = ends[-1] if ends else -1
    while index >= 0:
        chain.append(common[index])
        index = before[index]
    return [pair for pair in reversed(chain) if pair != (0, 0)]


def _unique(tokens: Sequence[str], length: int) -> dict[tuple[str, ...], int]:
    places: dict[tuple[str, ...], int] = {}
    repeated = set()
    for at in range(len(tokens) - length + 1):
        run = tuple(tokens[at : at + length])
        if run in places:
            repeated.add(run)
        places[run] = at
    return {run: at for run, at in places.items() if run not in repeated}


def _longest(reference: Sequence[str], system: Sequence[str]) -> list[Pair]:
    """Return the matches of a longest common subsequence; of equally long ones, that whose matches come latest."""
    ids: dict[str, int] = {}
    left = np.array([ids.setdefault(token, len(ids)) for token in reference])
    right = np.array([ids.setdefault(token, len(ids)) for token in system])
    table = np.zeros((len(left) + 1, len(right) + 1), dtype=np.int32)
    for i, token in enumerate(left):
        # Row by row: best[j] = max(above[j], diagonal + match, best[j - 1]).
        np.maximum(table[i, 1:], table[i, :-1] + (right == token), out=table[i + 1, 1:])
        np.maximum.accumulate(table[i + 1], out=table[i + 1])
    pairs = []
    i, j = len(left), len(right)
    while i and j:
        if left[i - 1] == right[j - 1] and table[i, j] == table[i - 1, j - 1] + 1:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif table[i - 1, j] == table[i, j]:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def differences(reference: Sequence[str], system: Sequence[str], pairs: Sequence[Pair]) -> Differences:
    """Count what stands outside the matches.

    A token left over on both sides within 50 tokens was reordered. Of the rest, those left over at the same place are
    paired off as changed; what then remains was lost (reference) or invented (system).

    >>> differences("a b c d e".split(), "b a c x e f".split(), [(1, 0), (2, 2), (4, 4)])
    Differences(lost=0, invented=1, changed=1, reordered=1)
    """
    if len(pairs) == len(reference) == len(system):
        return Differences()
    stretches = []
    a = b = 0
    for i, j in [*pairs, (len(reference), len(system))]:
        if i > a or j > b:
            stretches.append((a, i, b, j))
        a, b = i + 1, j + 1
    # Places are compared in the reference's terms, so that what was lost before does not count as distance.
    moved = _moved(
        [(at, at, reference[at]) for a, i, _, _ in stretches for at in range(a, i)],
        [(at, a + at - b, system[at]) for a, _, b, j in stretches for at in range(b, j)],
    )
    lost = invented = changed = 0
    for a, i, b, j in stretches:
        left = sum(at not in moved[0] for at in range(a, i))
        right = sum(at not in moved[1] for at in range(b, j))
        changed += min(left, right)
        lost += max(0, left - right)
        invented += max(0, right - left)
    return Differences(lost, invented, changed, len(moved[0]))


def _moved(ours: Sequence[tuple[int, int, str]], theirs: Sequence[tuple[int, int, str]]) -> tuple[set[int], set[int]]:
    places: dict[str, list[tuple[int, int]]] = {}
    for at, place, token in theirs:
        places.setdefault(token, []).append((at, place))
    moved: tuple[set[int], set[int]] = (set(), set())
    for at, place, token in ours:
        near = [other for other in places.get(token, ()) if abs(other[1] - place) <= _REORDER_WINDOW]
        if near:
            best = min(near, key=lambda other: abs(other[1] - place))
            places[token].remove(best)
            moved[0].add(at)
            moved[1].add(best[0])
    return moved

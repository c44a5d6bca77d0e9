"""Forced runs: pieces that follow each other without a choice, which a model can be fed in one request.

A word of several pieces is, after its first, often the only one of its token to begin so. Then `Request.pending` may be
all the pieces up to the last choice at once, and `Expansion.passed` has what they add to the score:

    trie    officials: 11 → 12 → 13        forced_run(trie, child of 11) is (11, 12), and the node of 13
"""

from __future__ import annotations

from typing import Any

from restore.models.base import Trie


def forced_run(node: Trie[Any], child: int) -> tuple[tuple[int, ...], Trie[Any] | None]:
    """Return the ids to be fed for a child and all that follow it without a choice, and the node of what comes after.

    The last id of an item is never part of the run: its log-probability is what the node after is asked for.

    Args:
        node: where the hypothesis stands.
        child: which of its ids comes next.
    """
    run = [int(node.ids[child])]
    after = node.next[child]
    while after is not None and len(after.ids) == 1 and not after.items[0]:
        run.append(int(after.ids[0]))
        after = after.next[0]
    return tuple(run), after

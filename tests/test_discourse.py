"""What is said of a token is pooled with what is said of the same token elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restore.discourse import Row, pooled
from restore.tags import Tags

FIELDS = ("edits", "cases", "marks", "first", "last")


def row(before: str, tokens: Sequence[str], first: Sequence[float]) -> Row:
    """Return a row of which two tags have a given probability each, and one that of the rest, in all kinds."""
    share = np.array(first)[:, None]
    logprobs = np.log(np.concatenate([share, (1 - share) * 0.75, (1 - share) * 0.25], 1)).astype(np.float32)
    return Row(before, tokens, Tags(marks=logprobs, first=logprobs, last=logprobs, held=logprobs, edits=logprobs, cases=logprobs))


def first(tags: Tags, field: str) -> list[float]:
    return np.exp(getattr(tags, field)[:, 0]).tolist()  # type: ignore[no-any-return]


def test_who_knows_helps_who_does_not() -> None:
    rows = [row("", ["aner", "said", "aner"], [0.98, 0.5, 0.4])]
    for field in ("edits", "cases"):
        sure, once, unsure = first(pooled(rows, 0, 0.4), field)
        assert once == pytest.approx(0.5)
        assert 0.5 < unsure < 0.98
        assert 0.8 < sure < 0.98


def test_the_more_often_the_surer() -> None:
    few = first(pooled([row("", ["aner", "said", "aner"], [0.98, 0.5, 0.4])], 0, 0.4), "cases")[2]
    many = first(pooled([row("", ["aner", "said"] * 4 + ["aner"], [0.98, 0.5] * 4 + [0.4])], 0, 0.4), "cases")[8]
    assert many > few


def test_gaps_are_pooled_between_the_same_two_words_only() -> None:
    rows = [row("", ["found", "custom", "seized", "custom", "found", "custom"], [0.9, 0.9, 0.5, 0.3, 0.5, 0.3])]
    tags = pooled(rows, 0, 0.4)
    for field in ("marks", "first", "last"):
        _, _, _, other, _, same = first(tags, field)
        assert other == pytest.approx(0.3)
        assert same > 0.4


def test_rows_are_pooled_with_their_neighbours_and_a_pair_may_lie_across() -> None:
    rows = [row("", ["immigration", "custom", "immigration"], [0.5, 0.9, 0.5]), row("immigration", ["custom"], [0.3])]
    assert first(pooled(rows, 1, 0.4), "first")[0] > 0.4
    assert first(pooled(rows, 1, 0.4), "cases")[0] > 0.4
    assert first(pooled(rows[1:], 0, 0.4), "cases")[0] == pytest.approx(0.3)


def test_what_is_held_stays() -> None:
    rows = [row("", ["aner", "said", "aner"], [0.98, 0.5, 0.4])]
    np.testing.assert_array_equal(pooled(rows, 0, 0.4).held, rows[0].tags.held)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(1e-6, 1 - 1e-6)), min_size=2, max_size=12),
    st.integers(1, 11),
    st.floats(0, 1),
)
def test_opinions_stay_probabilities_and_no_share_changes_none(places: list[tuple[str, float]], cut: int, share: float) -> None:
    tokens, odds = [token for token, _ in places], [chance for _, chance in places]
    cut = min(cut, len(places) - 1)
    rows = [row("", tokens[:cut], odds[:cut]), row(tokens[cut - 1], tokens[cut:], odds[cut:])]
    for field in FIELDS:
        found = np.concatenate([getattr(pooled(rows, own, share), field) for own in (0, 1)])
        np.testing.assert_allclose(np.exp(found).sum(1), 1, atol=1e-4)
        alone = np.concatenate([getattr(pooled(rows, own, 0.0), field) for own in (0, 1)])
        np.testing.assert_allclose(alone, np.concatenate([getattr(one.tags, field) for one in rows]), atol=1e-4)
        # The same as in one row: where rows are cut makes no difference.
        whole = pooled([row("", tokens, odds)], 0, share)
        np.testing.assert_allclose(found, getattr(whole, field), atol=1e-5)

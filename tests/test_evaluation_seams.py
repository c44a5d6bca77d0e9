"""Seams: gaps near the edges of windows are compared with themselves elsewhere."""

from __future__ import annotations

import pytest

from restore import Restorer, get_channel
from restore.evaluation.seams import NEAR, Seams, is_near

NLTK = get_channel("nltk")
ORIGINAL = " ".join(f"The officials of city{number} met." for number in range(60))
SPOILT = ORIGINAL.replace("of city1 ", "city1 ")


def test_near_is_counted_on_both_sides() -> None:
    assert [gap for gap in range(200) if is_near(gap, [100])] == list(range(100 - NEAR, 100 + NEAR + 1))
    assert not is_near(5, [])


@pytest.mark.parametrize("seed", [0, 1])
def test_a_gap_is_compared_with_itself(seed: int) -> None:
    seams = Seams()
    seams.add([0], [ORIGINAL], SPOILT, [4], NLTK)  # wrong where the edge is near
    seams.add([0], [ORIGINAL], ORIGINAL, [100], NLTK)
    found = seams.compare(seed)["exact_gap"]
    assert found.theirs == 100
    assert 95 < found.ours < 100
    assert seams.sizes()["edges"] == 2
    everything = seams.compare_all(seed)["exact_gap"]
    assert everything.ours < everything.theirs == 100


def test_what_is_hard_everywhere_is_no_seam() -> None:
    seams = Seams()
    for edge in (4, 100):
        seams.add([0], [ORIGINAL], SPOILT, [edge], NLTK)
    assert seams.compare()["exact_gap"].difference.value == 0
    assert seams.compare_all()["exact_gap"].ours < 100


def test_first_gaps_of_documents_are_left_out() -> None:
    seams = Seams()
    seams.add([0, 1], ["Rome fell.", "The war ended."], "Rome fell. War ended", [], NLTK)
    assert seams.sizes()["far"] == 2
    assert seams.compare() == {}


def test_a_result_says_where_windows_met(seed_text: str) -> None:
    fast = Restorer(engine="fast", beam=1, confidence=False)
    assert fast.restore("official said").seams == ()
    result = fast.restore(" ".join([seed_text.strip()] * 3))
    assert len(result.seams) > 1
    assert list(result.seams) == sorted(set(result.seams))
    assert result.seams[-1] < len(result.spans)

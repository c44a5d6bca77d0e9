"""Readings: the n best of each sentence, which differ in words and combine at will."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restore import Restorer
from restore.readings import nbest

Maker = Callable[[str, int], Restorer]
TEXT = "official said monday president met minister found compelling reason stop removal men new york"
words = st.sampled_from([
    "The", "US", "of", "and", ".", ",", "He", "said", '"', "(", ")", "U.S.", "O'Rourke", "6,000", "non-violent", "don't", "it's",
    "Paris", "officials", "deported", "\n",
])  # fmt: skip


def bare(text: str) -> list[str]:
    return "".join(char.lower() if char.isalnum() else " " for char in text).split()


def test_the_texts_own_reading_comes_first(fast: Restorer) -> None:
    result = fast.restore(TEXT)
    sentences = nbest(result.text, result.decisions, result.choices, 4)
    assert "".join(readings[0].text for readings in sentences) == result.text
    for readings in sentences:
        others = [reading.probability for reading in readings[1:]]
        assert others == sorted(others, reverse=True)
        assert len({" ".join(bare(reading.text)) for reading in readings}) == len(readings) <= 4
        assert all(0 < reading.probability <= 1 for reading in readings)
    assert max(map(len, sentences)) == 4


@pytest.mark.parametrize("name", ["nltk", "transcript", "stemmed"])
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(text=st.lists(words, max_size=12).map(" ".join), seed=st.integers(0, 99))
def test_any_combination_strips_back(name: str, by_chance: Maker, text: str, seed: int) -> None:
    restorer = by_chance(name, 3)
    stripped = restorer.channel.strip(text)
    result = restorer.restore(stripped)
    if result.notes:
        return
    chance = random.Random(seed)
    sentences = nbest(result.text, result.decisions, result.choices, 5)
    assert "".join(readings[0].text for readings in sentences) == result.text
    combined = "".join(chance.choice(readings).text for readings in sentences)
    assert restorer.channel.strip(combined) == stripped

"""Readings: the n best of each sentence, which differ in words and combine at will."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restore import Pin, Restorer, strip_text
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


@pytest.mark.parametrize(
    ("text", "pins"),
    [
        ("u k government minister", {}),
        ("president obama wife michelle said country people", {2: Pin(gap="'s"), 6: Pin(gap="'s")}),
        ("official left washington capital country", {3: Pin(gap=", the")}),
    ],
)
def test_every_reading_strips_back(fast: Restorer, text: str, pins: dict[int, Pin]) -> None:
    """Forms of one token and of two are no alternatives, and what is left out takes no space with it."""
    sentences = fast.restore(text, pins=pins).nbest(12)
    for number, readings in enumerate(sentences):
        others = [[other[0].text for other in some] for some in (sentences[:number], sentences[number + 1 :])]
        assert len(readings) > 3
        assert {strip_text("".join([*others[0], reading.text, *others[1]])) for reading in readings} == {text}


@pytest.mark.parametrize("name", ["nltk", "transcript", "stemmed"])
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
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

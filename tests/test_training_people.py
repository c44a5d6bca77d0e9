"""Women and men in training text."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from restore.training.pairs import WindowSource
from restore.training.people import NAMES, NOUNS, PRONOUN, exchanged

CASES = json.loads((Path(__file__).parent / "data" / "people.json").read_text(encoding="utf-8"))

HER = "The minister met her voters on Monday. She was asked about prices, and told them that she had no plans."
NOBODY = "Prices were rising, and wages were not. Farmers blamed the drought, the banks the rains of last year."


@pytest.mark.parametrize("case", CASES, ids=[case["label"] for case in CASES])
def test_women_and_men_change_places(case: dict[str, str]) -> None:
    assert exchanged(case["text"]) == case["exchanged"]


@pytest.mark.parametrize("table", [NOUNS, NAMES])
def test_no_word_is_exchanged_for_itself(table: dict[str, str]) -> None:
    assert all(word != other and other in table for word, other in table.items())


def source(exchange: float) -> WindowSource:
    return WindowSource({"a": [NOBODY * 20, HER], "b": [NOBODY]}, channels={"nltk": 1}, exchange=exchange)


def test_a_share_of_the_documents_is_exchanged() -> None:
    def drawn(exchange: float) -> list[str]:
        chance = random.Random(1)
        return [source(exchange).person(chance)[1] for _ in range(60)]

    assert set(drawn(0)) == {HER}
    assert set(drawn(1)) == {exchanged(HER)}
    assert 10 < drawn(0.5).count(HER) < 50


def test_persons_are_found_and_a_place_where_the_text_speaks_of_one() -> None:
    chance, found = random.Random(2), set()
    for _ in range(40):
        channel, text, tokens, near = source(0.5).person(chance)
        assert channel == "nltk"
        before, after = tokens[near - 1].end if near else 0, tokens[near].start if near < len(tokens) else len(text)
        assert PRONOUN.search(text, before, after)
        found.add(near)
    assert len(found) > 1


def test_where_nobody_is_spoken_of_any_document_will_do() -> None:
    alone = WindowSource({"a": [NOBODY]}, channels={"nltk": 1})
    assert alone.person(random.Random(3))[1] == NOBODY


def test_windows_without_exchange_are_what_they_were() -> None:
    assert [source(0).window(number) for number in range(5)] == [source(0).window(number) for number in range(5)]
    assert any(source(1).window(number) != source(0).window(number) for number in range(200))

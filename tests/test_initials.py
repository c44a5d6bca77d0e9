"""Initialisms: their expansions are found, chance matches are not believed, and a document has one spelling."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import pytest

from restore import Restorer
from restore.channel import get_channel
from restore.initials import REACH, Around, weigh_initials
from restore.source import SourceToken, read_source

CASES = json.loads((Path(__file__).parent / "data" / "initials.json").read_text(encoding="utf-8"))
MUCH = 3.0
"""Nats that outweigh a word's usual spelling where that is twenty times as frequent."""


def evidence(text: str, channel: str = "nltk") -> dict[str, float]:
    found = weigh_initials(read_source(text, get_channel(channel)))
    return {token.core: token.initials for token in found if token.initials}


@pytest.mark.parametrize("case", CASES, ids=[case["label"] for case in CASES])
def test_finds_what_is_explained(case: dict[str, str]) -> None:
    found = evidence(case["text"], case.get("channel", "nltk"))
    assert (found.get(case["word"], 0.0) > MUCH) == (case["explained"] == "yes")


def test_a_match_is_worth_less_far_away_and_more_if_it_comes_again() -> None:
    filler = ["talk", "about", "other", "matter", "of", "life"]
    near = Around(["capital", "immigrant", "right", "cir", *filler * 9])
    far = Around(["capital", "immigrant", "right", *filler * 9, "cir"])
    again = Around(["capital", "immigrant", "right", *filler * 9, "cir", *filler * 9, "capital", "immigrant", "right"])
    assert near.evidence(3) > again.evidence(57) > far.evidence(57)


def test_the_initials_of_a_word_are_not_looked_for_around_itself() -> None:
    assert evidence("sea sea sea sea") == {}


def test_the_first_use_decides_for_those_that_follow() -> None:
    text = " ".join(["human right watch hrw", *["said"] * 3 * REACH, "hrw"])
    tokens = [token for token in weigh_initials(read_source(text, get_channel("nltk"))) if token.core == "hrw"]
    assert tokens[0].initials == tokens[1].initials > MUCH


def test_an_endless_text_is_read_a_part_at_a_time() -> None:
    def endless() -> Iterator[SourceToken]:
        for number in count():
            assert number <= 4 * REACH
            yield SourceToken("", "said", "", 5 * number, 5 * number + 4, True, False)

    assert len(list(islice(weigh_initials(endless()), REACH))) == REACH


def test_one_document_one_spelling(fast: Restorer, seed_text: str) -> None:
    text = fast.restore(seed_text).text
    assert "ice" not in text.split()
    assert text.count("ICE") == 7
    assert "CAIR coalition" in text or "CAIR Coalition" in text


def test_an_ordinary_word_stays_one(fast: Restorer) -> None:
    text = "insect climbed every wall house garden summer later polar ice sheet antarctica melted ice age"
    assert "ICE" not in fast.restore(text).text

"""Shallow fusion: the n-gram model's word counts beside that of another model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from restore import Restorer
from restore.decoder import Decoder
from restore.engines import FAST, SETTINGS, open_words
from restore.models.fusion import Second
from restore.search import Search, drive
from restore.source import TokenStream, read_source


@pytest.fixture(scope="module")
def second() -> Second:
    return Second(open_words(), 0.5)


def test_adds_a_share_of_the_log_probability(second: Second) -> None:
    words = open_words()
    encoded = words.encode(" president", initial=False, touched=False, logprob=-9.0)
    assert encoded is not None
    context = second.begin("The")
    score, after = second.add(context, " president", False, False, -9.0)
    assert score == pytest.approx(0.5 * (words.walk(words.begin((), "The"), encoded.ids)[0] + encoded.bonus))
    assert after == second.begin("The president")


def fused(restorer: Restorer, share: float) -> Decoder:
    """Return a restorer's decoder, with a second model."""
    decoder = restorer._decoder
    weights = replace(SETTINGS[FAST].weights, fusion=share)
    return Decoder(decoder.model, decoder.finder, decoder.grammar, 4, weights, Second(open_words(), share))


def searched(decoder: Decoder, restorer: Restorer, text: str) -> tuple[str, float]:
    search = Search(decoder, TokenStream(read_source(text, restorer.channel)), posteriors=False)
    drive(search, decoder.model)
    return "".join(step.text for step in search.steps), search.score


@pytest.mark.parametrize("text", ["president said", "u immigration official routinely deport non citizen", "new york 6 000"])
def test_the_promise_holds_and_the_second_model_is_heard(by_chance, text: str) -> None:  # type: ignore[no-untyped-def]
    restorer = by_chance("nltk", 3)
    prose, alone = searched(fused(restorer, 0.0), restorer, text)
    other, together = searched(fused(restorer, 3.0), restorer, text)
    assert restorer.channel.strip(prose) == restorer.channel.strip(other) == text
    assert prose != other, "a model of chance and one of English want different words"
    assert together < alone

"""The decoder: what half-written insertions are worth, and what a search remembers of what it dropped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

from restore.bundle import resources_folder
from restore.channel import get_channel
from restore.decoder import Decoder, Growth, Hypothesis, Weights
from restore.engines import FAST, NEURAL, open_fusion, open_model
from restore.lattice import FormFinder, GapGrammar
from restore.lattice.gaps import Position, Side
from restore.lexicon import default_lexicon
from restore.models.neural import NeuralModel
from restore.models.tagger import Tagger
from restore.opinion import Opinion, Tagging, TagWeights
from restore.search import Search, drive
from restore.source import TokenStream, read_source

TINY = Path(__file__).parent / "data" / "tiny_neural"
TEXT = "u immigration official routinely deport non citizen felony drug conviction human right watch said"
FLOOR = float("-inf")


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    channel, lexicon = get_channel("nltk"), default_lexicon()
    weights = Weights(insertion=0.8, fusion=0.2, tags=TagWeights(mark=0.4, first=0.3, last=0.3, held=0.1, edit=0.3, case=0.3))
    tagger = Tagger.open(resources_folder() / "tagger")
    grammar = GapGrammar(channel, lexicon)
    return Decoder(NeuralModel.open(TINY), FormFinder(channel, lexicon), grammar, 4, weights, tagger, open_fusion(NEURAL))


def begun(decoder: Decoder, place: int) -> tuple[Hypothesis, Opinion]:
    """Return a hypothesis in the gap before a token, and the tagger's opinion of the gap."""
    assert decoder.adviser is not None
    assert decoder.fusion is not None
    tagging = Tagging(decoder.adviser, TokenStream(read_source(TEXT, decoder.finder.channel)))
    position = Position().after_form()
    context = decoder.fusion.begin("US immigration officials")
    return Hypothesis(0.0, decoder.model.begin(()), None, position, None, Side.WORD, context=context), tagging.at(place)


def grown(decoder: Decoder, parent: Hypothesis, opinion: Opinion, best: float, less: float = 0.0) -> list[Growth]:
    """Return what a hypothesis becomes where the first piece has a log-probability, and each other so much less."""
    node = parent.node or decoder.insertion_trie(parent.position, Side.WORD, Side.WORD)
    assert node is not None
    growing: list[Growth] = []
    pieces = [(child, best - less * child) for child in range(len(node.ids))]
    decoder.grow_insertions(parent, node, pieces, FLOOR, growing, opinion)
    return growing


def whole(decoder: Decoder, growth: Growth, opinion: Opinion) -> Iterator[float]:
    """Yield the scores of all units that a candidate may become, where the rest of each costs nothing."""
    if growth.item is not None:
        yield growth.score
        return
    for longer in grown(decoder, decoder.made(growth), opinion, 0.0):
        yield from whole(decoder, longer, opinion)


@pytest.mark.parametrize("place", [2, 8, 13])
def test_half_a_word_is_worth_the_best_that_it_may_become(decoder: Decoder, place: int) -> None:
    """The tagger's and the n-gram model's opinions of it are counted, and not only when it is whole."""
    parent, opinion = begun(decoder, place)
    halves = [growth for growth in grown(decoder, parent, opinion, -2.0) if growth.item is None]
    assert len(halves) > 10
    for half in halves:
        tight = decoder.tightened(half, opinion)
        assert tight.score <= half.score + 1e-6
        assert tight.score == pytest.approx(max(whole(decoder, tight, opinion)), abs=1e-4)


@pytest.mark.parametrize("place", [2, 8, 13])
def test_the_best_are_found_without_asking_of_all(decoder: Decoder, place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    parent, opinion = begun(decoder, place)
    growing = grown(decoder, parent, opinion, -2.0, 0.5)
    exact = [decoder.tightened(growth, opinion) if growth.loose else growth for growth in growing]
    asked: list[Growth] = []
    tightened = decoder.tightened

    def asking(growth: Growth, opinion: Opinion | None) -> Growth:
        asked.append(growth)
        return tightened(growth, opinion)

    monkeypatch.setattr(decoder, "tightened", asking)
    best = decoder.best_of(growing, FLOOR, 1, -1.5, opinion)
    assert [one.score for one in best] == pytest.approx(sorted((one.score for one in exact), reverse=True)[: decoder.beam])
    assert len(asked) < sum(growth.loose for growth in growing) / 2
    assert decoder.best_of(growing, best[1].score, 1, -1.5, opinion)[0].score == pytest.approx(best[0].score)


def test_a_reading_that_the_beam_drops_later_has_a_posterior() -> None:
    """It is given the future of what was kept, as one is that was dropped at once."""
    channel, lexicon = get_channel("nltk"), default_lexicon()
    model, parts = open_model(FAST), (FormFinder(channel, lexicon), GapGrammar(channel, lexicon))
    second = []
    for weights in (Weights(), replace(Weights(), live=0.01)):
        search = Search(Decoder(model, *parts, 8, weights), TokenStream(read_source("minister resigned monday", channel)))
        drive(search, model)
        second.append(search.choices[0].gaps[1][1])
    assert second[1] == pytest.approx(second[0], abs=0.05) != 0

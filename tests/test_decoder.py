"""The decoder: what half-written insertions are worth, and what a search remembers of what it dropped."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

from restore import Restorer
from restore.bundle import resources_folder
from restore.channel import get_channel
from restore.decoder import Decoder, Growth, Hypothesis, Step, Weights
from restore.engines import FAST, NEURAL, open_fusion, open_model
from restore.lattice import FormFinder, GapGrammar
from restore.lattice.forms import Form
from restore.lattice.gaps import Insertion, Place, Position, Side
from restore.lexicon import default_lexicon
from restore.models.base import Encoded, Trie
from restore.models.neural import NeuralModel
from restore.models.tagger import Tagger
from restore.opinion import Opinion, Tagging, TagWeights
from restore.posterior import Arc, Stage, _posteriors
from restore.search import Search, drive
from restore.source import TokenStream, read_source

TINY = Path(__file__).parent / "data" / "tiny_neural"
TEXT = "u immigration official routinely deport non citizen felony drug conviction human right watch said"
FLOOR = float("-inf")


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    channel, lexicon = get_channel("nltk"), default_lexicon()
    tags = TagWeights(mark=0.4, first=0.3, last=0.3, held=0.1, edit=0.3, case=0.3)
    weights = Weights(insertion=0.8, bracket=-1.0, apart=5.0, fusion=0.2, tags=tags)
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
    state = decoder.model.begin(())
    return Hypothesis(0.0, state, None, position, None, Side.WORD, context=context, since=5), tagging.at(place)


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


def test_a_sentence_end_that_may_be_there_is_looked_at(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where a beam of others is likelier; but for what is far behind, or where the tagger sees no end."""
    parent, opinion = begun(decoder, 8)
    growing = grown(decoder, parent, opinion, -2.0, 0.5)
    words = [growth for growth in growing if growth.item is not None and growth.item.kind == "word"]
    stop = next(growth for growth in growing if growth.item is not None and growth.item.leads_to is Place.END)
    done = [Growth(stop.score + 4.0, parent, stop.node, 0, None, "form")]
    most = float("inf")
    live = [decoder.made(growth) for growth in words[: decoder.beam]]
    monkeypatch.setattr(opinion.__class__, "end_chance", lambda self: 0.2)
    *others, ended = decoder.with_end(live, [*words, stop], decoder.end_floor(done, opinion), -1.0, opinion)
    assert others == live
    assert (ended.score, ended.since) == (stop.score, 0)
    assert ended.step is not None
    assert ended.step.text == "."
    least = decoder.end_floor(done, opinion)
    assert decoder.with_end([*live, ended], [*words, stop], least, -1.0, opinion) == [*live, ended]
    assert decoder.with_end(live, words, least, -1.0, opinion) == live
    far = [done[0]._replace(score=stop.score + 6.0)]
    assert decoder.with_end(live, [*words, stop], decoder.end_floor(far, opinion), -1.0, opinion) == live
    over = [done[0]._replace(parent=ended)]
    assert decoder.end_floor(over, opinion) == most
    monkeypatch.setattr(opinion.__class__, "end_chance", lambda self: 0.05)
    assert decoder.end_floor(done, opinion) == most


def test_a_beam_keeps_one_whose_sentence_began_elsewhere(decoder: Decoder) -> None:
    def at(score: float, since: int) -> Hypothesis:
        return Hypothesis(score, None, None, Position(), None, Side.WORD, since=since)

    alike = [at(-0.1 * number, 7) for number in range(6)]
    assert decoder.pruned(alike) == alike[: decoder.beam]
    near, nearer, far = at(-4.0, 3), at(-3.0, 2), at(-6.0, 2)
    assert decoder.pruned([*alike, near, nearer]) == [*alike[: decoder.beam], nearer]
    assert decoder.pruned([*alike, far]) == alike[: decoder.beam]
    assert decoder.pruned([*alike[:3], nearer, near]) == [*alike[:3], nearer]


def test_what_is_kept_has_futures_of_its_own(decoder: Decoder) -> None:
    """Of two that have written the same, only one goes on; but one that differs in where its sentence began may go on beside."""
    parent, _ = begun(decoder, 8)
    tokens = TokenStream(read_source(TEXT, decoder.finder.channel))
    node = decoder.form_trie(tokens, 8, parent.position)
    done: list[Growth] = []
    for since in (3, 3, 0):
        walk(node, Hypothesis(-float(since == 0), parent.state, None, parent.position, None, Side.WORD, since=since), done)
    done.sort(key=lambda growth: growth.score, reverse=True)
    kept = decoder.recombined(done)
    assert len({key for _, key in kept}) == len(kept) == decoder.beam + 1
    assert [growth.parent.since for growth, _ in kept] == [3] * decoder.beam + [0]
    assert len({growth.item.text for growth, _ in kept[:-1]}) == decoder.beam


def walk(node: Trie[Form], parent: Hypothesis, done: list[Growth]) -> None:
    """Add all forms of a trie, each a little worse than the one before."""
    for child, following in enumerate(node.next):
        for form, _ in node.items[child]:
            done.append(Growth(parent.score - 0.01 * len(done), parent, node, child, form, "form"))
        if following is not None:
            walk(following, parent, done)


def test_a_reading_that_leads_nowhere_has_none(decoder: Decoder) -> None:
    """One that was never tried further has the future of the best; one that was tried in vain has none."""
    form = Form("official", 1, 0.0, 0.0)
    node = Trie([(Encoded((1,)), form)])

    def at(score: float) -> Hypothesis:
        return Hypothesis(score, None, None, Position(), None, Side.WORD)

    start, kept, tried, untried, end = at(0.0), at(-1.0), at(-1.2), at(-1.5), at(-2.0)
    first = [Arc(start, Growth(target.score, start, node, 0, form, "form"), target) for target in (kept, tried, untried)]
    second = [Arc(kept, Growth(end.score, kept, node, 0, form, "form"), end)]
    chances, _ = _posteriors([Stage(0, [start], first), Stage(1, [kept, tried], second)], [end], 1.0)
    assert chances[1] == 0
    assert chances[2] / chances[0] == pytest.approx(math.exp(-0.5))
    assert sum(chances) == pytest.approx(1)


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


def in_brackets(held: int) -> tuple[Position, Step]:
    """Return a position in brackets that hold so many input tokens, and the step before it."""
    step = Step(None, Form("before", 1, 0.0, 0.0), " before", Position().after_form())
    position = Position(Place.OPEN, initial=False, bracket=True)
    step = Step(step, Insertion(" (", "bracket", Place.OPEN), " (", position)
    for _ in range(held):
        position = position.after_form()
        step = Step(step, Form("word", 1, 0.0, 0.0), " word", position)
    return position, step


@pytest.mark.parametrize(("held", "cost"), [(3, 0.0), (4, 1.0), (6, 3.0)])
def test_long_brackets_cost_more_with_each_token(decoder: Decoder, held: int, cost: float) -> None:
    """To leave them open for one word more never costs much by itself, so that they stayed open to the end of the text."""
    tokens = TokenStream(read_source(TEXT, decoder.finder.channel))
    position, step = in_brackets(held)
    shut = Insertion(")", "bracket", Place.CLOSE)
    closed = position.after(shut, True)
    free = Decoder(
        decoder.model, decoder.finder, decoder.grammar, decoder.beam, replace(decoder.weights, bracket=0.0), None, decoder.fusion
    )
    node = decoder.form_trie(tokens, 8, position)
    for place, last, owed in ((position, step, cost), (closed, Step(step, shut, ")", closed), 0.0)):
        scores = []
        for one in (decoder, free):
            parent, _ = begun(decoder, 8)
            parent.position, parent.step = place, last
            growing: list[Growth] = []
            one.grow_forms(parent, node, [-1.0] * len(node.ids), growing, growing)
            scores.append([growth.score for growth in growing])
        assert scores[0] == pytest.approx([score - owed for score in scores[1]])


@pytest.mark.parametrize(("held", "mark", "must"), [(12, "", False), (13, "", True), (2, ".", True), (2, "?", False)])
def test_full_brackets_close_and_so_do_those_that_hold_a_sentence(decoder: Decoder, held: int, mark: str, must: bool) -> None:
    tokens = TokenStream(read_source(TEXT, decoder.finder.channel))
    parent, _ = begun(decoder, 8)
    parent.position, parent.step = in_brackets(held)
    if mark:
        item = Insertion(mark, "mark", Place.END)
        parent.position = parent.position.after(item, True)
        parent.step = Step(parent.step, item, mark, parent.position)
    asked = decoder.request(parent, tokens, 8)
    assert (asked.forms is None) is must
    assert asked.insertions is not None
    assert all(item.text.startswith(")") for item, _ in asked.insertions.all()) is must


@pytest.mark.parametrize(
    ("weights", "more"),
    [
        (Weights(inflected=0.5), {"officials": 0.5}),
        (Weights(capital=0.5), {"Official": 0.5}),  # a name's: what is all capitals is none
    ],
)
def test_forms_are_weighed_by_what_they_are(decoder: Decoder, weights: Weights, more: dict[str, float]) -> None:
    def bonuses(weights: Weights) -> dict[str, float]:
        made = Decoder(decoder.model, decoder.finder, decoder.grammar, 4, weights)
        tokens = TokenStream(read_source("minister health official", decoder.finder.channel))
        return {form.text: bonus for form, bonus in made.form_trie(tokens, 2, Position().after_form()).all()}

    plain, weighed = bonuses(Weights()), bonuses(weights)
    for text in ("official", "Official", "officials", "OFFICIAL"):
        assert weighed[text] - plain[text] == pytest.approx(more.get(text, 0.0))


@pytest.mark.parametrize(
    ("weights", "more"),
    [
        (Weights(comma=0.5), {",": 0.5}),
        (Weights(insertion=0.5), {" the": 0.5, " which": 0.5, " themselves": 0.5, "'s": 0.5}),
        (Weights(rarity=1.0), {" the": -1.4, " which": 1.8, " themselves": 2.0}),
    ],
)
def test_insertions_are_weighed_by_what_they_are(decoder: Decoder, weights: Weights, more: dict[str, float]) -> None:
    """A word counts for more the rarer it is, up to a point."""

    def bonuses(weights: Weights) -> dict[str, float]:
        made = Decoder(decoder.model, decoder.finder, decoder.grammar, 4, weights)
        trie = made.insertion_trie(Position().after_form(), Side.WORD, Side.WORD)
        assert trie is not None
        return {item.text: bonus for item, bonus in trie.all()}

    plain, weighed = bonuses(Weights()), bonuses(weights)
    for text in (",", ".", ";", " the", " which", " themselves", "'s"):
        assert weighed[text] - plain[text] == pytest.approx(more.get(text, 0.0), abs=0.05)


def test_a_joint_form_at_the_end_takes_nothing_from_the_gap_after_it() -> None:
    restorer = Restorer(engine=FAST)
    search = Search(restorer._decoder, TokenStream(read_source("senator went home u n", restorer.channel)))
    drive(search, restorer._decoder.model)
    assert "U.N." in {form for choice in search.choices for form, _ in choice.forms}
    assert sum(chance for _, chance in search.choices[-1].gaps) == pytest.approx(1, abs=0.01)

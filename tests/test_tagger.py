"""The tagger: what is read off originals, what it says of stripped text, and what that adds to a search."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("onnxruntime")

from restore import Restorer
from restore.bundle import resources_folder
from restore.channel import get_channel
from restore.errors import ResourceError
from restore.lattice import GapGrammar
from restore.lattice.forms import Form
from restore.lattice.gaps import Insertion, Place, Position, Side
from restore.lexicon import default_lexicon
from restore.models.network import SCALE, pack
from restore.models.tagger import MOST_ROW, Tagger, unpacked
from restore.opinion import NOTHING, Adviser, Held, Tagging, TagWeights, read_form, with_insertion
from restore.rows import CONTEXT, REACH, STRIDE
from restore.source import TokenStream, read_source
from restore.tags import NO_WORD, OTHER_WORD, PRONOUNS, Case, Mark, case_of, edit_of, mark_of_gap, words_of_gap

CASES = json.loads((Path(__file__).parent / "data" / "tags.json").read_text(encoding="utf-8"))
TEXT = (
    "u immigration official routinely deport non citizen felony drug conviction human right watch said report released today "
    "agency found compelling reason stop removal"
)
WEIGHTS = TagWeights(mark=0.5, first=0.3, last=0.3, held=0.1, edit=0.5, case=0.5)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("gap" + SCALE, 3e38), ("gap" + SCALE, float("nan")), ("0.out" + SCALE, 3e38), ("0.out" + SCALE, float("nan")),
        ("0.out.bias", float("inf")), ("0.out.bias", float("nan")),
    ],
)  # fmt: skip
def test_numbers_that_are_none_are_refused(name: str, number: float) -> None:
    matrix = np.array([[100, -100], [3, 7]], np.int8)
    arrays = {
        "gap": pack(matrix),
        "gap" + SCALE: np.array([[0.1, 0.2]], np.float32),
        "0.out": pack(matrix),
        "0.out" + SCALE: np.array([0.1, 0.2], np.float32),
        "0.out.bias": np.zeros(2, np.float32),
    }
    made = unpacked(arrays)
    assert np.allclose(made["gap"], [[10, -20], [0.3, 1.4]])
    assert (made["0.out"] == matrix).all()
    assert (made["0.out" + SCALE] == arrays["0.out" + SCALE]).all()
    arrays[name].flat[-1] = number
    with pytest.raises(ValueError, match=f"weight '{name.removesuffix(SCALE)}"):
        unpacked(arrays)


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger.open(resources_folder() / "tagger")


@pytest.mark.parametrize("names", ["words", "edits"])
def test_a_card_that_names_other_tags_is_refused(tmp_path: Path, names: str) -> None:
    folder = Path(shutil.copytree(resources_folder() / "tagger", tmp_path / "tagger"))
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    card[names].pop()
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ResourceError, match=r"not those that its card names"):
        Tagger.open(folder)


@pytest.fixture(scope="module")
def grammar() -> GapGrammar:
    return GapGrammar(get_channel("nltk"), default_lexicon())


@pytest.mark.parametrize("case", CASES["gaps"], ids=lambda case: case["label"])
def test_gaps_have_tags(case: dict[str, Any]) -> None:
    assert mark_of_gap(case["gap"]) is Mark[case["mark"]]
    assert words_of_gap(case["gap"]) == case["words"]


@pytest.mark.parametrize("case", CASES["tokens"], ids=lambda case: case["label"])
def test_tokens_have_tags(case: dict[str, Any]) -> None:
    assert edit_of(case["token"], case["surface"]) == case["edit"]
    assert case_of(case["surface"]) == (None if case["case"] is None else Case[case["case"]])


@pytest.mark.parametrize("case", CASES["forms"], ids=lambda case: case["label"])
def test_forms_have_the_tags_that_training_read_off_them(case: dict[str, Any]) -> None:
    tags = read_form(case["form"], get_channel("nltk"))
    assert [[edit, None if shape is None else shape.name] for edit, shape in tags.tokens] == case["tokens"]
    assert (list(tags.gaps), tags.mark.name) == (case["gaps"], case["mark"])


def _unclear(item: Insertion) -> bool:
    """Tell whether the text of a gap cannot show what an insertion was: an abbreviation's full stop may end a sentence."""
    return item.text == ' "' or (item.kind == "word" and "." in item.text)


@given(data=st.data())
def test_insertions_make_the_tags_of_the_gap_that_they_make(grammar: GapGrammar, data: st.DataObject) -> None:
    """What the search adds up insertion by insertion is what training read off the whole gap."""
    position, held, text = Position().after_form(), NOTHING, ""
    left = Side.WORD
    for _ in range(data.draw(st.integers(0, 4))):
        menu: list[Insertion] = [item for item in grammar.menu(position, left, Side.WORD) if not _unclear(item)]
        if "'" in held.last:  # nobody writes "don't's"
            menu = [item for item in menu if item.leads_to is not Place.CLITIC]
        if not menu:
            break
        marks = [item for item in menu if item.kind != "word"]
        item = data.draw(st.sampled_from(marks if marks and data.draw(st.booleans()) else menu))
        position, held, text = position.after(item, True), with_insertion(held, item), text + item.text
    gap = text if position.touching else text + " "
    if gap.isspace() and gap != "\n":
        gap = " "
    assert held.mark is mark_of_gap(gap)
    words = words_of_gap(gap)
    assert (held.first, held.last) == ((words[0], words[-1]) if words else ("", ""))
    assert held.words == len(words)


def test_probabilities_sum_to_one(tagger: Tagger) -> None:
    tokens = TEXT.split()
    tags = tagger.tag(tokens)
    for row in (tags.marks, tags.first, tags.last, tags.edits, tags.cases):
        assert len(row) == len(tokens)
        np.testing.assert_allclose(np.exp(row).sum(axis=1), 1, rtol=1e-4)
    assert tags.held.shape == tags.first.shape


@pytest.mark.parametrize("case", CASES["persons"], ids=lambda case: case["label"])
def test_women_and_men_are_told_apart(tagger: Tagger, case: dict[str, Any]) -> None:
    tokens = case["text"].split()
    chances = tagger.tag(tokens).first[tokens.index(case["before"])]
    assert chances[tagger.words[case["likelier"]]] > chances[tagger.words[case["than"]]]


@pytest.mark.parametrize("nats", [0.6, -3.0])
def test_the_odds_of_women_and_men_are_weighed_anew(tagger: Tagger, nats: float) -> None:
    tokens = ["woman", "lost", "husband", "war", "left", "child", "alone"]
    plain = tagger.tag(tokens)
    adviser = Adviser(tagger, replace(WEIGHTS, women=nats), get_channel("nltk"), {})
    weighed = adviser.tag(tokens, 0, len(tokens))
    women, men = ([tagger.words[word] for word in sorted(PRONOUNS[name]) if word in tagger.words] for name in ("she", "he"))
    others = [number for number in tagger.words.values() if number not in women + men]
    assert {"she", "her"} <= PRONOUNS["she"] & set(tagger.words)
    for name in ("first", "last"):
        before, after = (np.exp(getattr(tags, name).astype(float)) for tags in (plain, weighed))
        assert np.allclose(after[:, others], before[:, others])
        assert np.allclose(after.sum(1), 1.0, atol=1e-3)
        odds = [np.log(chances[:, women].sum(1) / chances[:, men].sum(1)) for chances in (before, after)]
        assert np.allclose(odds[1] - odds[0], nats, atol=1e-3)
        assert np.allclose(after[:, women] / after[:, women[:1]], before[:, women] / before[:, women[:1]], rtol=1e-3)


def test_it_knows_what_follows(tagger: Tagger) -> None:
    """`said` names who spoke: the gap before it depends on words after it."""
    before = ["minister", "resigned", "monday"]
    one, other = (tagger.tag([*before, *after.split()]).marks[3] for after in ("said spokesman", "party lost election"))
    assert np.abs(one - other).max() > 0.1


@pytest.mark.parametrize("token", ["x" * 1_000_000, "\u0000", "\u00e9", "[SEP]", "###", "6"])
def test_any_token_is_tagged(tagger: Tagger, token: str) -> None:
    tags = tagger.tag([*TEXT.split(), token, *TEXT.split()])
    assert np.isfinite(tags.marks).all()


def test_many_long_tokens_are_read_by_their_beginnings(tagger: Tagger) -> None:
    tags = tagger.tag(["antidisestablishmentarianism"] * (MOST_ROW // 4))
    assert len(tags.marks) == MOST_ROW // 4


def tagging(tagger: Tagger, text: str, alike: float = 0.0) -> Tagging:
    channel = get_channel("nltk")
    words = GapGrammar(channel, default_lexicon()).words
    return Tagging(Adviser(tagger, replace(WEIGHTS, alike=alike), channel, words), TokenStream(read_source(text, channel)))


@pytest.mark.parametrize("alike", [0.0, 0.4])
def test_opinions_depend_on_the_text_alone(tagger: Tagger, alike: float) -> None:
    text = " ".join([TEXT] * 24)
    comma = Insertion(",", "mark", Position().place)
    last = len(text.split()) - 1
    forward, backward = tagging(tagger, text, alike), tagging(tagger, text, alike)
    places = [0, STRIDE - 1, STRIDE, 2 * STRIDE, last]
    ahead = [forward.at(place).insertion(comma, NOTHING) for place in places]
    back = [backward.at(place).insertion(comma, NOTHING) for place in reversed(places)]
    assert ahead == back[::-1]


def test_a_row_reads_more_than_it_tags(tagger: Tagger) -> None:
    tokens = " ".join([TEXT] * 24).split()
    assert len(tokens) > 2 * STRIDE + CONTEXT
    tags = tagging(tagger, " ".join(tokens)).at(STRIDE + 5)._tags
    row = tokens[STRIDE - CONTEXT : 2 * STRIDE + CONTEXT]
    np.testing.assert_array_equal(tags.marks, tagger.tag(row).marks[CONTEXT : CONTEXT + STRIDE])
    alone = tagger.tag(tokens[STRIDE : 2 * STRIDE])
    assert not np.allclose(tags.marks, alone.marks, atol=1e-3)


def test_a_short_text_is_one_row(tagger: Tagger) -> None:
    tags = tagging(tagger, TEXT).at(2)._tags
    np.testing.assert_array_equal(tags.marks, tagger.tag(TEXT.lower().split()).marks[:STRIDE])


def test_rows_around_a_row_are_pooled_with_it(tagger: Tagger) -> None:
    count = (REACH + 2) * STRIDE
    here, near, far = 5, STRIDE + 5, (REACH + 1) * STRIDE + 5
    cases = []
    for place in (here, near, far):
        row = [f"x{number}" for number in range(count)]
        row[here] = row[place] = "aner"
        cases.append(tagging(tagger, " ".join(row), 0.4).at(here)._tags.cases[here])
    once, pooled, apart = cases
    assert np.abs(once - pooled).max() > 0.01
    np.testing.assert_allclose(once, apart, atol=1e-5)


@pytest.mark.parametrize("alike", [0.0, 0.4])
def test_forgotten_tokens_are_not_missed(tagger: Tagger, alike: float) -> None:
    text = " ".join([TEXT] * 24)
    kept, forgetful = tagging(tagger, text, alike), tagging(tagger, text, alike)
    comma = Insertion(",", "mark", Position().place)
    for place in range(len(text.split())):
        expected = kept.at(place).insertion(comma, NOTHING)
        assert forgetful.at(place).insertion(comma, NOTHING) == expected
        forgetful._tokens.forget(place - 30)


def form(text: str, span: int = 1) -> Form:
    return Form(text, span, 0.0, 0.0)


def test_a_form_of_two_tokens_counts_as_what_it_spells(tagger: Tagger, grammar: GapGrammar) -> None:
    """`non-citizens` is scored alike, whether it is one form or two with a hyphen between."""
    advised = tagging(tagger, "deport non citizen felony")
    first, second = advised.at(1), advised.at(2)
    hyphen = next(item for item in grammar.menu(Position().after_form(), Side.WORD, Side.WORD) if item.text == "-")
    apart = first.form(form("non"), False) + second.insertion(hyphen, NOTHING) + second.form(form("citizens"), False)
    assert first.form(form("non-citizens", 2), False) == pytest.approx(apart)


def test_where_a_sentence_starts_only_the_first_capital_says_nothing(tagger: Tagger) -> None:
    """`Aner` is `aner` there, but `ANER` is not."""
    opinion = tagging(tagger, "agency found aner said").at(2)
    lower, title, upper = (opinion.form(form(text), True) for text in ("aner", "Aner", "ANER"))
    assert title == pytest.approx(lower)
    cases = np.exp(opinion._tags.cases[2])
    odds = (cases[Case.LOWER] + cases[Case.TITLE]) / cases[Case.UPPER]
    assert title - upper == pytest.approx(WEIGHTS.case * np.log(odds), abs=1e-4)
    assert opinion.form(form("Aner"), False) < title
    assert opinion.form(form("ANER"), False) == pytest.approx(upper)


def test_a_full_stop_that_the_input_has_kept_counts(tagger: Tagger, grammar: GapGrammar) -> None:
    """A paragraph break after it is no likelier than after one that was inserted."""
    advised = tagging(tagger, "agency deport. reason stop")
    opinion, held = advised.at(2), advised._adviser.after(form("deport."))
    assert held == Held(Mark.END)
    position = Position().after_form()
    stop = next(item for item in grammar.menu(position, Side.WORD, Side.WORD) if item.leads_to is Place.END)
    blank = next(item for item in grammar.menu(position.after(stop, True), Side.WORD, Side.WORD) if item.kind == "break")
    inserted = opinion.insertion(stop, NOTHING) + opinion.insertion(blank, with_insertion(NOTHING, stop))
    credit = advised.at(1).form(form("deport."), False) - advised.at(1).form(form("deport"), False)
    assert credit + opinion.insertion(blank, held) == pytest.approx(inserted)


def test_marks_at_a_text_s_start_are_not_weighed(tagger: Tagger) -> None:
    """Training saw none."""
    advised, quote = tagging(tagger, TEXT), Insertion('"', "quote", Place.OPEN)
    assert advised.at(0).insertion(quote, NOTHING) == 0.0
    assert advised.at(5).insertion(quote, NOTHING) != 0.0


def test_words_without_a_tag_share_that_of_the_others(tagger: Tagger, grammar: GapGrammar) -> None:
    """Their probabilities sum to that of the tag, and are not each as great."""
    menu = grammar.menu(Position().after_form(), Side.WORD, Side.WORD)
    adviser = Adviser(tagger, WEIGHTS, get_channel("nltk"), grammar.words)
    others = {item.text.lower(): item for item in menu if item.kind == "word" and item.text.strip().lower() not in tagger.words}
    shares = [adviser.share(item) for item in others.values() if item.leads_to is Place.WORD]
    assert len(shares) > 5
    assert 0.8 < sum(np.exp(shares)) <= 1.0001


def test_what_a_word_without_a_tag_was_given_is_taken_back(tagger: Tagger, grammar: GapGrammar) -> None:
    """Where another word follows it, the first is no longer the gap's last."""
    opinion = tagging(tagger, TEXT).at(9)
    menu = {item.text: item for item in grammar.menu(Position().after_form(), Side.WORD, Side.WORD)}
    words = tagger.words
    rare = next(item for text, item in menu.items() if item.leads_to is Place.WORD and text.strip().lower() not in words)
    added = opinion.insertion(rare, NOTHING) + opinion.insertion(menu[" was"], with_insertion(NOTHING, rare))
    tags, place = opinion._tags, opinion._place
    first, other = tags.first[place], words[OTHER_WORD]
    expected = WEIGHTS.first * (first[other] + opinion._adviser.share(rare) - first[words[NO_WORD]])
    expected += WEIGHTS.last * (tags.last[place, words["was"]] - tags.last[place, words[NO_WORD]])
    expected += WEIGHTS.held * (tags.held[place, other] + tags.held[place, words["was"]])
    assert added == pytest.approx(expected, abs=1e-5)


def test_a_clitic_takes_no_share_back(tagger: Tagger, grammar: GapGrammar) -> None:
    """Two words without a tag of their own are one such word still."""
    opinion = tagging(tagger, TEXT).at(9)
    menu = {item.text: item for item in grammar.menu(Position().after_form(), Side.WORD, Side.WORD)}
    words = [item for text, item in menu.items() if item.leads_to is Place.WORD and text.strip().lower() not in tagger.words]
    rare = min(words, key=opinion._adviser.share)
    assert opinion._adviser.share(rare) < -1
    held = with_insertion(NOTHING, rare)
    clitic = Insertion("'s", "word", Place.CLITIC)
    assert opinion.insertion(clitic, held) == pytest.approx(0, abs=1e-5)
    assert with_insertion(held, clitic).item is rare


def test_long_tokens_are_not_remembered(tagger: Tagger) -> None:
    adviser = Adviser(tagger, WEIGHTS, get_channel("nltk"), {})
    tagger.tag(["official"])
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(20):
            token = f"{number}" + "x" * 100_000
            tagger.tag([token])
            adviser.read(token.title())
        assert tracemalloc.get_traced_memory()[0] - before < 500_000
    finally:
        tracemalloc.stop()


def test_marks_count_once(tagger: Tagger, grammar: GapGrammar) -> None:
    """What is added for a comma and then a full stop is what is added for the full stop."""
    opinion = tagging(tagger, TEXT).at(9)
    menu = grammar.menu(Position().after_form(), Side.WORD, Side.WORD)
    comma = next(item for item in menu if item.text == ",")
    stop = next(item for item in menu if item.leads_to is Place.END)
    whole = opinion.insertion(comma, NOTHING) + opinion.insertion(stop, with_insertion(NOTHING, comma))
    assert whole == pytest.approx(opinion.insertion(stop, NOTHING))


def test_it_is_a_witness_by_itself(tagger: Tagger) -> None:
    """What it holds of a gap and a token are probabilities, whatever its opinion is worth to the search."""
    advised = tagging(tagger, TEXT)
    for place in range(len(TEXT.split())):
        found = advised.at(place).tagged(["officials", "official", "Official"])
        assert sum(found.marks) == pytest.approx(1, abs=1e-3)
        assert 0 <= found.empty <= found.marks[Mark.NONE]
        assert all(0 < chance <= 1 for chance in (*found.words.values(), *found.forms.values()))
        assert sum(found.forms.values()) <= 1.001
    assert advised.at(2).tagged(["official", "officials"]).forms["officials"] > 0.5
    last = advised.at(len(TEXT.split()) - 1).tagged(["stop removal", "removal"]).forms  # of more tokens than there are
    assert 0 < last["stop removal"] < 1


def test_every_decision_has_its_second_witness() -> None:
    """All but that on the end of the text, before which there is no token; and none without a tagger."""
    decisions = Restorer(engine="neural").restore("u immigration official routinely deport non citizen").decisions
    assert all((one.tagged is None) == (one.place == decisions[-1].place) for one in decisions)
    assert all(0 <= one.tagged <= 1 for one in decisions if one.tagged is not None)
    assert all(one.tagged is None for one in Restorer(engine="fast").restore("u immigration official").decisions)

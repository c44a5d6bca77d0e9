"""The lattice: forms of tokens, and what may stand in gaps."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest

from restore import get_channel
from restore.lattice import FormFinder, GapGrammar, Insertion, Place, Position
from restore.lattice.forms import capitalised
from restore.lattice.gaps import ENDED, Side, digits_of, side_of
from restore.lexicon import default_lexicon

CASES = json.loads((Path(__file__).parent / "data" / "forms.json").read_text(encoding="utf-8"))


@lru_cache
def finder(channel: str) -> FormFinder:
    return FormFinder(get_channel(channel), default_lexicon())


@lru_cache
def grammar(channel: str) -> GapGrammar:
    return GapGrammar(get_channel(channel), default_lexicon())


def texts(channel: str, token: str) -> set[str]:
    forms = finder(channel).forms(token).single
    return {form.text for form in forms} | {capitalised(form).text for form in forms}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["label"])
def test_forms(case: dict[str, str]) -> None:
    found = texts(case["channel"], case["token"])
    assert set(case["has"]) <= found
    assert not set(case.get("lacks", [])) & found


def test_a_word_that_the_channel_cuts_in_two() -> None:
    joint = dict(finder("nltk").forms("orf").joint) | dict(finder("nltk").forms("p").joint)
    assert joint["p", "rez"].text == "Pérez"
    assert joint["p", "rez"].span == 2


def test_what_no_text_gives_is_kept() -> None:
    (form,) = finder("nltk").forms("they").single
    assert form.kept
    assert not finder("nltk").forms("being").single[0].kept


def test_priors_are_a_distribution_of_frequency() -> None:
    forms = finder("nltk").forms("reason").single
    assert forms[0].text == "reason"
    assert [form.prior for form in forms] == sorted((form.prior for form in forms), reverse=True)


@pytest.mark.parametrize(
    ("text", "start"), [("iPhone", "iPhone"), ("officials", "Officials"), ("4th", "4th"), ("ßx", "ßx")]
)
def test_a_sentence_starts_with_a_capital(text: str, start: str) -> None:
    form = finder("nltk").forms("official").single[0]
    assert capitalised(type(form)(text, 1, 0.0, 0.0)).text == start


def menu(channel: str, position: Position, left: Side = Side.WORD, right: Side = Side.WORD) -> set[str]:
    return {item.text for item in grammar(channel).menu(position, left, right)}


AFTER_WORD = Position(Place.WORD, initial=False)


def test_gaps_take_dropped_words_and_marks() -> None:
    found = menu("nltk", AFTER_WORD)
    assert {" the", " don't", " I", "'s", ",", ".", "?", ";", ":", "\u2014", " (", ' "', "-"} <= found
    assert not found & {" official", " $", "%", ")", "\n"}
    assert not [text for text in menu("transcript", AFTER_WORD) if any(char.isalpha() for char in text)]
    assert menu("lower", AFTER_WORD) == set()


def test_possessives_need_a_channel_that_drops_them() -> None:
    assert "'s" not in menu("transcript", AFTER_WORD)
    assert "-" not in menu("transcript", AFTER_WORD)


def test_numbers_take_joiners_and_signs() -> None:
    assert "," in {
        item.text for item in grammar("nltk").menu(AFTER_WORD, Side.DIGITS1, side_of("000")) if item.kind == "join"
    }
    joins = {
        item.text for item in grammar("nltk").menu(AFTER_WORD, side_of("10"), side_of("30")) if item.kind == "join"
    }
    assert {":", ".", "-"} <= joins
    assert "," not in joins
    assert " $" in menu("nltk", AFTER_WORD, right=side_of("61"))
    assert "%" in menu("nltk", AFTER_WORD, left=side_of("43"))
    assert "$" in menu("nltk", Position(), right=side_of("5"))
    assert "$" in menu("nltk", Position(Place.OPEN, initial=False, bracket=True), right=side_of("5"))
    assert "." in menu("nltk", AFTER_WORD, side_of("1"), side_of(digits_of("5m")))
    assert "," in menu("nltk", AFTER_WORD, side_of("2"), side_of(digits_of("000-mile")))


def test_sentences_start_with_capitals_and_end_with_marks() -> None:
    ended = Position(Place.END, initial=True)
    found = menu("nltk", ended)
    assert " The" in found
    assert " the" not in found
    assert "\n" in found
    assert "." not in found
    assert "\n" not in menu("nltk", AFTER_WORD)


def test_a_sentence_may_go_on_after_what_is_asked_in_it() -> None:
    asked, over = Insertion("?", "mark", Place.END), Insertion('"', "quote", Place.END_CLOSE)
    stop, comma = Insertion(".", "mark", Place.END), Insertion(",", "mark", Place.COMMA)
    quoted = Position(Place.WORD, initial=False, quote=True)
    found = menu("nltk", quoted.after(asked, True).after(over, True))
    assert {" he", " He"} <= found
    assert " he" not in menu("nltk", quoted.after(stop, True).after(over, True))
    assert " he" not in menu("nltk", AFTER_WORD.after(asked, True))
    opening = Insertion(' "', "quote", Place.OPEN)
    assert {"not", "Not"} <= menu("nltk", AFTER_WORD.after(comma, True).after(opening, True))


def test_rare_stop_words_can_be_put_in_and_pieces_of_words_cannot() -> None:
    found = menu("nltk", AFTER_WORD)
    assert {" hers", " theirs", " yourselves", " a.m."} <= found
    assert not found & {" ain", " needn", " mustn", " haven", " ve"}


def test_marks_written_as_one_lead_where_they_lead_one_by_one() -> None:
    """Both orders of a quotation's end: American, the mark within it, and British, the mark after it."""
    within = Position(Place.WORD, initial=False, bracket=True, quote=True)
    nltk = grammar("nltk")
    runs = [item for item in nltk.menu(within, Side.WORD, Side.WORD) if item.merged]
    assert {'."', ',"', '?"', '".', '",', ").", "),"} <= {run.text for run in runs}
    for run in runs:
        position = within
        for mark in run.text:
            found = [item for item in nltk.menu(position, Side.WORD, Side.WORD) if item.text == mark and item.kind != "join"]
            position = position.after(found[0], True)
        at_once = within.after(run, True)
        assert replace(at_once, place=position.place) == position
        assert (at_once.place in ENDED) == (position.place in ENDED)


def test_a_dotted_word_may_end_a_sentence() -> None:
    word = next(item for item in grammar("sklearn").menu(AFTER_WORD, Side.WORD, Side.WORD) if item.text == " U.S.")
    assert word.leads_to is Place.DOTTED
    assert "." not in menu("sklearn", AFTER_WORD.after(word, True))


def test_clitics_need_a_channel_that_cuts_them_off() -> None:
    kept = replace(get_channel("snowball"), name="own", keep="'")
    found = {item.text for item in GapGrammar(kept, default_lexicon()).menu(AFTER_WORD, Side.WORD, Side.WORD)}
    assert "'s" not in found
    assert "'s" in menu("snowball", AFTER_WORD)


def test_brackets_and_quotes_balance() -> None:
    assert ")" in menu("nltk", Position(Place.WORD, initial=False, bracket=True))
    assert " (" not in menu("nltk", Position(Place.WORD, initial=False, bracket=True))
    assert '"' in menu("nltk", Position(Place.WORD, initial=False, quote=True))
    assert "\n" not in menu("nltk", Position(Place.END, initial=True, quote=True))


def test_every_insertion_vanishes() -> None:
    channel = get_channel("nltk")
    for word in grammar("nltk").words:
        assert channel.strip(f"table {word} chair") == "table chair"

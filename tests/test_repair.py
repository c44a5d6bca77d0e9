"""Repair: typos and glued words are mended, names and rare words are not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from restore import Restorer, strip_text
from restore.lattice import FormFinder
from restore.lexicon import default_lexicon
from restore.repair import GLUE_COST, KNOWN_MARGIN, Repair, Repairer, Speller
from restore.source import SourceToken, read_source


def repairs(restorer: Restorer, text: str) -> dict[str, str]:
    result = restorer.restore(text)
    assert result.undo() == text
    return {repair.before: repair.after for repair in result.repairs}


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("department homeland security govrnment official said", "govrnment", "government"),
        ("presidentobama said white house", "presidentobama", "president obama"),
    ],
)
def test_mends(fast: Restorer, text: str, before: str, after: str) -> None:
    assert repairs(fast, text) == {before: after}


@pytest.mark.parametrize("text", ["advocacy director antonio ginatta said", "wife mirtha pellerano said", "hrw obtained data"])
def test_leaves_names_alone(fast: Restorer, text: str) -> None:
    assert repairs(fast, text) == {}


def test_can_be_switched_off() -> None:
    restorer = Restorer(engine="fast", repair=False)
    result = restorer.restore("make sure people take responsibity")
    assert result.repairs == ()
    assert "responsibity" in result.text


def test_the_promise_holds_for_the_repaired_input(fast: Restorer) -> None:
    result = fast.restore("presidentobama said white house")
    assert strip_text(result.text) == "president obama said white house"


def test_a_known_word_is_split_only_by_a_model_that_knows_rare_words(fast: Restorer) -> None:
    def repaired(gain: float | None) -> list[str]:
        """Repair with a judge that finds the split so many nats likelier; None for no such judge."""

        def judge(tokens: Sequence[SourceToken], glued: int | None) -> float:
            assert gain is not None
            assert (glued is None) == ("morea" in [token.core for token in tokens])
            return 0.0 if glued is None else gain

        repairer = Repairer(
            fast.channel, FormFinder(fast.channel, default_lexicon()), default_lexicon(), judge, judge if gain else None
        )
        found: list[Repair] = []
        list(repairer.repair(read_source("reform read morea 2014 memo", fast.channel), found))
        return [repair.after for repair in found]

    assert repaired(KNOWN_MARGIN + GLUE_COST + 1) == ["more a"]
    assert repaired(KNOWN_MARGIN + GLUE_COST - 1) == []
    assert repaired(None) == []


@pytest.mark.parametrize("word", ["therein", "heron", "padilla", "themis"])
def test_a_word_of_the_dictionary_or_about_as_frequent_as_its_parts_is_no_pair(fast: Restorer, word: str) -> None:
    def judge(tokens: Sequence[SourceToken], glued: int | None) -> float:
        raise AssertionError("there is nothing to judge")

    repairer = Repairer(fast.channel, FormFinder(fast.channel, default_lexicon()), default_lexicon(), judge, judge)
    assert len(list(repairer.repair(read_source(word, fast.channel), []))) == 1


def test_dropped_words_told_apart_stand_as_they_are(fast: Restorer) -> None:
    result = fast.restore("official said aware whatthe president")
    assert [repair.after for repair in result.repairs] == ["what the"]
    assert [kept.text for kept in result.kept] == ["what", "the"]
    assert "what the" in result.text
    assert strip_text(result.text) == "official said aware president"


def test_the_speller_equals_the_whole_dictionary() -> None:
    symspellpy = pytest.importorskip("symspellpy")
    words, _ = Speller()._words
    whole = symspellpy.SymSpell(1, 7)
    for word, count in words[::9]:
        whole.create_dictionary_entry(word, count)
    some = Speller()
    some.__dict__["_words"] = (words[::9], Speller()._words[1][::9])
    for token in ("govrnment", "presiden", "mothr", "zebrra", "qqqq"):
        expected = {found.term for found in whole.lookup(token, symspellpy.Verbosity.ALL, 1) if found.distance}
        assert {word for word, _ in some.near(token, 1)} == expected

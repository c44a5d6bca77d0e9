"""Abstention: whatever is left out, the text strips back to the input and stays sound."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restore import Restoration, Restorer, channel_names
from restore.abstention import Abstainer, Drop, LessSure
from restore.decisions import Decision
from restore.lattice.forms import Form
from restore.lattice.gaps import Insertion, Place
from restore.source import TokenStream, read_source

Maker = Callable[[str, int], Restorer]

EXAMPLES = int(os.environ.get("RESTORE_EXAMPLES", "25"))
thorough = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])

words = st.sampled_from([
    "The", "the", "US", "of", "and", ".", ",", "He", "said", '"', "(", ")", "U.S.", "O'Rourke", "6,000", "non-violent", "don't",
    "it's", "Paris", "$5", "10:30", "50%", "\n", "\n\n",
])  # fmt: skip
prose = st.lists(words, max_size=16).map(" ".join)


def dropping(restorer: Restorer, share: int, seed: int) -> Callable[[str], Restoration]:
    """Restore with a share (in percent) of the insertions left out by chance."""

    def drop(decision: Decision) -> bool:
        what = decision.what.text if decision.what is not None else ""
        return zlib.crc32(f"{seed} {decision.place} {what}".encode()) % 100 < share

    def abstainer(tokens: TokenStream, rule: Drop) -> Abstainer:
        return Abstainer(restorer._decoder, tokens, drop, None)

    def restore(text: str) -> Restoration:
        restorer._abstainer = abstainer  # type: ignore[method-assign]
        try:
            result = restorer.restore(text)
            # A stream settles the casing of names by what it has seen so far.
            assert "".join(restorer.stream(text)).lower() == result.text.lower()
        finally:
            del restorer._abstainer
        return result

    return restore


@pytest.mark.parametrize("name", channel_names())
@thorough
@given(text=prose, beam=st.sampled_from([2, 3]), share=st.sampled_from([10, 50, 100]), seed=st.integers(0, 99))
def test_whatever_is_left_out_the_promise_holds(
    name: str, by_chance: Maker, text: str, beam: int, share: int, seed: int
) -> None:
    restorer = by_chance(name, beam)
    stripped = restorer.channel.strip(text)
    result = dropping(restorer, share, seed)(stripped)
    assert restorer.channel.strip(result.text) == stripped
    assert result.replay() == result.text
    assert result.undo() == stripped
    assert len(result.spans) == len(stripped.split())
    pairs = [decision.what for decision in result.decisions if decision.kind == "pair"]
    for kind in ("bracket", "quote"):  # none closes that has not opened, none opens in another
        opens = [what.leads_to is Place.OPEN for what in pairs if isinstance(what, Insertion) and what.kind == kind]
        assert opens == [place % 2 == 0 for place in range(len(opens))]
    for edit in result.edits:
        assert result.text[edit.start : edit.end] == edit.after
    for decision in result.decisions:
        if decision.what is not None:
            assert decision.what.text.strip() in result.text[decision.start : decision.end]


def test_less_is_inserted_the_surer_it_must_be() -> None:
    text = "official said monday president met minister talk new york found compelling reason stop removal men"
    lengths = []
    for least in (0.0, 0.4, 0.7, 1.0):
        result = Restorer(engine="fast", min_confidence=least).restore(text)
        lengths.append(len(result.text))
        unsure = any(flag.kind == "uncertain" for flag in result.flags)
        assert any(note.startswith("less sure than") for note in result.notes) is unsure
        kept = [decision for decision in result.decisions if decision.kind == "word"]
        assert all((decision.confidence or 0) >= least for decision in kept)
        assert result.text[0].isupper()
        assert result.text[-1] in ".?!"
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > lengths[-1]


def test_a_clitic_goes_with_its_word(by_chance: Maker) -> None:
    restorer = by_chance("nltk", 3)

    def drop(decision: Decision) -> bool:
        return decision.what is not None and decision.what.text == " who"

    tokens = TokenStream(read_source("official left", restorer.channel))
    abstainer = Abstainer(restorer._decoder, tokens, drop, None)
    official, left = (Form(text, 1, 0.0, 0.0) for text in ("Official", "left"))
    who, has = Insertion(" who", "word", Place.WORD), Insertion("'s", "word", Place.CLITIC)
    units = [*abstainer.settled([official, who, has, left], ()), *abstainer.finish()]
    assert [unit.text for unit in units] == ["Official", "left"]


def test_a_sentence_end_below_the_least_confidence_stays_and_is_counted() -> None:
    stop, comma = Insertion(".", "mark", Place.END), Insertion(",", "mark", Place.COMMA)
    rule = LessSure(0.9)
    for kind, what, confidence, falls in (
        ("sentence", stop, 0.5, False), ("sentence", stop, 0.95, False), ("mark", comma, 0.5, True), ("mark", comma, None, False),
    ):  # fmt: skip
        assert rule(Decision(kind, 0, what, 0.5, confidence)) is falls
    (note,) = rule.notes()
    assert note.startswith("less sure than 0.9, and not left out: 1 of the marks that end sentences")
    assert LessSure(0.9).notes() == ()
